from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from eval.loop.propose import MOST_CHANGES, ablate, at_random, combine, gp, optuna
from eval.loop.space import Knob, Point, Space
from eval.loop.state import State, Trial, head
from eval.search.simplex import Limits
from tests.eval.loop.nights import NOISE

NAMES = ("a", "b", "c")
SPACE = Space(NAMES, Limits.of(NAMES, most={"a": 0.7}), tuple(Knob(name, "float") for name in "uvwxyz"))
INCUMBENT = SPACE.point([0.2, 0.4, 0.4], [0.5] * 6)


def loss(point: Point) -> float:
    assert point.weights is not None
    return 2 + (point.weights[0] - 0.6) ** 2 + sum((place - 0.8) ** 2 for place in point.knobs[:3]) / 10


@pytest.fixture(scope="module")
def state() -> State:
    rng = np.random.default_rng(1)
    empty = State(SPACE, INCUMBENT)
    points = [INCUMBENT] * 3 + [each.point for each in at_random(empty, 37, 3)]
    values = [loss(point) + rng.normal(0, NOISE) for point in points]
    return empty.with_trials(
        [Trial(p, n, v, None, "random") for n, (p, v) in enumerate(zip(points, values, strict=True))]
    )


def test_the_process_moves_weights_or_knobs_towards_what_is_best_and_keeps_limits(state):
    found, at = gp(state, 6, 1), head(state).point

    changes = [SPACE.changes(each.point, since=at) for each in found]
    assert all(change == ("weights",) or "weights" not in change for change in changes)
    assert sum(change == ("weights",) for change in changes) == 3
    weights = SPACE.weights([each.point for each in found])
    assert SPACE.limits is not None and SPACE.limits.hold_for(weights).all()
    assert abs(weights[0, 0] - 0.6) < 0.1  # the first is where the best is expected
    assert np.abs(np.array(found[3].point.knobs[:3]) - 0.8).max() < 0.25


@pytest.mark.skipif(find_spec("optuna") is None, reason="the extra `research` is not installed")
def test_optuna_moves_knobs_alone_and_asks_the_same_of_the_same_trials(state):
    found = optuna(state, 6, 1)

    assert {each.point.weights for each in found} == {head(state).point.weights}
    assert found == optuna(State(SPACE, INCUMBENT, state.trials), 6, 1) != optuna(state, 6, 2)
    places = np.array([each.point.knobs for each in found])
    assert np.abs(places[:, :3] - 0.8).mean() < np.abs(places[:, 3:] - 0.8).mean()


def test_without_optuna_our_process_moves_the_knobs_and_says_so(state, monkeypatch):
    monkeypatch.setattr("eval.loop.propose.find_spec", lambda _: None)

    found = optuna(state, 4, 1)

    assert all("optuna is not installed" in each.reason and each.proposer == "optuna" for each in found)
    assert np.abs(np.array([each.point.knobs[:3] for each in found[:1]]) - 0.8).max() < 0.25


def test_before_anything_is_known_proposals_cover_the_space():
    empty = State(SPACE, INCUMBENT)

    weights = SPACE.weights([each.point for each in gp(empty, 8, 1)[:4]])

    apart = np.abs(weights[:, None] - weights[None]).max(axis=2) + np.eye(4)
    assert apart.min() > 0.1
    assert len({each.point for each in optuna(empty, 6, 1)}) == 6


def test_predictions_are_of_a_lane_so_they_hold_its_chance(state):
    points = [each for each in gp(state, 4, 1) if each.prediction is not None]

    assert len(points) == 4
    assert all(each.prediction.low < each.prediction.median < each.prediction.high for each in points)
    assert all(each.prediction.sd > 0.5 * NOISE for each in points)


def test_a_bundle_has_at_most_three_changes_of_the_head(state):
    found = combine(state, 5, 1)

    best = head(state).point
    assert found and all(1 <= len(SPACE.changes(each.point, since=best)) <= MOST_CHANGES for each in found)
    assert all(each.point not in state.lanes for each in found)


def test_an_ablation_is_the_head_without_one_of_its_changes(state):
    best = head(state).point
    names = SPACE.changes(best, since=INCUMBENT)

    found = ablate(state, 20, 1)

    assert len(found) == len(names) and {each.kind for each in found} == {"ablation"}
    assert all(len(SPACE.changes(each.point, since=best)) == 1 for each in found)
    assert all(len(SPACE.changes(each.point, since=INCUMBENT)) == len(names) - 1 for each in found)
