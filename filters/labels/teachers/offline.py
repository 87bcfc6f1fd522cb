"""The offline rubric as a teacher: what it can grade, and whether a sample is in the language for which it works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from filters.labels.rubrics.rubric import Rubric
from filters.labels.teachers.grading import CHUNK, Account, Grading, Specimen
from filters.labels.teachers.offline_rubric import CRITERIA, WORKS_FOR, grade_text, reads_as_english
from pipeline.core.errors import DataError, RecipeError

OFFLINE_TITLE = "offline-rubric-v1 (signals, not a model)"


def check_offline(rubric: Rubric) -> None:
    """Raise RecipeError if the offline teacher cannot answer a rubric's questions."""
    if rubric.criteria != CRITERIA or rubric.quotes:
        raise RecipeError(
            f"the offline teacher knows the rubric `educational` only, not {rubric.title!r}. Use `teacher: claude` or "
            "`teacher: file` with this rubric."
        )


class OfflineTeacher:
    """The transparent scorer of `offline_rubric`; needs nothing."""

    title = OFFLINE_TITLE

    def __init__(self, *, map: Callable[..., list[Any]]) -> None:
        self._map = map

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def grade(self, specimens: Sequence[Specimen]) -> list[Grading]:
        texts = [specimen.text for specimen in specimens]
        chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
        graded = self._map(grade_offline, chunks, label="label (offline rubric)")
        return [grading for chunk in graded for grading in chunk]

    def account(self) -> Account:
        return Account()


def grade_offline(texts: Sequence[str]) -> list[Grading]:
    """Grade texts by the offline rubric; runs in a worker process."""
    grades = [grade_text(text) for text in texts]
    return [
        Grading("graded", float(each.grade), each.evidence, {name: float(yes) for name, yes in each.answers.items()})
        for each in grades
    ]


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
