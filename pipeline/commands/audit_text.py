"""What an audit found -> text for a terminal: what moved most first, then what is stored and what is not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.texts import table
from pipeline.core.files.writing.durable import write_text
from pipeline.report.draw.audit_figures import distance_of, floor_of, value_of

if TYPE_CHECKING:
    from filters.audit.found import Audited, Found
    from pipeline.store.workspace import Workspace

QUOTED = 90  # characters of what moved, in a line
LARGEST = 5  # categories in a line


def audited_text(found: Audited, *, count: int) -> str:
    """Return the worst numbers first, then what the chain stored and what was not measured."""
    return "\n\n".join(
        part for part in [_head(found), _tables(found), _numbers(found, count=count), _notes(found)] if part
    )


def _head(found: Audited) -> str:
    sides = [side for side in (found.of, found.against) if side is not None]
    read = " and ".join(
        f"{side.read:,} of {side.documents:,} documents"
        if side.read < side.documents
        else f"all {side.read:,} documents"
        for side in sides
    )
    if found.against is None:
        return (
            f"{found.of.folder} by itself: {read}. The floor of a number is how far two halves differ in it at most, "
            f"by {found.rounds} halvings, cut by {found.cut_by}. --against OTHER tells what moved beyond it."
        )
    number = len(found.alarms)
    said = "No number" if not number else f"{number} of {len(found.numbers)} numbers"
    return (
        f"{found.of.folder} beside {found.against.folder}: {read}.\n{said} moved by twice its floor or more: how far "
        f"halves of {found.against.name} differ at most, by {found.rounds} halvings of {found.half:,} documents each, "
        f"cut by {found.cut_by}."
    )


def _tables(found: Audited) -> str:
    """Return the largest categories of a dataset by itself."""
    if found.against is not None:
        return ""
    rows = [
        (name, ", ".join(f"{row.name} {value_of(row.share, 'share')}" for row in rows[:LARGEST]))
        for name, rows in found.tables.items()
    ]
    return table(rows, head=["by", "largest"])


def _numbers(found: Audited, *, count: int) -> str:
    alone = found.against is None
    shown = sorted(found.numbers, key=lambda number: number.value is None) if alone else list(found.numbers)
    rows = [_row(number, alone=alone) for number in shown[:count]]
    head = (
        ["number", "value", "floor"]
        if alone
        else ["", "number", "here", "there", "moved", "floor", "floors", "what moved"]
    )
    left = len(shown) - len(rows)
    more = f"\n{left} more numbers: -n {len(shown)}, --json, or --to FILE.html." if left else ""
    return table(rows, head=head) + more


def _row(number: Found, *, alone: bool) -> list[object]:
    name = f"{number.group}: {number.name}"
    if alone:
        return [name, value_of(number.value, number.unit), floor_of(number)]
    told = "; ".join(number.told)
    told = told if len(told) <= QUOTED else f"{told[: QUOTED - 3]}..."
    level = {"alarm": "ALARM" if not number.trend else "TREND", "near": "near"}.get(number.level, "")
    times = "-" if number.times is None else f"{number.times:,.1f}"
    return [
        level, name, value_of(number.value, number.unit), value_of(number.other, number.unit), distance_of(number),
        floor_of(number), times, told,
    ]  # fmt: skip


def _notes(found: Audited) -> str:
    return "\n".join([*found.stored, *found.notes])


def write_beside(
    workspace: Workspace, found: Audited, *, page: Path | None, croissant: Path | None, eu_summary: Path | None
) -> dict[str, str]:
    """Write what was asked for besides the answer; return name -> file."""
    from pipeline.queries.audit import croissant as croissants
    from pipeline.queries.audit import eu_summary as summaries
    from pipeline.report.audited import write_audited

    written: dict[str, str] = {}
    if page is not None:
        write_audited(found, path=page)
        written["page"] = str(page)
    if croissant is not None:
        _write(croissant, json.dumps(croissants.croissant(workspace, found), indent=1, ensure_ascii=False) + "\n")
        written["croissant"] = str(croissant)
    if eu_summary is not None:
        _write(eu_summary, summaries.eu_summary(workspace, found))
        written["EU summary"] = str(eu_summary)
    return written


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
