"""Mixtures side by side -> one self-contained page: gains with intervals, what they are made of, curves, documents.

No script and no request, as the report of a run, whose drawings and style it shares; numbers are those of the record.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import __version__
from pipeline.core.files.writing.durable import write_text
from pipeline.experiment.findings.side_by_side import Beside, SideBySide, says, shares_by_dataset
from pipeline.experiment.lanes import CURVE
from pipeline.plan.lanes import LaneName
from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis, Interval, interval, ruler
from pipeline.report.draw.forest import Forest, Row
from pipeline.report.mixture.comparison import NO_DIFFERENCE
from pipeline.report.mixture.experiment import (
    HUES,
    CurvePlot,
    curve_plot,
    decimals_for,
    known_points,
)
from pipeline.report.mixture.heldout import HeldOut, held_out_shown
from pipeline.report.page import render

if TYPE_CHECKING:
    from eval.verdict.paired import Gain


@dataclass(frozen=True, slots=True)
class OtherShown:
    """One mixture beside the first, as the page shows it."""

    beside: Beside
    summary: str
    forest: Forest | None  # None where the one of all mixtures says the same
    held_out: tuple[HeldOut, ...]


def write_compared(found: SideBySide, *, path: Path) -> None:
    """Write the page, in place of an earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(_content(found), template="compared.html"))


def _content(found: SideBySide) -> dict[str, Any]:
    gains = [gain for other in found.others for gain in other.gains]
    decimals = decimals_for([{"low": gain.low, "high": gain.high} for gain in gains], 0.0)
    axis = _axis(gains)
    kinds = _kinds(found)
    many = len(found.others) > 1
    return {
        "found": found,
        "version": __version__,
        "headline": _headline(found),
        "summary": _summary(found),
        "decimals": decimals,
        "many": many,
        "overall": _forest([(other.name, other.overall, _pairs(other)) for other in found.others], axis, decimals)
        if many
        else None,
        "others": [_other(found, other, axis=axis, decimals=decimals) for other in found.others],
        "kinds": kinds,
        "shares": list(shares_by_dataset(found.made).items()),
        "curves": _curves(found, kinds),
        "says": says,
    }


def _kinds(found: SideBySide) -> dict[str, str]:
    """Return the class of each mixture's curves: the first grey, a single other one in the accent, several in hues."""
    names = [other.name for other in found.others]
    hues = [f"other hue{number}" for number in range(1, HUES + 1)] if len(names) > 1 else ["candidate"]
    others = {name: hues[place] if place < len(hues) else "other" for place, name in enumerate(names)}
    return {found.first: "baseline"} | others


def _headline(found: SideBySide) -> str:
    """Say in a few words how the others stand."""
    words = [says(other.overall) for other in found.others]
    if len(words) == 1:
        (other,) = found.others
        return "Not settled" if words == ["not settled"] else f"{other.name} is {words[0]} than {found.first}"
    better = words.count("better")
    if set(words) == {"not settled"}:
        return f"None of {len(words)} differs from {found.first} beyond chance"
    return f"{better or 'None'} of {len(words)} {'are' if better > 1 else 'is'} better than {found.first}"


def _summary(found: SideBySide) -> str:
    """Say what came out, in a line."""
    if len(found.others) == 1:
        (other,) = found.others
        return _sentence(found, other)
    counts = {word: sum(says(other.overall) == word for other in found.others) for word in ("better", "worse")}
    said = [f"{count} better" if word == "better" else f"{count} worse" for word, count in counts.items() if count]
    open_ = len(found.others) - sum(counts.values())
    said += [f"{open_} not settled"] if open_ else []
    return f"{len(found.others)} mixtures beside {found.first}: {', '.join(said)}."


def _sentence(found: SideBySide, other: Beside) -> str:
    gain = other.overall
    decimals = decimals_for([{"low": gain.low, "high": gain.high}], 0.0)
    amount = f"{figures.fixed(abs(gain.gain), decimals)} bits per byte {'less' if gain.gain >= 0 else 'more'}"
    bounds = f"{figures.signed(gain.low, decimals)} to {figures.signed(gain.high, decimals)}"
    fact = f"{other.name} needs {amount} than {found.first} (gain {bounds}, {100 * found.confidence_of_each:.4g} %)"
    settled = {"better": "so it is better here", "worse": "so it is worse here"}
    return f"{fact}, {settled.get(says(gain), 'which does not settle which of the two is better')}."


def _other(found: SideBySide, other: Beside, *, axis: Axis, decimals: int) -> OtherShown:
    rows = [(gain.domain, gain, _documents(gain)) for gain in other.gains]
    alone = len(found.others) > 1 and len(other.domains) == 1  # the plot of all mixtures has this row
    return OtherShown(
        beside=other,
        summary=_sentence(found, other),
        forest=None if alone else _forest(rows, axis, decimals),
        held_out=tuple(held_out_shown(changed, against=found.first) for changed in other.changed),
    )


def _pairs(other: Beside) -> str:
    return f"{figures.counted(len(other.seeds), 'pair')} of proxies"


def _documents(gain: Gain) -> str:
    return f"{figures.counted(gain.num_documents, 'document')}, {figures.counted(gain.num_clusters, 'group')}"


def _axis(gains: Sequence[Gain]) -> Axis:
    """Return one axis for all plots of the page."""
    ends = [0.0, *(end for gain in gains for end in (gain.low, gain.high, *gain.per_seed))]
    pad = 0.05 * (max(ends) - min(ends)) or 0.001
    return Axis(min(ends) - pad, max(ends) + pad)


def _forest(rows: Sequence[tuple[str, Gain, str]], axis: Axis, decimals: int) -> Forest:
    """Draw gains over an axis; dots below an interval are pairs of proxies."""
    drawn = []
    for name, gain, under in rows:
        value, word = figures.signed(gain.gain, decimals), says(gain)
        bounds = f"{figures.signed(gain.low, decimals)} to {figures.signed(gain.high, decimals)}"
        settled = word != "not settled"
        picture = interval(
            Interval(gain.gain, gain.low, gain.high, points=gain.per_seed),
            axis=axis, marks=NO_DIFFERENCE, strong=settled,
            title=f"{name}: gain {value} bits per byte, interval {bounds}, {word}",
        )  # fmt: skip
        drawn.append(Row(name=name, picture=picture, gain=value, range=bounds, guard=under, strong=settled, says=word))
    return Forest(rows=tuple(drawn), axis=ruler(axis, marks=NO_DIFFERENCE))


def _curves(found: SideBySide, kinds: dict[str, str]) -> CurvePlot | None:
    """Return the training curves, as far as they are there."""
    paths = {lane: folder / CURVE for lane, folder in found.lanes.items()}
    curves = {
        lane: points
        for lane, path in paths.items()
        if path.exists() and (points := known_points(json.loads(path.read_bytes())["points"]))
    }
    return curve_plot(curves, rate=found.learning_rate, kinds=kinds) if _all_have(curves, kinds) else None


def _all_have(curves: dict[LaneName, Any], kinds: dict[str, str]) -> bool:
    return {lane.mixture for lane in curves} == kinds.keys()
