"""The trials of a night in, by how much its head is expected to gain more than it does, on average over such nights.

A head is the best of many by a model that was fitted to the same lanes, so what the model expects of it is too much:
it was lucky, and the model pulls an incumbent that is better than its neighbourhood towards it. By how much is seen by
doing the night again: what all points might truly be is drawn from the model, lanes are drawn anew at the same points,
the model is fitted and the head chosen as before, and what it expects is held against what was drawn (a parametric
bootstrap over the whole choice). On made problems the head of 64 lanes is expected to gain 0.4 deviations of a lane
too much before, and 0.1 after; among mixtures that are all alike 0.2 and 0.0 (`python -m tests.eval.loop_bars`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eval.loop.state import State, head
from pipeline.core.rng import generator

MOST_DRAWS = 20  # of 64 lanes they take 0.2 s
LEAST_DRAWS = 6
LANES_IN_ALL = 4000  # over all draws: a fit takes the more the more lanes it has


def optimism(state: State, *, seed: int) -> float:
    """Return by how many bits per byte the head's expected gain is too high, at least 0; 0 without a model.

    The same trials and seed give the same number.
    """
    model, trials = state.surrogate, state.modelled
    if model is None or head(state).point == state.incumbent:
        return 0.0
    row_of = {point: row for row, point in enumerate(state.trained)}
    rows_N = np.array([row_of[trial.point] for trial in trials])
    noises_N = np.array([trial.noise for trial in trials])
    true_RC, lane_RN = model.drawn(
        state.trained, rows_N, noises_N=noises_N, rng=generator(seed, "optimism", len(state.trials)),
        count=max(LEAST_DRAWS, min(MOST_DRAWS, LANES_IN_ALL // len(trials))),
    )  # fmt: skip
    too_high = []
    for true_C, lane_N in zip(true_RC, lane_RN, strict=True):
        lanes = tuple(replace(trial, value=float(value)) for trial, value in zip(trials, lane_N, strict=True))
        again = head(State(state.space, state.incumbent, lanes, state.lane))
        too_high.append(again.gain - (true_C[row_of[state.incumbent]] - true_C[row_of[again.point]]))
    return max(float(np.mean(too_high)), 0.0)
