"""Two variances with their degrees of freedom in, the bounds of an interval out (the rule of Cochran and Cox).

The interval takes its width from each source's own Student t: (t_lanes * v_lanes + t_documents * v_documents) /
sqrt(v_lanes + v_documents). A gate must not promise more than it holds, so this slightly wide rule decides and not
Satterthwaite's, which covers 92 to 95 %. Works on numbers and on arrays of simulations alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import nctdtrinc, stdtrit

POWER = 0.8  # the share of experiments that would find a true gain of the detectable size


@dataclass(frozen=True, slots=True)
class Chance:
    """Variances of a mean gain through the lanes and through the choice of documents; numbers or arrays alike."""

    lanes: Any
    lane_freedom: Any
    documents: Any
    document_freedom: Any

    @property
    def standard_error(self) -> Any:
        """The root of both variances together."""
        return np.sqrt(self.lanes + self.documents)


def half_width(chance: Chance, *, level: float) -> Any:
    """Return how far a one-sided bound at `level` lies from the estimate (0.975 for a 95 % interval)."""
    total = chance.lanes + chance.documents
    of_lanes, of_documents = stdtrit(chance.lane_freedom, level), stdtrit(chance.document_freedom, level)
    weighted = of_lanes * chance.lanes + of_documents * chance.documents
    return weighted / np.sqrt(np.where(total > 0, total, 1.0))


def confidence_of_each(confidence: float, *, number: int) -> float:
    """Return the confidence of each of some intervals that hold at once with `confidence`, whatever binds them.

    Bonferroni: `python -m tests.eval.several` prints how often all hold, and what knowing the bonds would save.
    """
    return 1 - (1 - confidence) / number


def probability_better(gain: float, chance: Chance) -> float:
    """Return the level whose lower bound is zero, by bisection."""
    error = float(chance.standard_error)
    if error == 0:
        return 0.5 + 0.5 * float(np.sign(gain))
    wanted, below, above = abs(gain) * error, 0.5, 1.0
    for _ in range(50):
        middle = (below + above) / 2
        of_lanes, of_documents = stdtrit(chance.lane_freedom, middle), stdtrit(chance.document_freedom, middle)
        enough = of_lanes * chance.lanes + of_documents * chance.documents >= wanted
        below, above = (below, middle) if enough else (middle, above)
    return below if gain >= 0 else 1 - below


def detectable(chance: Chance, *, level: float, least: float = 0.0) -> float:
    """Return by how much a true gain must exceed what is required to be found with probability POWER (noncentral t).

    It is found where its lower bound, or the estimate less `least` if that is lower, still exceeds what is required.
    """
    error = float(chance.standard_error)
    if error == 0:
        return 0.0
    spread = chance.lanes**2 / chance.lane_freedom + chance.documents**2 / chance.document_freedom
    freedom = min(error**4 / spread, 1000.0)
    beyond = max(float(half_width(chance, level=level)), least)
    return float(nctdtrinc(freedom, 1 - POWER, beyond / error)) * error
