from __future__ import annotations

import json

import numpy as np
import pytest

from eval.loop.space import WEIGHTS, Knob, Point, Space
from eval.search.simplex import Limits
from pipeline.core.errors import RecipeError

NAMES = ("a", "b", "c")
KNOBS = (
    Knob("rate", "float", 1e-4, 1e-1, log=True),
    Knob("words", "int", 10, 90),
    Knob("keep", "choice", choices=("first", "longest", 3)),
    Knob("on", "flag"),
)
SPACE = Space(NAMES, Limits.of(NAMES, most={"a": 0.5}), KNOBS)
POINT = SPACE.point([0.2, 0.3, 0.5], (0.5, 0.25, 0.5, 1.0))


def test_a_knobs_value_comes_back_from_its_place():
    assert SPACE.values(POINT) == {"rate": pytest.approx(0.003162), "words": 30, "keep": "longest", "on": True}
    for knob in KNOBS:
        for place in (0.0, 0.333, 0.5, 1.0):
            assert knob.snapped(knob.to_unit(knob.from_unit(knob.snapped(place)))) == knob.snapped(place)


def test_a_point_keeps_the_limits_and_is_known_again():
    point = SPACE.point([0.8001, 0.1, 0.0999], (0.50004, 0.5, 0.5, 1.0))

    assert point.weights is not None and max(point.weights) <= 0.5 and sum(point.weights) == pytest.approx(1)
    assert SPACE.point(point.weights, point.knobs) == point
    assert Point.from_json(json.loads(json.dumps(point.as_json()))) == point


def test_changes_are_knobs_and_the_weights_as_a_whole():
    other = SPACE.point([0.4, 0.1, 0.5], (0.5, 0.75, 0.5, 0.0))

    assert SPACE.changes(other, since=POINT) == (WEIGHTS, "words", "on")
    assert SPACE.changes(SPACE.with_changes(POINT, (WEIGHTS, "on"), of=other), since=other) == ("words",)


def test_points_lie_apart_by_the_roots_of_weights_and_by_ranges_of_knobs():
    words = SPACE.with_changes(POINT, ("words",), of=Point(None, (0.0, 0.5, 0.0, 0.0)))
    keep = SPACE.with_changes(POINT, ("keep",), of=Point(None, (0.0, 0.0, 1.0, 0.0)))
    far = Space(NAMES, Limits.of(NAMES))

    assert SPACE.distance(POINT, words) == pytest.approx(0.25)
    assert SPACE.distance(POINT, keep) == 1  # choices have no order
    assert far.distance(Point((1.0, 0.0, 0.0)), Point((0.0, 1.0, 0.0))) == pytest.approx(1)


def test_draws_of_a_knob_hit_every_choice():
    rng = np.random.default_rng(0)

    assert {KNOBS[2].from_unit(KNOBS[2].drawn(rng)) for _ in range(40)} == {"first", "longest", 3}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Knob("x", "float", 1.0, 1.0), "x: from 1 to 1; the range holds nothing"),
        (lambda: Knob("x", "float", 0.0, 1.0, log=True), "log from 0"),
        (lambda: Knob("x", "choice", choices=("a", "a")), "1 choice; a knob needs at least 2"),
        (lambda: Space(("a",), Limits.of(("a",))), "nothing in it may move"),
        (lambda: KNOBS[1].to_unit(7), "words is 7; it must lie from 10 to 90"),
        (lambda: KNOBS[2].to_unit("last"), "keep is 'last'; it must be one of"),
    ],
)
def test_what_could_not_move_is_refused(make, said):
    with pytest.raises(RecipeError, match=said):
        make()
