"""The noise floor: how far two halves of the same documents lie apart, for any number that can be said of documents.

Every number is held against what chance does to it, and not against a constant: with enough documents everything is
significant, with few nothing is, and published thresholds for drift are conventions. The old documents are cut into
halves many times, between what comes together (`filters/audit/units.py`). How far the halves lie apart, at most, is the
floor; how far a half lies from as many of the new documents, on average, is the distance. So floor and distance come
from equally many documents, and what depends on their number, as duplicates do, is no drift. An alarm is a distance of
twice the floor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.rng import generator

ROUNDS = 20  # halvings; the most of twenty is about what chance exceeds once in twenty
ALARM = 2.0  # floors
LEAST_HALF = 100  # documents; of fewer the floor itself is too uncertain
UNSEEN = 3  # none of m seen is compatible with a rate of up to 3/m, at 95 %


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of two halves of the old documents, and of as many new ones."""

    first: np.ndarray
    second: np.ndarray
    other: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number or several that are said of a set of documents, and how far two sets lie apart in each."""

    of: Callable[[np.ndarray], np.ndarray]  # rows -> numbers, or what `apart` makes numbers of
    apart: Callable[[np.ndarray, np.ndarray], np.ndarray]  # float64[num_numbers], signed where a direction is meant
    least: Callable[[int], np.ndarray]  # the distances that so many documents cannot resolve


@dataclass(frozen=True, slots=True)
class Held:
    """Distances beside their floors; no distances where there is nothing to compare with."""

    floors: np.ndarray  # float64[num_numbers]
    distances: np.ndarray | None


def times(distance: float | None, floor: float) -> float | None:
    """Return how many floors a distance is."""
    if distance is None:
        return None
    return abs(distance) / floor if floor > 0 else 0.0 if distance == 0 else float("inf")


def splits_of(
    old: np.ndarray, new: np.ndarray | None, *, seed: int, rounds: int = ROUNDS, units: np.ndarray | None = None
) -> list[Split]:
    """Cut rows of old documents into halves, each time with as many new ones, drawn blindly.

    Of rows with one number in `units`, int64[num_docs], all are drawn together, so that a cut goes through one at most.
    """
    half = len(old) // 2 if new is None else min(len(old) // 2, len(new))
    found = []
    for number in range(rounds):
        draw = generator(seed, "split", number)
        rows = _drawn(draw, old, units)
        other = None if new is None else _drawn(draw, new, units)[:half]
        found.append(Split(rows[:half], rows[half : 2 * half], other))
    return found


def _drawn(draw: np.random.Generator, rows: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    rows = draw.permutation(rows)
    if units is None:
        return rows
    found, codes = np.unique(units[rows], return_inverse=True)
    return rows if len(found) == len(rows) else rows[np.argsort(draw.permutation(len(found))[codes], kind="stable")]


def hold(statistic: Statistic, splits: Sequence[Split]) -> Held:
    """Return how far the new documents lie from the old, beside how far the old ones' halves lie apart at most."""
    floors, distances = statistic.least(len(splits[0].first)), []
    for split in splits:
        first = statistic.of(split.first)
        floors = np.maximum(floors, np.abs(statistic.apart(first, statistic.of(split.second))))
        if split.other is not None:
            distances.append(statistic.apart(first, statistic.of(split.other)))
    return Held(floors, np.mean(distances, axis=0) if distances else None)
