"""A rule's verdicts -> the few documents that stand for each side of it: the nearest to the threshold, others drawn.

The parts are looked at twice: to count who stands on which side and who is nearest, then to find the rows of those that
were drawn by their place in the count. So no list of documents is ever held, and the choice does not depend on how the
documents are cut into parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.chain import BasePart, Link
from pipeline.core.rng import generator
from pipeline.core.step import Rule
from pipeline.decide import as_numbers, passes
from pipeline.report import figures
from pipeline.report.steps import Signals


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One document: a base part's number and a row in it."""

    part: int
    row: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """A document to quote and the deciding value, or why it stands here."""

    place: Place
    note: str


@dataclass(frozen=True, slots=True)
class Side:
    """The documents that a rule was the first to drop, or those that it let pass and that were kept in the end."""

    link: Link
    rule: Rule
    dropped: bool

    @property
    def name(self) -> str:
        return f"{self.link.label}.{self.rule.name}.{'dropped' if self.dropped else 'kept'}"

    def rows(self, verdicts: pa.Table, values: np.ndarray) -> np.ndarray:
        """Return the rows of one part that stand on this side, ascending."""
        if self.dropped:
            hit = pc.equal(verdicts.column("reason"), f"{self.link.label}.{self.rule.name}")
            return np.flatnonzero(pc.fill_null(hit, False).to_numpy())
        return np.flatnonzero(verdicts.column("kept").to_numpy() & passes(self.rule, values) & ~np.isnan(values))


@dataclass(slots=True)
class _Tally:
    """What the first look at a side found: documents by part, up to three values, the nearest to the threshold."""

    counts: list[int] = field(default_factory=list)
    total: int = 0
    distinct: np.ndarray = field(default_factory=lambda: np.zeros(0))
    distance: float = np.inf
    nearest: int | None = None  # its place in the count

    def add(self, values: np.ndarray, *, threshold: float) -> None:
        start, self.total = self.total, self.total + len(values)
        self.counts.append(len(values))
        if not len(values):
            return
        if len(self.distinct) < 3:
            self.distinct = np.unique(np.concatenate([self.distinct, values]))[:3]
        distances = np.abs(values - threshold)
        least = int(distances.argmin())
        if self.nearest is None or distances[least] < self.distance:
            self.nearest, self.distance = start + least, float(distances[least])

    def draw(self, *, per_side: int, name: str, dataset: str) -> list[int]:
        """Return places in the count: the nearest where the values differ, then others at random, ascending."""
        first = [self.nearest] if self.nearest is not None and len(self.distinct) > 2 else []
        size = min(per_side - len(first), self.total - len(first))
        drawn = generator(0, "report", dataset, name).choice(self.total - len(first), size=size, replace=False)
        return first + sorted(int(place) + bool(first and place >= first[0]) for place in drawn)


def choose(
    signals: Signals, link: Link, sides: Sequence[Side], *, dataset: str, per_side: int
) -> dict[Side, list[Chosen]]:
    """Return documents for each side, the nearest to the threshold first where the values differ."""
    tallies = {side: _Tally() for side in sides}
    for _, verdicts, values in _pieces(signals, link, sides, signals.evidence.chain.base):
        for side, tally in tallies.items():
            mine = values[side.rule.signal]
            tally.add(mine[side.rows(verdicts, mine)], threshold=side.rule.threshold)
    drawn = {side: tally.draw(per_side=per_side, name=side.name, dataset=dataset) for side, tally in tallies.items()}
    starts = {side: np.concatenate([[0], np.cumsum(tally.counts)]) for side, tally in tallies.items()}
    needed = [
        part
        for number, part in enumerate(signals.evidence.chain.base)
        if any(starts[side][number] <= place < starts[side][number + 1] for side in sides for place in drawn[side])
    ]
    numbers = {part.index: number for number, part in enumerate(signals.evidence.chain.base)}
    found: dict[Side, dict[int, Chosen]] = {side: {} for side in sides}
    for part, verdicts, values in _pieces(signals, link, sides, needed):
        for side in sides:
            start, stop = starts[side][numbers[part.index]], starts[side][numbers[part.index] + 1]
            inside = [place for place in drawn[side] if start <= place < stop]
            mine = values[side.rule.signal]
            rows = side.rows(verdicts, mine) if inside else np.zeros(0, np.int64)
            for place in inside:
                row = int(rows[place - start])
                nearest = place == tallies[side].nearest and len(tallies[side].distinct) > 2
                found[side][place] = Chosen(Place(part.index, row), _note(side.rule, mine[row], nearest=nearest))
    return {side: [found[side][place] for place in drawn[side]] for side in sides}


def _note(rule: Rule, value: float, *, nearest: bool) -> str:
    return f"{rule.signal} {figures.beside(float(value), rule.threshold)}{', nearest to the threshold' * nearest}"


def _pieces(
    signals: Signals, link: Link, sides: Sequence[Side], parts: Sequence[BasePart]
) -> Iterator[tuple[BasePart, pa.Table, dict[str, np.ndarray]]]:
    """Yield each part with its verdicts and the values that the sides' rules look at."""
    names = list(dict.fromkeys(side.rule.signal for side in sides))
    for part in parts if names else ():
        table = signals.evidence.signals(link, part, names)
        verdicts = signals.evidence.verdicts(part, ["kept", "reason"])
        yield part, verdicts, {name: as_numbers(table.column(name)) for name in names}
