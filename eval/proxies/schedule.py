"""A step in, its learning rate as a share of the highest out: nanochat's schedule, apart from torch for who asks later.

A short warm-up, then constant, then linear decay over the last 65 % of the run. A tier may say otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

WARMUP_STEPS, WARMUP_FRACTION = 40, 0.05
DECAY_FRACTION, FLOOR = 0.65, 0.05


@dataclass(frozen=True, slots=True)
class Course:
    """The course of a learning rate: shares of the steps in which it rises and falls, and of the highest at the end."""

    warmup: float = WARMUP_FRACTION  # of the steps, and at most WARMUP_STEPS
    decay: float = DECAY_FRACTION
    floor: float = FLOOR


USUAL = Course()


def schedule(step: int, *, num_steps: int, course: Course = USUAL) -> float:
    """Return the learning rate's factor at `step`, counted from 0."""
    warmup = max(1, min(WARMUP_STEPS, round(course.warmup * num_steps)))
    left = (num_steps - step) / (course.decay * num_steps)
    return min(1.0, (step + 1) / warmup, course.floor + (1 - course.floor) * left)
