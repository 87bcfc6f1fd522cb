"""What an audit found: numbers of a dataset beside their noise floors, and the tables that explain them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from filters.audit.floor import ALARM, times

Unit = Literal[
    "share", "bits", "area", "per million words", "effective", "gini", "log-odds", "tokens per byte", "bytes per word",
    "words",
]  # fmt: skip
RATIOS = frozenset({"effective", "tokens per byte", "bytes per word", "words"})  # whose distance is a logarithm


@dataclass(frozen=True, slots=True)
class Found:
    """One number. `distance` is of the audited dataset from the one that it is held against, None without one."""

    group: str
    name: str
    unit: Unit
    value: float | None  # of the audited dataset; None of what is only a distance
    other: float | None
    distance: float | None
    floor: float  # how far halves of the same documents lie apart, at most
    told: tuple[str, ...] = ()  # what moved
    trend: bool = False  # says something of the whole, and nothing of one document

    @property
    def times(self) -> float | None:
        """How many floors the distance is; an area below a half tells nothing apart."""
        if self.unit == "area" and self.distance is not None:
            return times(max(self.distance, 0.0), self.floor)
        return times(self.distance, self.floor)

    @property
    def level(self) -> Literal["alarm", "near", "quiet", "floor only"]:
        """An alarm is twice the floor; what is beyond the floor and not yet twice deserves a second look."""
        if self.times is None:
            return "floor only"
        return "alarm" if self.times >= ALARM else "near" if self.times > 1 else "quiet"


@dataclass(frozen=True, slots=True)
class Row:
    """A category with its share of the documents in both datasets."""

    name: str
    share: float
    other: float | None


@dataclass(frozen=True, slots=True)
class AuditedSide:
    """One dataset as far as it was read."""

    name: str
    folder: str
    documents: int  # of the dataset
    read: int  # of these
    bytes_read: int
    words_read: int


@dataclass(frozen=True, slots=True)
class Audited:
    """All of it: `of` is the audited dataset, `against` the one that it is held against."""

    of: AuditedSide
    against: AuditedSide | None
    seed: int
    rounds: int  # halvings behind each floor
    half: int  # documents on each side of a halving
    cut_by: str  # what halves were cut between
    numbers: tuple[Found, ...]  # the worst first
    tables: Mapping[str, tuple[Row, ...]]
    stored: tuple[str, ...]  # what the chain measured and keeps
    notes: tuple[str, ...]  # what was not measured, and why

    @property
    def alarms(self) -> tuple[Found, ...]:
        return tuple(number for number in self.numbers if number.level == "alarm")

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        numbers = [asdict(number) | {"times": number.times, "level": number.level} for number in self.numbers]
        return asdict(self) | {"numbers": numbers, "alarms": len(self.alarms)}
