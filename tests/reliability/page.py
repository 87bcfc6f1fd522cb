"""Figures -> the two tables of this folder's page: the 32 promises, and the counts of each proof."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.reliability import claude
from tests.reliability.by_tests import summed
from tests.reliability.faults import BREACHES, KINDS
from tests.reliability.rows import ROWS, Row

PAGE = Path(__file__).with_name("README.md")
MARKER = "<!-- figures -->"
COMMAND = "python -m tests.reliability.figures --rows"
BOUGHT = ("lost", "bought twice", "kept without a bill", "above the cap", "left open", "not finished")
Figures = Mapping[str, Any]


def table(figures: Figures) -> str:
    """Return a line for each of the 32 promises."""
    rows = [["", "promise", "fault", "tried", "broken", "measured, and what is not shown", "by"]]
    for row in ROWS:
        tried, broken, measured = found_of(row, figures)
        told = ", ".join(f"{count:,} {name}" for name, count in tried.items() if count) or "not yet"
        wrong = ", ".join(f"{count:,} {name}" for name, count in broken.items() if count)
        beside = "; ".join(
            [*(f"{name} {_number(value)}" for name, value in measured.items()), *filter(None, [row.waits])]
        )
        wrong = wrong or ("0" if any(tried.values()) else "-")
        rows.append([str(row.number), row.promise, row.fault, told, wrong, beside, f"`{_by(row)}`"])
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])


def _by(row: Row) -> str:
    parts = [*row.proofs, *(["requests"] if row.paid else []), *([f"{len(row.tests)} tests"] if row.tests else [])]
    return ", ".join(parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def found_of(row: Row, figures: Figures) -> tuple[dict[str, int], dict[str, int], dict[str, float]]:
    """Return what was tried for a promise, what broke it, and what was measured beside it."""
    tried, broken, measured = Counter[str](), Counter[str](), dict[str, float]()
    for name in row.proofs:
        data = SPECIAL[name](figures) if name in SPECIAL else figures.get("proofs", {}).get(name)
        if data is not None:
            tried.update(data["times"])
            broken.update(data["broken"])
            measured |= data.get("measured", {})
    if row.paid:
        data = _paid(row.paid)
        tried.update(data["times"])
        broken.update(data["broken"])
    if row.tests:
        counts = summed(figures.get("tests", {}), row.tests)
        tried.update({"cases in tests": counts.get("times", 0)})
        broken.update({"failed tests": counts.get("failed", 0)})
        left_out = counts.get("skipped", 0) + counts.get("missing", 0)
        measured |= {"tests left out": left_out} if left_out else {}
    return dict(tried), dict(broken), measured


def _faults(figures: Figures, kinds: Iterable[str]) -> dict[str, Any] | None:
    found = figures.get("faults")
    if not found:
        return None
    times = {kind: sum(counts[kind] for counts in found.values()) for kind in kinds}
    points = sum(counts["tried"] for counts in found.values())
    of = sum(counts["points"] for counts in found.values())
    broken = {breach: sum(counts[breach] for counts in found.values()) for breach in BREACHES}
    return {
        "times": {f"of {of:,} changes of files": points, **{f"x {kind}": n for kind, n in times.items()}},
        "broken": broken,
    }


def _inputs(figures: Figures) -> dict[str, Any] | None:
    found = figures.get("inputs")
    if not found:
        return None
    sums = Counter[str]()
    for counts in found.values():
        sums.update(counts)
    wrong = {why: n for why, n in sums.items() if why.startswith(("raised", "crashed", "not named"))}
    return {"times": {"spoilt files": sums.total()}, "broken": wrong}


SPECIAL = {
    "faults": lambda figures: _faults(figures, KINDS),
    "power cuts": lambda figures: _faults(figures, ["power cut"]),
    "no space": lambda figures: _faults(figures, ["no space"]),
    "inputs": _inputs,
}


def _paid(ways: tuple[str, ...]) -> dict[str, Any]:
    counted, sums, played = json.loads(claude.COUNTS.read_text(encoding="utf-8")), Counter[str](), 0
    for kind in claude.KINDS:
        for way, counts in counted[kind].items():
            if ways == ("*",) or way in ways:
                sums.update(counts)
                played += 1
    times = {"requests": sums["requests"], "kills": sums["killed"], "ways of the server": played}
    return {"times": times, "broken": {breach: sums[breach] for breach in BOUGHT}}


def page_with(page: str, figures: Figures) -> str:
    """Return the page with the table between its two markers."""
    before, _, after = page.split(MARKER)
    return f"{before}{MARKER}\n{table(figures)}\n{MARKER}{after}"
