"""Measured values to numbers that a model of smooth functions fits, and back.

A loss falls steeply where a dataset is missing and flattens towards a floor where there is enough of it, so a model
that fits the steep part cannot tell good mixtures apart. The logarithm of what lies above the floor is nearly straight.
The floor is not known; several are tried, and the one under which the runs are most likely is taken (a shifted
log-normal distribution; the idea is that of Box and Cox 1964). Floors far away leave the values as they are, ceilings
serve what is better the higher it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# How far beyond the outermost value the floor may lie, in standard deviations; at 30 the logarithm is nearly straight
GAPS = tuple(float(gap) for gap in np.geomspace(0.02, 30, 9))


@dataclass(frozen=True, slots=True)
class Warp:
    """`log(sign * (value - floor))`."""

    sign: float  # 1: values lie above a floor; -1: below a ceiling
    floor: float

    def forward(self, values_N: np.ndarray) -> np.ndarray:
        """Return the logarithms."""
        found: np.ndarray = np.log(self.sign * (values_N - self.floor))
        return found

    def back(self, mean_C: np.ndarray, sd_C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return medians and standard deviations in the values' unit."""
        above_C = np.exp(np.minimum(mean_C, 300))
        return self.floor + self.sign * above_C, above_C * sd_C

    def log_slope(self, warped_N: np.ndarray) -> float:
        """Return the logarithm of the Jacobian, by which likelihoods under different floors compare."""
        return -float(warped_N.sum())


def warps_for(values_N: np.ndarray) -> list[Warp]:
    """Return the floors and ceilings to try."""
    spread = float(values_N.std())
    size = float(np.abs(values_N).max())
    if np.ptp(values_N) <= 1e-9 * size:  # constant but for rounding: everything fits it
        spread = max(size, 1.0)
    low, high = float(values_N.min()), float(values_N.max())
    return [
        *(Warp(1.0, low - gap * spread) for gap in GAPS),
        *(Warp(-1.0, high + gap * spread) for gap in GAPS),
    ]
