"""A rule's verdicts -> the few documents that stand for each side of it: the nearest to the threshold, others drawn.

The parts are looked at twice (`looks.py`): to count who stands on which side and who is nearest, then to find the rows
of those that were drawn by their place in the count. So no list of documents is ever held, and the choice does not
depend on how the documents are cut into parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.arrow import as_flags, as_numbers
from pipeline.core.rng import generator
from pipeline.core.step import Rule
from pipeline.report.dataset.signals import Signals
from pipeline.report.draw import figures
from pipeline.report.draw.bins import three_of
from pipeline.store.dataset.chain import BasePart, Link
from pipeline.store.dataset.decide import passes
from pipeline.store.evidence import Evidence

DUPLICATE_OF = "duplicate_of"  # signal of a deduplication: id of the document kept instead
SignalName = tuple[str, str]  # a step's label and a signal of it


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One document: a base part's number and a row in it."""

    part: int
    row: int


@dataclass(frozen=True, slots=True)
class Quoted:
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
    def signal(self) -> SignalName:
        return self.link.label, self.rule.signal

    @property
    def reason(self) -> str:
        return f"{self.link.label}.{self.rule.name}"

    @property
    def name(self) -> str:
        return f"{self.reason}.{'dropped' if self.dropped else 'kept'}"


def sides_of(signals: Signals, reasons: Mapping[str, int]) -> list[Side]:
    """Return the sides of all rules that dropped something first; opposite a duplicate stands what was kept."""
    found = []
    for link in signals.evidence.chain.links:
        sides = (True,) if DUPLICATE_OF in signals.texts(link) else (True, False)
        rules = [rule for rule in link.rules if reasons.get(f"{link.label}.{rule.name}", 0)]
        found += [Side(link, rule, dropped) for rule in rules for dropped in sides]
    return found


class PartSides:
    """One part: the values that rules look at, and who stands on which side if anyone asks (`sided`)."""

    def __init__(self, evidence: Evidence, part: BasePart, names: Sequence[SignalName], *, sided: bool) -> None:
        self.part = part
        self.values: dict[SignalName, np.ndarray] = {}  # float64[rows of the part]
        for link in evidence.chain.links:
            wanted = [signal for label, signal in names if label == link.label]
            if wanted:
                table = evidence.signals(link, part, wanted)
                self.values |= {(link.label, name): as_numbers(table.column(name)) for name in wanted}
        if sided:
            self._sort(evidence.verdicts(part, ["kept", "reason"]))

    @property
    def num_bytes(self) -> int:
        """What its values take."""
        return sum(values.nbytes for values in self.values.values())

    def _sort(self, verdicts: pa.Table) -> None:
        """Note who was kept, and who was dropped by each reason."""
        self._kept = np.flatnonzero(as_flags(verdicts.column("kept")))
        reasons = pc.dictionary_encode(verdicts.column("reason")).combine_chunks()
        numbers = as_numbers(reasons.indices)
        given = np.flatnonzero(~np.isnan(numbers))
        order = given[np.argsort(numbers[given], kind="stable")]
        ends = np.searchsorted(numbers[order], np.arange(len(reasons.dictionary) + 1))
        self._dropped = {
            reason: order[ends[number] : ends[number + 1]]
            for number, reason in enumerate(reasons.dictionary.to_pylist())
        }

    def rows(self, side: Side) -> np.ndarray:
        """Return the rows that stand on a side, ascending."""
        if side.dropped:
            return self._dropped.get(side.reason, self._kept[:0])
        values = self.values[side.signal][self._kept]
        return self._kept[passes(side.rule, values) & ~np.isnan(values)]


@dataclass
class SideTally:
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
            self.distinct = three_of(np.concatenate([self.distinct, values]))
        distances = np.abs(values - threshold)
        least = int(distances.argmin())
        if self.nearest is None or distances[least] < self.distance:
            self.nearest, self.distance = start + least, float(distances[least])

    def join(self, other: SideTally) -> None:
        """Add what was counted of the part that comes next."""
        self.counts += other.counts
        if other.nearest is not None and (self.nearest is None or other.distance < self.distance):
            self.nearest, self.distance = self.total + other.nearest, other.distance
        self.total += other.total
        if len(self.distinct) < 3:
            self.distinct = np.unique(np.concatenate([self.distinct, other.distinct]))[:3]

    def draw(self, *, per_side: int, name: str, dataset: str) -> list[int]:
        """Return places in the count: the nearest where the values differ, then others at random, ascending."""
        first = [self.nearest] if self.nearest is not None and len(self.distinct) > 2 else []
        size = min(per_side - len(first), self.total - len(first))
        drawn = generator(0, "report", dataset, name).choice(self.total - len(first), size=size, replace=False)
        return first + sorted(int(place) + bool(first and place >= first[0]) for place in drawn)

    @cached_property
    def starts(self) -> np.ndarray:
        """The places in the count at which the parts begin; asked once all are counted."""
        return np.cumsum([0, *self.counts])

    def inside(self, places: Sequence[int], number: int) -> list[int]:
        """Return those of some places in the count that lie in one part, by its position."""
        return [place for place in places if self.starts[number] <= place < self.starts[number + 1]]

    def chosen(self, places: Sequence[int], piece: PartSides, side: Side) -> dict[int, Quoted]:
        """Return the documents at places that lie in a piece."""
        rows, found = piece.rows(side), {}
        start = int(self.starts[np.searchsorted(self.starts, places[0], side="right") - 1])
        for place in places:
            row = int(rows[place - start])
            nearest = place == self.nearest and len(self.distinct) > 2
            found[place] = Quoted(
                Place(piece.part.index, row), _note(side.rule, piece.values[side.signal][row], nearest=nearest)
            )
        return found


def _note(rule: Rule, value: float, *, nearest: bool) -> str:
    return f"{rule.signal} {figures.beside(float(value), rule.threshold)}{', nearest to the threshold' * nearest}"
