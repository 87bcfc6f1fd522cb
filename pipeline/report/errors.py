"""A round of claims -> one self-contained page: findings with intervals and quotes, slices, and what did not hold.

No script and no request, as the report of a run, whose drawings and style it shares; numbers are those of the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.claims.associations import LEVEL
from eval.claims.record import Claim, Round
from eval.claims.slices import Slice
from pipeline import __version__
from pipeline.core.files.writing.durable import write_text
from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis
from pipeline.report.draw.forest import Estimate, Forest, forest_of
from pipeline.report.mixture.comparison import NO_DIFFERENCE
from pipeline.report.page import render

MOST_SLICES = 16  # drawn; the table below has all
NAMED = 90  # characters of a question beside a plot
WHICH = {"lost": "made worse", "gained": "made better", "hard": "predicts worst"}


def write_errors(found: Round, *, path: Path) -> None:
    """Write the page, in place of an earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(_content(found), template="errors.html"))


def _content(found: Round) -> dict[str, Any]:
    findings = sorted(found.findings, key=lambda claim: claim.adjusted or 0)
    passed = {claim.id for claim in findings}
    tested = [claim for claim in found.claims if claim.status != "void" and claim.id not in passed]
    return {
        "found": found,
        "version": __version__,
        "which": WHICH[found.which],
        "headline": _headline(found),
        "sentence": _sentence(found),
        "findings": findings,
        "forest": _claims_drawn(findings),
        "others": [(claim, _told(claim)) for claim in tested],
        "void": [claim for claim in found.claims if claim.status == "void"],
        "slices": _slices_drawn(found),
        "settled": sum(each.settled for each in found.slices),
        "level": LEVEL,
        "percent": _percent,
    }


def _headline(found: Round) -> str:
    if found.void:
        return "Nothing of this round counts"
    number = len(found.findings)
    return f"{figures.counted(number, 'finding')}" if number else "No claim passed its test"


def _sentence(found: Round) -> str:
    """Say what came out, in a line or two."""
    if found.void:
        return f"{found.void[0].upper()}{found.void[1:]}."
    stated = figures.counted(len(found.claims), "claim")
    if found.findings:
        first = min(found.findings, key=lambda claim: claim.adjusted or 0)
        assert first.effect is not None
        return (
            f"Of {stated} about the documents that {found.other} {WHICH[found.which]}, {len(found.findings)} held on "
            f"documents that nobody had seen. The surest: {figures.excerpt(first.question, NAMED)} Yes of "
            f"{_percent(first.effect.worst)} of them and {_percent(first.effect.neutral)} of those like them."
        )
    beside = (
        f" So many documents show what {_percent(found.detectable)} of the worst and 10 % of the others have."
        if found.detectable
        else ""
    )
    return (
        f"{stated} stated, none held on documents that nobody had seen.{beside}"
        if found.claims
        else (f"Nothing sets the documents that {found.other} {WHICH[found.which]} apart.{beside}")
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _points(share: float) -> str:
    return figures.signed(100 * share, 0)


def _told(claim: Claim) -> str:
    if claim.tested is None or claim.adjusted is None:
        return "not tested"
    effect = claim.tested
    bounds = f"{_points(effect.low)} to {_points(effect.high)} points"
    surely = "below 0.01" if claim.adjusted < 0.005 else f"{claim.adjusted:.2f}"
    return f"{_percent(effect.worst)} and {_percent(effect.neutral)} ({bounds}), p {surely}"


def _claims_drawn(claims: Sequence[Claim]) -> Forest | None:
    """Draw how many points more often the answer is yes among the worst documents."""
    effects = [(claim, claim.effect) for claim in claims if claim.effect is not None]
    if not effects:
        return None
    estimates = [
        Estimate(
            figures.excerpt(claim.question, NAMED), f"{_percent(effect.worst)} beside {_percent(effect.neutral)}",
            100 * effect.difference, 100 * effect.low, 100 * effect.high, strong=True,
            says="" if claim.measured is not None else "where it was tested",
        )
        for claim, effect in effects
    ]  # fmt: skip
    return forest_of(estimates, axis=_axis(estimates), text=lambda value: figures.signed(value, 0), marks=NO_DIFFERENCE)


def _slices_drawn(found: Round) -> Forest | None:
    drawn = sorted(found.slices, key=lambda each: not each.settled)[:MOST_SLICES]
    estimates = [
        Estimate(figures.excerpt(each.name, NAMED), _under(each), each.effect, each.low, each.high,
                 strong=each.settled, says="" if each.settled else "not settled")
        for each in drawn
    ]  # fmt: skip
    if not estimates:
        return None
    return forest_of(estimates, axis=_axis(estimates), text=lambda value: figures.signed(value, 3), marks=NO_DIFFERENCE)


def _under(each: Slice) -> str:
    return f"{figures.counted(each.documents, 'document')}, {figures.counted(each.groups, 'group')}"


def _axis(estimates: Sequence[Estimate]) -> Axis:
    ends = [0.0, *(end for each in estimates for end in (each.low, each.high) if end is not None)]
    pad = 0.05 * (max(ends) - min(ends)) or 0.001
    return Axis(min(ends) - pad, max(ends) + pad)
