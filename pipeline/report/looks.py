"""A dataset's signals and verdicts -> bins of every signal that a rule reads, and the documents to quote, in two looks.

The first look finds the range of the values, and who stands on which side of a rule and who is nearest; the second
counts into bins and finds the rows of the documents drawn. Both go part by part with all steps side by side. What the
first look read is held for the second up to MOST_HELD, the rest is read again: the memory is that and one part.
463,600 documents with 33 signals: 0.4 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.rng import generator
from pipeline.core.step import Rule
from pipeline.report.bins import MOST_DRAWN, Spread, counted
from pipeline.report.charts import Bins
from pipeline.report.chosen import Chosen, Piece, Side, SignalName, Tally
from pipeline.report.signals import Signals
from pipeline.store.chain import BasePart
from pipeline.store.decide import passes

MOST_HELD = 32 << 20  # bytes of values between the looks: of 120,000 documents with 33 signals


@dataclass(frozen=True, slots=True)
class Looks:
    """What two looks found. A signal with fewer than three values has no bins."""

    bins: Mapping[SignalName, Bins]
    num_values: Mapping[SignalName, int]
    chosen: Mapping[Side, Sequence[Chosen]]  # the nearest to the threshold first where the values differ


def look_twice(signals: Signals, sides: Sequence[Side], *, dataset: str, per_side: int) -> Looks:
    """Return bins of all that rules read, and `per_side` documents for each of some sides."""
    base = signals.evidence.chain.base
    rules: dict[SignalName, list[Rule]] = {}
    for link in signals.evidence.chain.links:
        for rule in link.rules:
            rules.setdefault((link.label, rule.signal), []).append(rule)
    spreads = {name: Spread() for name in rules}
    tallies = [Tally() for _ in sides]
    held: dict[int, Piece] = {}
    num_held = 0
    for number, part in enumerate(base):
        piece, drawn = Piece(signals, part, list(rules), sided=bool(sides)), _drawn(part, base)
        num_held += piece.num_bytes
        if num_held <= MOST_HELD:
            held[number] = piece
        for name, spread in spreads.items():
            spread.add(piece.values[name], drawn=drawn)
        for side, tally in zip(sides, tallies, strict=True):
            tally.add(piece.values[side.signal][piece.rows(side)], threshold=side.rule.threshold)
    empty = {name: spread.bins([rule.threshold for rule in rules[name]]) for name, spread in spreads.items()}
    bins = {name: found for name, found in empty.items() if found is not None}
    places = [
        tally.draw(per_side=per_side, name=side.name, dataset=dataset)
        for side, tally in zip(sides, tallies, strict=True)
    ]
    found: list[dict[int, Chosen]] = [{} for _ in sides]
    for number, part in enumerate(base):
        inside = [tally.inside(mine, number) for tally, mine in zip(tallies, places, strict=True)]
        piece = held.pop(number) if number in held else Piece(signals, part, list(rules), sided=any(inside))
        for name in bins:
            bins[name] = counted(bins[name], piece.values[name], _failed(rules[name], piece.values[name]))
        for side, tally, here, chosen in zip(sides, tallies, inside, found, strict=True):
            chosen |= tally.chosen(here, piece, side) if here else {}
    return Looks(
        bins=bins,
        num_values={name: spread.num_values for name, spread in spreads.items()},
        chosen={side: [had[place] for place in mine] for side, had, mine in zip(sides, found, places, strict=True)},
    )


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
