from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from eval.loop.batch import NOVEL, next_batch
from eval.loop.propose import PROPOSERS, Proposed
from eval.loop.space import Knob, Point, Space
from eval.loop.state import State, shares
from eval.search.simplex import Limits
from tests.eval.loop.nights import Problem, run

NAMES = ("a", "b", "c")
SPACE = Space(NAMES, Limits.of(NAMES), (Knob("x", "float"), Knob("on", "flag")))


def loss(point: Point) -> float:
    assert point.weights is not None
    return 2 + 0.3 * (point.weights[0] - 0.6) ** 2 + 0.1 * (point.knobs[0] - 0.8) ** 2 - 0.02 * point.knobs[1]


PROBLEM = Problem(SPACE, SPACE.point([1 / 3] * 3, (0.5, 0.0)), loss, least=1.98)
EVEN = {"gp": 0.4, "optuna": 0.3, "random": 0.3}


@pytest.fixture(scope="module")
def night() -> State:
    return run(PROBLEM, 32, seed=1)


def test_the_first_batch_begins_with_lanes_of_the_incumbent():
    batch = next_batch(State(SPACE, PROBLEM.incumbent), 8, EVEN, 1)

    assert [each.kind for each in batch] == ["control", "control"] + ["fresh"] * 6
    assert all(each.point == PROBLEM.incumbent for each in batch[:2])


def test_the_same_trials_and_seed_give_the_same_batch_after_a_restart(night):
    again = State(SPACE, PROBLEM.incumbent, tuple(replace(trial) for trial in night.trials))

    assert next_batch(night, 8, EVEN, 5) == next_batch(again, 8, EVEN, 5)
    assert next_batch(night, 8, EVEN, 5) != next_batch(night, 8, EVEN, 6)


def test_nothing_that_was_tried_or_waits_is_proposed_as_fresh(night):
    first = next_batch(night, 8, EVEN, 5)
    blocked = [each.point for each in first]

    second = next_batch(night, 8, EVEN, 5, blocked=blocked)

    fresh = [each.point for each in second if each.kind == "fresh"]
    assert fresh and all(SPACE.distance(one, other) >= NOVEL for one in fresh for other in (*night.lanes, *blocked))


def test_what_looks_best_is_measured_again_up_to_three_times(night):
    lanes = Counter(trial.point for trial in night.trials if trial.point != PROBLEM.incumbent)
    again = [trial for trial in night.trials if trial.kind == "replicate"]

    assert max(lanes.values()) <= 3 and len(again) >= 4
    assert sum(loss(trial.point) < loss(PROBLEM.incumbent) for trial in again) >= 0.7 * len(again)


def test_over_a_night_each_proposer_gets_its_share():
    got = Counter(
        each.proposer for seed in range(20) for each in next_batch(State(SPACE, PROBLEM.incumbent), 8, EVEN, seed)
    )

    assert all(got[name] == pytest.approx(20 * 6 * share, abs=12) for name, share in EVEN.items())


def test_points_that_are_unlikely_to_train_are_let_through_rarely_and_others_take_their_place():
    def harmful(state: State, count: int, seed: int) -> list[Proposed]:
        rows = range(len(state.trials), len(state.trials) + count)
        points = [SPACE.point([0.1, 0.1, 0.8], (1 - 0.004 * row, 1.0)) for row in rows]
        return [Proposed(point, "claude", None, "surely") for point in points]

    problem = replace(PROBLEM, fails=lambda point: point.weights[2] > 0.75 and point.knobs[0] > 0.6)
    night = run(problem, 40, seed=2, proposers={**PROPOSERS, "claude": harmful})

    tried = [trial for trial in night.trials if trial.proposer == "claude"]
    assert len(night.trials) == 40 and 1 <= len(tried) <= 6
    assert shares(night, [*PROPOSERS, "claude"], seed=1)["claude"] < 0.2


def test_a_small_space_that_was_tried_whole_gives_fewer_points():
    space = Space((), None, (Knob("on", "flag"), Knob("off", "flag")))
    problem = Problem(space, Point(None, (0.0, 0.0)), lambda point: 2 - 0.01 * sum(point.knobs), 1.98)

    night = run(problem, 24, seed=1)

    assert {trial.point for trial in night.trials} == {Point(None, (a, b)) for a in (0.0, 1.0) for b in (0.0, 1.0)}
    assert len(night.trials) <= 4 * 3 + 4
