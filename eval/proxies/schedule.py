"""A step in, its learning rate as a share of the highest out: nanochat's schedule, apart from torch for who asks later.

A short warm-up, then constant, then linear decay over the last 65 % of the run.
"""

from __future__ import annotations

WARMUP_STEPS, WARMUP_FRACTION = 40, 0.05
DECAY_FRACTION, FLOOR = 0.65, 0.05


def schedule(step: int, *, num_steps: int) -> float:
    """Return the learning rate's factor at `step`, counted from 0."""
    warmup = max(1, min(WARMUP_STEPS, round(WARMUP_FRACTION * num_steps)))
    left = (num_steps - step) / (DECAY_FRACTION * num_steps)
    return min(1.0, (step + 1) / warmup, FLOOR + (1 - FLOOR) * left)
