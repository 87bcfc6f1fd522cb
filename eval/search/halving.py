"""Runs looked at half-trained in, which of them go on and what the others would have come to out.

Runs are compared only with runs that stand where they stand in the schedule: a loss in the middle of a schedule is not
that of a run on fewer tokens, whose learning rate has come down. So what the dropped would have come to is guessed by a
line through the runs that have both, which is unbiased where who goes on was chosen by the loss in the middle alone.
A third of the schedule is the last of its constant part, and orders mixtures nearly as its end does (eval/LOG.md).
"""

from __future__ import annotations

import math

import numpy as np


def worst(values_N: np.ndarray, *, keep: float, least: int) -> np.ndarray:
    """Return bool[N]: which runs are dropped, less being better: all but the best `keep` of them, and `least`."""
    count = min(len(values_N), max(least, math.ceil(keep * len(values_N))))
    found: np.ndarray = values_N > np.sort(values_N)[count - 1]
    return found


def carried_on(early_N: np.ndarray, late_N: np.ndarray, dropped_M: np.ndarray) -> np.ndarray:
    """Return float64[M]: what runs would have come to by what they had early, from runs that have both."""
    if np.ptp(early_N) == 0:
        return np.full(len(dropped_M), float(late_N.mean()))
    slope, offset = np.polyfit(early_N, late_N, 1)
    found: np.ndarray = offset + slope * dropped_M
    return found
