from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.loop import state as state_module
from eval.loop.space import Knob, Point, Space
from eval.loop.state import FLOOR, Prediction, State, Trial, at_limits, head, plateau, shares
from eval.search.simplex import Limits
from eval.verdict.deviation import Deviation

SPACE = Space((), None, (Knob("x", "float"), Knob("on", "flag")))
INCUMBENT = Point(None, (0.2, 0.0))


def state_of(*rows: tuple[float, float | None, str, int]) -> State:
    """Return a state of trials: place of x, value, proposer, batch; all with the flag off."""
    trials = [
        Trial(Point(None, (x, 0.0)), seed, value, None if value is not None else "too large", proposer, batch=batch)
        for seed, (x, value, proposer, batch) in enumerate(rows)
    ]
    return State(SPACE, INCUMBENT, tuple(trials), lane=Deviation(0.01**2, 20))


ANCHORS = [(0.2, 2.0 + 0.005 * sign, "control", 0) for sign in (-1, 1, -1, 1)]


def test_the_head_is_what_lanes_agree_on_and_not_the_luckiest_lane():
    good = [(0.8, 1.95 + 0.005 * sign, "gp", 1) for sign in (-1, 1, -1, 1)]
    lucky = [(0.5, 1.943, "gp", 1), (0.5, 2.01, "gp", 1), (0.5, 2.0, "gp", 1)]

    found = head(state_of(*ANCHORS, *good, *lucky))

    assert found.point == Point(None, (0.8, 0.0)) and found.num_lanes == 4
    assert 0.03 < found.gain < 0.06 and found.probability_better > 0.95


def test_without_a_better_point_the_head_is_the_incumbent():
    worse = [(place, 2.1, "gp", 1) for place in (0.5, 0.6, 0.8)]

    assert head(state_of(*ANCHORS, *worse)).point == INCUMBENT
    assert head(state_of()).probability_better == 0.5


def test_a_long_search_is_modelled_by_its_best_and_latest_points_and_the_incumbent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_module, "MOST_MODELLED", 20)
    rows = [*ANCHORS, *((n / 100, 1.9 + n / 100, "gp", n) for n in range(30, 90)), (0.3, 2.5, "gp", 90)]

    found = state_of(*rows)

    places = {trial.point.knobs[0] for trial in found.modelled}
    assert len(found.modelled) <= 20 and {0.2, 0.31, 0.32, 0.89} <= places and not places & {0.5, 0.6}
    assert sum(trial.point.knobs[0] == 0.3 for trial in found.modelled) in (0, 2)
    assert len(found.gains) == len(found.trained) == 61
    assert len(state_of(*rows[:20]).modelled) == 20


def test_what_failed_has_no_value_and_no_part_in_the_model():
    rows = [*ANCHORS, *((0.5 + 0.05 * n, 1.9 + 0.01 * n, "gp", 1) for n in range(4))]
    plain, failed = state_of(*rows), state_of(*rows, (0.9, None, "claude", 1), (0.95, None, "claude", 1))
    others = [Point(None, (place, 0.0)) for place in np.linspace(0, 1, 9)]

    assert plain.surrogate is not None and failed.surrogate is not None
    np.testing.assert_array_equal(plain.surrogate.predict(others)[0], failed.surrogate.predict(others)[0])
    assert failed.feasibility.probability([Point(None, (0.95, 0.0))])[0] < 0.5


def test_a_proposer_whose_points_fail_keeps_the_floor_and_one_that_finds_gains_gets_the_rest():
    good = [(0.6 + 0.03 * n, 1.9, "gp", n) for n in range(9)]
    bad = [(0.0 + 0.02 * n, None, "claude", n) for n in range(9)]

    found = shares(state_of(*ANCHORS, *good, *bad), ["gp", "claude", "random"], seed=1)

    assert sum(found.values()) == pytest.approx(1)
    assert found["claude"] == pytest.approx(FLOOR, abs=0.01) and found["gp"] > 0.6


def test_proposers_of_whom_nothing_is_known_share_alike():
    found = shares(state_of(), ["gp", "claude", "random"], seed=1)

    assert all(share == pytest.approx(1 / 3, abs=0.03) for share in found.values())


def test_a_night_is_stuck_when_three_batches_bring_nothing_that_is_likely_better():
    first = [(0.8, 1.95, "gp", 0), (0.78, 1.952, "gp", 0), (0.82, 1.949, "gp", 0)]
    later = [(0.3 + 0.02 * n, 2.0, "gp", n) for n in range(1, 4)]
    rows = [*ANCHORS, *first, *later]

    stuck = plateau(state_of(*rows))

    assert stuck is not None and stuck.rule == "no_candidate"
    assert plateau(state_of(*rows[:-1])) is None  # two batches
    assert plateau(state_of(*rows, *[(0.9, 1.9, "gp", 3)] * 3)) is None  # a better one came


def test_a_night_is_stuck_when_what_it_could_gain_is_less_than_a_claim_can_show():
    rows = [*ANCHORS, *[(0.2 + 0.1 * n, 2.0 - 0.002 * n, "gp", n) for n in range(1, 7)]]
    state = replace(state_of(*rows), lane=Deviation(0.001**2, 50))

    stuck = plateau(state, detectable=0.2)

    assert stuck is not None and stuck.rule in ("below_detectable", "no_candidate")


def test_settings_at_an_end_of_their_range_are_named():
    names = ("a", "b", "c")
    space = Space(names, Limits.of(names, most={"a": 0.4}), (Knob("x", "float"), Knob("on", "flag")))

    assert at_limits(space, space.point([0.4, 0.6, 0.0], (1.0, 1.0))) == ("a", "x")


def test_a_prediction_of_eighty_in_a_hundred_has_a_deviation():
    assert Prediction(0.0, -1.2816, 1.2816).sd == pytest.approx(1, abs=1e-3)
