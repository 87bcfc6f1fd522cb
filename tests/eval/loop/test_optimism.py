from __future__ import annotations

import numpy as np
import pytest

from eval.loop.optimism import optimism
from eval.loop.propose import at_random
from eval.loop.space import Knob, Point, Space
from eval.loop.state import State, Trial, head
from pipeline.core.rng import generator

SPACE = Space((), None, (Knob("x", "float"), Knob("y", "float"), Knob("on", "flag")))
INCUMBENT = Point(None, (0.5, 0.5, 0.0))
NOISE = 0.01


def loss(point: Point, *, height: float) -> float:
    x, y, on = point.knobs
    return 2 + height * ((x - 0.6) ** 2 + (y - 0.4) ** 2 - 0.2 * on)


def night(number: int, *, height: float) -> State:
    """Return a state of three lanes of the incumbent and one of 21 other points."""
    empty, rng = State(SPACE, INCUMBENT), generator(number, "lanes")
    points = [INCUMBENT] * 3 + [each.point for each in at_random(empty, 21, number)]
    values = [loss(point, height=height) + float(rng.normal(0, NOISE)) for point in points]
    return empty.with_trials(
        [Trial(point, n, value, None, "random") for n, (point, value) in enumerate(zip(points, values, strict=True))]
    )


@pytest.mark.parametrize("height", [0.0, 0.1])
def test_what_is_taken_off_is_about_what_heads_are_flattered_by(height):
    states = [night(number, height=height) for number in range(24)]
    beyond = np.array(
        [head(s).gain - loss(INCUMBENT, height=height) + loss(head(s).point, height=height) for s in states]
    )

    found = np.array([optimism(state, seed=1) for state in states])

    assert (found >= 0).all() and 0.1 * NOISE < found.mean() < 0.4 * NOISE
    assert abs((beyond - found).mean()) < 0.15 * NOISE and beyond.mean() > 0.1 * NOISE


def test_the_same_night_has_the_same_number_and_one_without_a_model_none():
    state = night(3, height=0.1)

    assert optimism(state, seed=1) == optimism(night(3, height=0.1), seed=1)
    assert optimism(State(SPACE, INCUMBENT), seed=1) == 0.0
