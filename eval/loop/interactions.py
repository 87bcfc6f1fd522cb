"""The trials of a night in, which two settings depend on each other out, as the model has it.

This is what all trials say together and costs no lane; `ablate` asks for the lanes that would settle it, and after a
promotion changes are left out one by one by fresh seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from eval.loop.space import Knob, Point
from eval.loop.state import State, head

CERTAIN = 4.0  # deviations from which two changes depend on each other; by warps, additive ones reach 3.5 (eval/LOG.md)


@dataclass(frozen=True, slots=True)
class Interaction:
    """By how much two changes bring more together than each alone, in bits per byte; negative: less."""

    changes: tuple[str, str]
    gain: float
    sd: float


def interactions(state: State) -> tuple[Interaction, ...]:
    """Return pairs of knobs that depend on each other beyond `CERTAIN` deviations, the surest first.

    Between each knob's place at the head and its farthest other one, all else as the head has it.
    """
    model, at = state.surrogate, head(state).point
    if model is None:
        return ()
    moved = {row: _moved(at, row, knob) for row, knob in enumerate(state.space.knobs)}
    found = []
    for one, other in combinations(moved, 2):
        both = _with(_with(at, one, moved[one]), other, moved[other])
        corners = [at, _with(at, one, moved[one]), _with(at, other, moved[other]), both]
        mean, sd = model.contrast(corners, np.array([-1.0, 1.0, 1.0, -1.0]))
        if abs(mean) > CERTAIN * sd:
            names = (state.space.knobs[one].name, state.space.knobs[other].name)
            found.append(Interaction(names, mean, sd))
    return tuple(sorted(found, key=lambda each: -abs(each.gain) / max(each.sd, 1e-12)))


def _moved(at: Point, row: int, knob: Knob) -> float:
    place = at.knobs[row]
    return knob.snapped(0.0 if place > 0.5 else 1.0)


def _with(point: Point, row: int, place: float) -> Point:
    return Point(point.weights, (*point.knobs[:row], place, *point.knobs[row + 1 :]))
