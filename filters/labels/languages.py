"""Documents graded by the offline rubric -> how many are in the language for which it works; too few are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from filters.labels.offline_rubric import WORKS_FOR, reads_as_english
from filters.labels.teachers import Specimen
from pipeline.core.errors import DataError


def languages_of(specimens: Sequence[Specimen], *, any_language: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the counts for the card, told if not all are English; DataError where most are not."""
    english = [reads_as_english(specimen.text) for specimen in specimens]
    other, told = english.count(False), len(english) - english.count(None)
    if other:
        example = specimens[english.index(False)].id
        found = f"label: {other:,} of {told:,} sampled documents do not read as {WORKS_FOR}, such as {example}"
        if 2 * other > told and not any_language:
            raise DataError(
                f"{found}. The offline rubric works for {WORKS_FOR} alone (of manual pages it keeps 91 % in English, "
                "53 % in German, 6 % in Japanese). Put `language: {keep: [en]}` before `label`, take `teacher: claude` "
                "or `teacher: file`, or set any_language: true to grade them all the same."
            )
        say(f"{found}; the offline rubric works for {WORKS_FOR} alone")
    return {"works_for": WORKS_FOR, "english": told - other, "other": other, "too_short": len(english) - told}
