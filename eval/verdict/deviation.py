"""How much single lanes differ by chance: variances of several groups of lanes in, one with its freedom out.

Lanes of two arms that share seeds are as good as independent (correlation -0.01 over seven comparisons at t0), so
pairing lanes by seed buys nothing and costs half of the degrees of freedom. The variance of one lane is pooled over
both arms instead, and over lanes of earlier experiments where there are any of the same kind. What earlier lanes say
counts as `MOST_EARLIER_FREEDOM` degrees of freedom at most, since deviations differ between mixtures (at t0 0.004 to
0.009 bits per byte at 500k tokens), and as nothing where this experiment is noisier than they were beyond chance.
Coverage of a 95 % interval (`python -m tests.eval.coverage`): 93.8 to 96.5 % where one arm's deviation is up to twice
the other's, 92.5 % at three times, 94.7 to 96.3 % with earlier lanes whose deviations scatter by a factor of 1.35.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc

MOST_EARLIER_FREEDOM = 8.0
NOISIER = 0.01  # chance at which a larger variance than earlier lanes' is taken for a real difference

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Deviation:
    """An estimated variance of one lane's bits per byte and its degrees of freedom."""

    variance: float
    freedom: float


def of_arms(*arms_S: Floats) -> Deviation:
    """Return the deviation within arms, float64[S] each: one value of bits per byte for each seed."""
    return pooled([Deviation(float(arm.var(ddof=1)), len(arm) - 1) for arm in arms_S])


def pooled(groups: Sequence[Deviation]) -> Deviation:
    """Return the variance of several groups of lanes, each weighted by its freedom; the freedoms add up."""
    freedom = sum(group.freedom for group in groups)
    return Deviation(sum(group.variance * group.freedom for group in groups) / freedom, freedom)


def with_earlier(own: Deviation, earlier: Deviation | None) -> tuple[Deviation, float]:
    """Return `own` together with what earlier lanes say, and how many degrees of freedom they gave."""
    if earlier is None or earlier.variance <= 0:
        return own, 0.0
    if fdtrc(own.freedom, earlier.freedom, own.variance / earlier.variance) < NOISIER:
        return own, 0.0
    counted = Deviation(earlier.variance, min(earlier.freedom, MOST_EARLIER_FREEDOM))
    return pooled([own, counted]), counted.freedom
