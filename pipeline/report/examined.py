"""A diagnosis -> one self-contained page: how far an experiment can be believed, each finding with its plot.

No script and no request, as the report of a run, whose drawings and style it shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Check, Diagnosis, Finding, Series
from pipeline import __version__
from pipeline.core.files.writing.durable import write_text
from pipeline.report.draw.charts import Axis, Curve, plot
from pipeline.report.page import render

TONES = {"void": "reject", "doubtful": "undecided", "sound": "promote"}
SENTENCES = {
    "void": "A fault means that what is compared is not what it seems, so a verdict on it says nothing.",
    "doubtful": "No fault was found, and something to look at before its verdict is believed.",
    "sound": "Nothing speaks against it, as far as it could be examined.",
}
LEVELS = {"fault": "Faults", "doubt": "Doubts", "advice": "Advice"}
MOST_PLOTS = 4  # of one check


@dataclass(frozen=True, slots=True)
class CheckShown:
    """What one check found, as the page shows it."""

    check: Check
    findings: tuple[Finding, ...]
    plots: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One check and how it ended."""

    check: Check
    found: int
    why: str  # it was not made everywhere


def write_examined(found: Diagnosis, *, path: Path) -> None:
    """Write the page, in place of an earlier one."""
    levels = [
        (LEVELS[level], [_shown(list(same)) for _, same in groupby(mine, key=lambda one: one.id)])
        for level, mine in groupby(found.findings, key=lambda one: one.level)
    ]
    content = {
        "found": found,
        "version": __version__,
        "tone": TONES[found.health],
        "headline": found.health.capitalize(),
        "sentence": SENTENCES[found.health],
        "counts": [
            f"{LEVELS[level].lower()}: {number}"
            for level in LEVELS
            if (number := sum(one.level == level for one in found.findings))
        ],
        "levels": levels,
        "answers": [_answer(found, check) for check in CHECKS.values()],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(content, template="examined.html"))


def _shown(findings: Sequence[Finding]) -> CheckShown:
    drawn = [(_of(one), one.evidence) for one in findings if one.evidence is not None]
    plots = [(name, picture) for name, series in drawn[:MOST_PLOTS] if (picture := _picture(name, series)) is not None]
    return CheckShown(findings[0].check, tuple(findings), tuple(plots))


def _of(found: Finding) -> str:
    return found.lanes[0] if len(found.lanes) == 1 else f"{len(found.lanes)} proxies"


def _picture(name: str, series: Series) -> Markup | None:
    """Draw a series and its limits; None where there are no two points to join."""
    points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None and math.isfinite(y)]
    if len(points) < 2:
        return None
    ends = [*(y for _, y in points), *series.limits]
    pad = 0.06 * (max(ends) - min(ends)) or 0.01
    first, last = points[0][0], points[-1][0]
    curves = [
        *(Curve([(first, limit), (last, limit)], "ideal") for limit in series.limits),
        Curve(points, "found"),
    ]
    title = f"{name}: {series.y_text} from {points[0][1]:.4g} to {points[-1][1]:.4g}"
    return plot(
        curves, x=Axis(first, last), y=Axis(min(ends) - pad, max(ends) + pad), title=title, x_text=series.x_text,
        y_text=series.y_text, height=190,
    )  # fmt: skip


def _answer(found: Diagnosis, check: Check) -> Answer:
    reasons = [one.why for one in found.unchecked if one.check.id == check.id]
    return Answer(check, sum(one.id == check.id for one in found.findings), "; ".join(dict.fromkeys(reasons)))
