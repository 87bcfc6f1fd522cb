"""Sizes and shares -> how many pairs of documents a claim needs, and what so many can show. Normal approximation.

For shares of 20 against 10 % among ten claims at 5 % about 330 pairs find it in 80 of 100 rounds, and about 530 with a
judge who sees 90 % of what is there and denies 95 % of what is not (two-sided, field notes, 3.2).
"""

from __future__ import annotations

import math
from statistics import NormalDist

from eval.claims.associations import LEVEL

POWER = 0.8
BESIDE = 0.1  # share of neutral documents that `detectable` is told beside
LEAST_PAIRS = 40  # below, the planted question fails too often: of 40 pairs in 2 rounds of 100, 5 with a noisy judge


def documents_needed(worst: float, neutral: float, *, claims: int, power: float = POWER) -> int:
    """Return how many documents a side a difference of two shares needs among so many claims."""
    normal = NormalDist()
    reach = normal.inv_cdf(1 - LEVEL / claims) + normal.inv_cdf(power)
    variance = worst * (1 - worst) + neutral * (1 - neutral)
    return math.ceil(reach**2 * variance / (worst - neutral) ** 2)


def detectable(documents: int, *, neutral: float, claims: int) -> float | None:
    """Return the smallest share on the worst side that so many documents a side would show; None where none would."""
    for percent in range(round(100 * neutral) + 1, 101):
        if documents_needed(percent / 100, neutral, claims=claims) <= documents:
            return percent / 100
    return None
