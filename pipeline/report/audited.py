"""What an audit found -> one self-contained page: what moved beyond its floor first, then every number and table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.core.files.writing.durable import write_text
from pipeline.report.draw.audit_figures import distance_of, floor_of, value_of
from pipeline.report.page import render

if TYPE_CHECKING:
    from filters.audit.found import Audited, Found

WORDS = {"alarm": "alarm", "near": "beyond the floor", "quiet": "within the floor", "floor only": ""}


@dataclass(frozen=True, slots=True)
class Shown:
    """One number as the page shows it."""

    found: Found
    value: str
    other: str
    distance: str
    floor: str
    says: str


def write_audited(found: Audited, *, path: Path) -> None:
    """Write the page, in place of an earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    groups: dict[str, list[Shown]] = {}
    for number in found.numbers:
        groups.setdefault(number.group, []).append(_shown(number))
    content = {
        "found": found, "version": __version__, "headline": _headline(found), "groups": groups,
        "alarms": [_shown(number) for number in found.alarms], "alone": found.against is None,
    }  # fmt: skip
    write_text(path, render(content, template="audited.html"))


def _shown(number: Found) -> Shown:
    word = "trend" if number.level == "alarm" and number.trend else WORDS[number.level]
    return Shown(
        number, value_of(number.value, number.unit), value_of(number.other, number.unit), distance_of(number),
        floor_of(number), word,
    )  # fmt: skip


def _headline(found: Audited) -> str:
    if found.against is None:
        return f"{found.of.name} by itself"
    moved = len(found.alarms)
    if not moved:
        return "Nothing moved beyond twice its floor"
    return f"{moved} of {len(found.numbers)} numbers moved beyond twice {'its' if moved == 1 else 'their'} floor"
