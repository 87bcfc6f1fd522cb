from __future__ import annotations

import pytest

from eval.loop.interactions import interactions
from eval.loop.propose import at_random
from eval.loop.space import Knob, Point, Space
from eval.loop.state import State, Trial
from pipeline.core.rng import generator

KNOBS = (Knob("x", "float"), Knob("y", "float"), Knob("one", "flag"), Knob("other", "flag"))
SPACE = Space((), None, KNOBS)
INCUMBENT = Point(None, (0.0, 0.5, 0.0, 0.0))


def loss(point: Point) -> float:
    x, _, one, other = point.knobs
    return 2 - 0.06 * x - 0.02 * one - 0.02 * other - 0.06 * one * other


@pytest.fixture(scope="module")
def state() -> State:
    empty, rng = State(SPACE, INCUMBENT), generator(1, "attribution")
    points = [INCUMBENT] * 3 + [each.point for each in at_random(empty, 45, 3)]
    lanes = [loss(point) + float(rng.normal(0, 0.005)) for point in points]
    return empty.with_trials(
        [Trial(p, n, v, None, "random") for n, (p, v) in enumerate(zip(points, lanes, strict=True))]
    )


def test_two_changes_that_work_together_are_named_and_no_others(state):
    found = interactions(state)

    assert found and found[0].changes == ("one", "other")
    assert found[0].gain == pytest.approx(0.06, abs=0.02)
    assert [each.changes for each in found[1:]] == []


def test_before_a_model_nothing_depends():
    assert interactions(State(SPACE, INCUMBENT)) == ()
