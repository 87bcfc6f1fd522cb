"""What is expected of candidates in, a batch of them out that promises most and does not measure one place twice."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np


def expected_improvement(mean_C: np.ndarray, sd_C: np.ndarray, *, best: float) -> np.ndarray:
    """Return float64[C]: by how much each candidate is expected to fall below `best`, less being better."""
    from scipy.special import ndtr

    gap_C = (best - mean_C) / np.maximum(sd_C, 1e-12)
    found: np.ndarray = sd_C * (gap_C * ndtr(gap_C) + np.exp(-(gap_C**2) / 2) / math.sqrt(2 * math.pi))
    return found


def spread(
    gain_C: np.ndarray, apart: Callable[[int], np.ndarray], *, count: int, near: float, first: int | None = None
) -> list[int]:
    """Return the rows of a batch: each point marks down its neighbours within about `near` by distances `apart`."""
    chosen = [int(np.argmax(gain_C)) if first is None else first]
    nearest_C = apart(chosen[0])
    while len(chosen) < min(count, len(gain_C)):
        marked_C = gain_C * (1 - np.exp(-((nearest_C / near) ** 2) / 2))
        marked_C[chosen] = -1
        chosen.append(int(np.argmax(marked_C)))
        nearest_C = np.minimum(nearest_C, apart(chosen[-1]))
    return chosen[:count]
