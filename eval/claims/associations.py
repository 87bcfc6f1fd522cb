"""Answers to yes-or-no questions about pairs of a worst and a neutral document -> what each question shows, how surely.

If a question has nothing to do with the sides, the two answers of a pair may as well be exchanged: an exact permutation
test, whose distribution over the pairs that differ is binomial (McNemar 1947), at any size and however rare a yes is.
All claims of a round are one family, those that must fail and the one that must pass among them, and Holm's step-down
holds the chance of a single false one below 5 %. The interval is that of Agresti and Min (2005).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVEL = 0.05  # chance that any false claim of a round passes
CONFIDENCE = 0.95  # of an interval


@dataclass(frozen=True, slots=True)
class Association:
    """One question: shares of yes on both sides, of the pairs of which both were answered."""

    worst: float
    neutral: float
    low: float  # of the difference, 95 %
    high: float
    p_value: float  # of a difference in the claimed direction
    pairs: int


def associations_of(worst_NQ: np.ndarray, neutral_NQ: np.ndarray, *, directions: Sequence[int]) -> list[Association]:
    """Return what every question shows: answers are 1 and 0, NaN where there is none.

    A direction of 1 claims a yes more often on the worst side, -1 less often.
    """
    return [
        _association(worst_N, neutral_N, direction)
        for worst_N, neutral_N, direction in zip(worst_NQ.T, neutral_NQ.T, directions, strict=True)
    ]


def _association(worst_N: np.ndarray, neutral_N: np.ndarray, direction: int) -> Association:
    known = ~(np.isnan(worst_N) | np.isnan(neutral_N))
    worst, neutral = worst_N[known] == 1, neutral_N[known] == 1
    pairs, only_worst, only_neutral = len(worst), int((worst & ~neutral).sum()), int((neutral & ~worst).sum())
    low, high = _interval(only_worst, only_neutral, pairs)
    reached = only_worst if direction > 0 else only_neutral
    return Association(
        worst=float(worst.mean()) if pairs else 0.0,
        neutral=float(neutral.mean()) if pairs else 0.0,
        low=low,
        high=high,
        p_value=at_least(reached, only_worst + only_neutral),
        pairs=pairs,
    )


def at_least(heads: int, tosses: int) -> float:
    """Return the chance of so many heads or more."""
    return sum(math.comb(tosses, k) for k in range(heads, tosses + 1)) / 2**tosses


def _interval(only_worst: int, only_neutral: int, pairs: int) -> tuple[float, float]:
    """Return the ends of the interval of the difference, with half a pair more of each kind."""
    one, other, total = only_worst + 0.5, only_neutral + 0.5, pairs + 2
    middle = (one - other) / total
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    deviation = math.sqrt(max(one + other - (one - other) ** 2 / total, 0)) / total
    return max(middle - reach * deviation, -1.0), min(middle + reach * deviation, 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values: a claim passes at a level that its own is not above."""
    order = np.argsort(p_values, kind="stable")
    adjusted, largest = np.zeros(len(p_values)), 0.0
    for place, claim in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[claim]))
        adjusted[claim] = largest
    return [float(value) for value in adjusted]
