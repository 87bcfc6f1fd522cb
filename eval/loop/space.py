"""What a night may change in, points of it as plain numbers out: weights on a simplex and knobs on the unit interval.

A point knows no recipe. A knob's place is kept in thousandths of its range, weights in thousandths of the mixture, so
that a point that was tried is known again. A change is what two points differ in: a knob, or the weights as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from eval.search.simplex import Limits, distances, rounded
from pipeline.core.errors import RecipeError

Value = float | int | str | bool
WEIGHTS = "weights"  # the name of the change of all weights
PLACES = 3  # decimals of a knob's place and of a weight


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting that may move: a number between two others, one of some choices, or on and off."""

    name: str
    kind: Literal["float", "int", "choice", "flag"]
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        """Raise RecipeError where nothing could move."""
        if self.kind == "choice" and len(set(self.choices)) < 2:
            raise RecipeError(f"{self.name}: {len(set(self.choices))} choice; a knob needs at least 2. Name more.")
        if self.kind in ("float", "int") and not self.low < self.high:
            raise RecipeError(f"{self.name}: from {self.low:g} to {self.high:g}; the range holds nothing. Widen it.")
        if self.log and not self.low > 0:
            raise RecipeError(f"{self.name}: log from {self.low:g}; a logarithm needs more than 0. Raise low.")

    @property
    def is_ordered(self) -> bool:
        """Say whether places of the knob lie nearer to and farther from each other."""
        return self.kind in ("float", "int")

    @property
    def values(self) -> tuple[Value, ...]:
        """The values of a knob that has no order."""
        return (False, True) if self.kind == "flag" else self.choices

    def to_unit(self, value: Value) -> float:
        """Return a value's place between 0 and 1. Raises RecipeError outside of what the knob may be."""
        if not self.is_ordered:
            if value not in self.values:
                raise RecipeError(f"{self.name} is {value!r}; it must be one of {list(self.values)}. Add it.")
            return round(self.values.index(value) / (len(self.values) - 1), PLACES)
        number = float(value)
        if not self.low <= number <= self.high:
            raise RecipeError(
                f"{self.name} is {number:g}; it must lie from {self.low:g} to {self.high:g}. Widen these."
            )
        low, high, number = (math.log(each) if self.log else each for each in (self.low, self.high, number))
        return round((number - low) / (high - low), PLACES)

    def beyond(self, place: float) -> float:
        """Return a value outside the range by half of it, on the side of a place; on a log scale by its root."""
        if self.log:
            step = math.sqrt(self.high / self.low)
            return self.high * step if place > 0.5 else self.low / step
        step = (self.high - self.low) / 2
        return self.high + step if place > 0.5 else self.low - step

    def from_unit(self, place: float) -> Value:
        """Return the value at a place; a number has four significant digits."""
        if not self.is_ordered:
            return self.values[round(place * (len(self.values) - 1))]
        low, high = (math.log(each) if self.log else each for each in (self.low, self.high))
        number = low + place * (high - low)
        number = min(max(math.exp(number) if self.log else number, self.low), self.high)
        return round(number) if self.kind == "int" else float(f"{number:.4g}")

    def snapped(self, place: float) -> float:
        """Return the place of the value that a place stands for."""
        place = min(max(float(place), 0.0), 1.0)
        return round(place, PLACES) if self.kind == "float" else self.to_unit(self.from_unit(place))

    def drawn(self, rng: np.random.Generator) -> float:
        """Return a place where every value is as likely."""
        if self.is_ordered:
            return self.snapped(float(rng.uniform()))
        return self.to_unit(self.values[int(rng.integers(len(self.values)))])


@dataclass(frozen=True, slots=True)
class Point:
    """Weights of the datasets, and a place between 0 and 1 for each knob; None where nothing is mixed."""

    weights: tuple[float, ...] | None
    knobs: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"weights": None if self.weights is None else list(self.weights), "knobs": list(self.knobs)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Point:
        """Return what `as_json` wrote."""
        weights = data["weights"]
        return cls(None if weights is None else tuple(map(float, weights)), tuple(map(float, data["knobs"])))


@dataclass(frozen=True, slots=True)
class Space:
    """All that may move. `limits` are those of the datasets' weights, None where nothing is mixed."""

    datasets: tuple[str, ...]
    limits: Limits | None
    knobs: tuple[Knob, ...] = ()

    def __post_init__(self) -> None:
        """Raise RecipeError where nothing may move."""
        if not self.knobs and (self.limits is None or len(self.datasets) < 2):
            raise RecipeError("space: nothing in it may move; it needs two datasets or one knob. Name some.")

    def point(self, weights_D: Sequence[float] | np.ndarray | None, places_K: Sequence[float] | np.ndarray) -> Point:
        """Return the nearest point that the space holds."""
        weights = None
        if self.limits is not None:
            kept_D = self.limits.nearest(np.asarray(weights_D, np.float64)[None])
            weights = tuple(float(round(weight, PLACES)) for weight in rounded(kept_D, decimals=PLACES)[0])
        return Point(weights, tuple(knob.snapped(place) for knob, place in zip(self.knobs, places_K, strict=True)))

    def values(self, point: Point) -> dict[str, Value]:
        """Return the knobs' values by name."""
        return {knob.name: knob.from_unit(place) for knob, place in zip(self.knobs, point.knobs, strict=True)}

    def weights(self, points: Sequence[Point]) -> np.ndarray:
        """Return float64[N, D]; D is 0 where nothing is mixed."""
        count = 0 if self.limits is None else len(self.datasets)
        return np.array([point.weights or () for point in points], np.float64).reshape(len(points), count)

    def places(self, points: Sequence[Point]) -> np.ndarray:
        """Return float64[N, K]."""
        return np.array([point.knobs for point in points], np.float64).reshape(len(points), len(self.knobs))

    def changes(self, point: Point, *, since: Point) -> tuple[str, ...]:
        """Return the names of what two points differ in."""
        found = [WEIGHTS] if point.weights != since.weights else []
        places = zip(self.knobs, point.knobs, since.knobs, strict=True)
        return (*found, *(knob.name for knob, here, there in places if here != there))

    def with_changes(self, point: Point, names: Sequence[str], *, of: Point) -> Point:
        """Return a point with some changes taken over from another."""
        places = zip(self.knobs, point.knobs, of.knobs, strict=True)
        moved = replace(point, knobs=tuple(there if knob.name in names else here for knob, here, there in places))
        return replace(moved, weights=of.weights) if WEIGHTS in names else moved

    def distance(self, one: Point, other: Point) -> float:
        """Return how far apart two points are: 1 for the whole range of one knob, or for mixtures of other datasets."""
        squared = 0.0
        if self.limits is not None:
            squared = float(distances(self.weights([one]), self.weights([other]))[0, 0]) / 2
        for knob, here, there in zip(self.knobs, one.knobs, other.knobs, strict=True):
            squared += (here - there) ** 2 if knob.is_ordered else float(here != there)
        return math.sqrt(squared)
