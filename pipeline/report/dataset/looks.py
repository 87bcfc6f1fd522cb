"""A dataset's signals and verdicts -> bins of every signal that a rule reads, and the documents to quote, in two looks.

The first look finds the range of the values, and who stands on which side of a rule and who is nearest; the second
counts into bins and finds the rows of the documents drawn. Both go part by part with all steps side by side, in worker
processes where there are some. What the first look read is held for the second up to MOST_HELD, the rest is read again:
the memory of a process is that and one part. 463,600 documents with 33 signals: 0.4 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.rng import generator
from pipeline.core.step import Rule
from pipeline.report.dataset.chosen import PartSides, Quoted, Side, SideTally, SignalName
from pipeline.report.dataset.signals import Signals
from pipeline.report.draw.bins import MOST_DRAWN, Spread, counted, joined
from pipeline.report.draw.charts import Bins
from pipeline.store.dataset.chain import BasePart
from pipeline.store.dataset.decide import passes
from pipeline.store.evidence import Evidence

MOST_HELD = 64 << 20  # bytes of values that a process keeps between the looks: of 250,000 documents with 33 signals
Rules = Mapping[SignalName, Sequence[Rule]]


@dataclass(frozen=True, slots=True)
class Looks:
    """What two looks found. A signal with fewer than three values has no bins."""

    bins: Mapping[SignalName, Bins]
    num_values: Mapping[SignalName, int]
    chosen: Mapping[Side, Sequence[Quoted]]  # the nearest to the threshold first where the values differ


@dataclass(frozen=True, slots=True)
class _First:
    """A part to look at first."""

    evidence: Evidence
    part: BasePart
    rules: Rules
    sides: Sequence[Side]
    drawn: np.ndarray | None


@dataclass(frozen=True, slots=True)
class _Second:
    """A part to look at again, with bins to count into and the rows wanted of each side, by place in its count."""

    evidence: Evidence
    part: BasePart
    rules: Rules
    bins: Mapping[SignalName, Bins]
    wanted: Sequence[tuple[Side, SideTally, Sequence[int]]]


def look_twice(signals: Signals, sides: Sequence[Side], *, dataset: str, per_side: int) -> Looks:
    """Return bins of all that rules read, and `per_side` documents for each of some sides."""
    evidence, base = signals.evidence, signals.evidence.chain.base
    rules: dict[SignalName, list[Rule]] = {}
    for link in evidence.chain.links:
        for rule in link.rules:
            rules.setdefault((link.label, rule.signal), []).append(rule)
    spreads = {name: Spread() for name in rules}
    tallies = [SideTally() for _ in sides]
    for found_spreads, found_tallies in signals.map(
        _look, [_First(evidence, part, rules, sides, _drawn(part, base)) for part in base]
    ):
        for name, spread in spreads.items():
            spread.join(found_spreads[name])
        for tally, found in zip(tallies, found_tallies, strict=True):
            tally.join(found)
    empty = {name: spread.bins([rule.threshold for rule in rules[name]]) for name, spread in spreads.items()}
    bins = {name: found for name, found in empty.items() if found is not None}
    places = [
        tally.draw(per_side=per_side, name=side.name, dataset=dataset)
        for side, tally in zip(sides, tallies, strict=True)
    ]
    jobs = []
    for number, part in enumerate(base):
        inside = [tally.inside(mine, number) for tally, mine in zip(tallies, places, strict=True)]
        wanted = [each for each in zip(sides, tallies, inside, strict=True) if each[2]]
        jobs.append(_Second(evidence, part, rules, bins, wanted))
    chosen: dict[Side, dict[int, Quoted]] = {side: {} for side in sides}
    counts = dict(bins)
    for found_bins, found_chosen in signals.map(_look_again, jobs):
        counts = {name: joined(counts[name], found) for name, found in found_bins.items()}
        for side, found in found_chosen:
            chosen[side] |= found
    _held.clear()
    return Looks(
        bins=counts,
        num_values={name: spread.num_values for name, spread in spreads.items()},
        chosen={side: [chosen[side][place] for place in mine] for side, mine in zip(sides, places, strict=True)},
    )


def _look(job: _First) -> tuple[dict[SignalName, Spread], list[SideTally]]:
    """Return the range of each signal's values, and who stands on which side."""
    piece = PartSides(job.evidence, job.part, list(job.rules), sided=bool(job.sides))
    for key in [key for key in _held if key[0] != job.evidence.folder]:
        del _held[key]  # of an earlier dataset, looked at again by another process
    if piece.num_bytes + sum(other.num_bytes for other in _held.values()) <= MOST_HELD:
        _held[job.evidence.folder, job.part.index] = piece
    spreads = {name: Spread() for name in job.rules}
    for name, spread in spreads.items():
        spread.add(piece.values[name], drawn=job.drawn)
    tallies = [SideTally() for _ in job.sides]
    for side, tally in zip(job.sides, tallies, strict=True):
        tally.add(piece.values[side.signal][piece.rows(side)], threshold=side.rule.threshold)
    return spreads, tallies


def _look_again(job: _Second) -> tuple[dict[SignalName, Bins], list[tuple[Side, dict[int, Quoted]]]]:
    """Return the bins of this part, and the documents wanted of it."""
    piece = _held.pop((job.evidence.folder, job.part.index), None)
    if piece is None:
        piece = PartSides(job.evidence, job.part, list(job.rules), sided=bool(job.wanted))
    bins = {
        name: counted(found, piece.values[name], _failed(job.rules[name], piece.values[name]))
        for name, found in job.bins.items()
    }
    return bins, [(side, tally.chosen(here, piece, side)) for side, tally, here in job.wanted]


_held: dict[tuple[Path, int], PartSides] = {}  # of this process, from the first look


def _failed(rules: Sequence[Rule], values: np.ndarray) -> np.ndarray:
    failed = np.zeros(len(values), dtype=bool)
    for rule in rules:
        failed |= ~passes(rule, values)
    return failed


def _drawn(part: BasePart, base: Sequence[BasePart]) -> np.ndarray | None:
    """Return which rows of a part the range of a histogram is taken of; None for all."""
    share = MOST_DRAWN / max(sum(other.num_rows for other in base), 1)
    if share >= 1:
        return None
    drawn: np.ndarray = generator(0, "report", "histograms", part.index).random(part.num_rows) < share
    return drawn
