from __future__ import annotations

import numpy as np
import pytest

from eval.loop.batch import next_batch
from eval.loop.factorial import LANES, contrasts, factorial
from eval.loop.interactions import interactions
from eval.loop.propose import Proposed, at_random
from eval.loop.space import Knob, Point, Space
from eval.loop.state import State, Trial, head
from eval.verdict.deviation import Deviation
from pipeline.core.rng import generator

NOISE = 0.01
FLAGS = ("one", "other", "third")
SPACE = Space((), None, (Knob("x", "float"), *(Knob(name, "flag") for name in FLAGS)))
INCUMBENT = Point(None, (0.0, 0.0, 0.0, 0.0))


def loss(point: Point, *, bond: float) -> float:
    x, one, other, third = point.knobs
    return 2 - 0.06 * x - 0.03 * one - 0.03 * other - 0.01 * third - bond * one * other


def with_lanes(state: State, asked: list[Proposed], *, bond: float, seed: int = 1) -> State:
    rng = generator(seed, "lanes", len(state.trials))
    return state.with_trials(
        [
            Trial(
                each.point, len(state.trials) + n, loss(each.point, bond=bond) + float(rng.normal(0, NOISE)), None,
                each.proposer, batch=state.batch, kind=each.kind,
            )
            for n, each in enumerate(asked)
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def searched() -> State:
    empty = State(SPACE, INCUMBENT, lane=Deviation(NOISE**2, 20))
    first = [Proposed(INCUMBENT, "control", None, "", "control")] * 3
    return with_lanes(empty, [*first, *at_random(empty, 20, 3)], bond=0.04)


def test_a_block_tells_which_switches_depend_on_each_other_by_few_lanes(searched: State) -> None:
    state, sizes = searched, list[int]()
    while asked := factorial(state, 10, left=60, is_stuck=False):  # of which the head stands on some
        again = State(SPACE, INCUMBENT, tuple(state.trials), state.lane)
        assert factorial(again, 10, left=None, is_stuck=False) == (asked if sizes else [])
        state = with_lanes(state, asked, bond=0.04)
        sizes.append(len(asked))

    assert sizes == [4, 4, 4, 4] and sum(sizes) == LANES
    found = {tuple(SPACE.knobs[row].name for row in each.rows): each for each in contrasts(state)}
    assert set(found) == {("one", "other"), ("one", "third"), ("other", "third")}
    assert all(each.sd == pytest.approx(NOISE, rel=0.3) for each in found.values())
    (named,) = [each for each in interactions(state) if each.is_measured]
    cut_short = with_lanes(state, [Proposed(INCUMBENT, "factorial", None, "", "factorial")], bond=0.04)
    assert len(contrasts(cut_short)) == 3 and factorial(cut_short, 10, left=60, is_stuck=True) == []
    assert named.changes == ("one", "other") and named.gain == pytest.approx(0.04, abs=2 * named.sd)


def test_no_block_begins_where_it_would_take_most_of_what_is_left_or_nothing_is_known_of_the_head(searched: State):
    assert factorial(searched, 10, left=39, is_stuck=True) == []
    assert factorial(searched, 10, left=None, is_stuck=True) == []
    flat = State(SPACE, INCUMBENT, tuple(Trial(t.point, t.seed, 2.0, None, "random") for t in searched.trials))
    assert head(flat).point == INCUMBENT and factorial(flat, 10, left=80, is_stuck=False) == []
    assert [each.kind for each in factorial(flat, 10, left=80, is_stuck=True)] == ["factorial"] * 4
    at = factorial(searched, 10, left=80, is_stuck=True)[1].point
    assert factorial(searched, 10, left=80, is_stuck=True, blocked=[at]) == []


def test_a_night_gives_a_block_a_part_of_each_batch(searched: State) -> None:
    batch = next_batch(searched, 10, {"gp": 0.5, "random": 0.5}, 1, left=60)

    assert 2 <= sum(each.kind == "factorial" for each in batch) <= 4 and len(batch) == 10


def test_switches_that_do_not_depend_are_named_as_rarely_as_is_said_and_intervals_hold(searched: State) -> None:
    rng, named, inside = np.random.default_rng(2), [], []
    block = searched
    while asked := factorial(block, 10, left=60, is_stuck=True):
        block = with_lanes(block, asked, bond=0.0)
    lanes = [trial for trial in block.trials if trial.kind == "factorial"]
    for _ in range(300):
        earlier = Deviation(NOISE**2 * rng.chisquare(20) / 20, 20)
        drawn = [
            Trial(t.point, t.seed, loss(t.point, bond=0.02) + rng.normal(0, NOISE), None, "", kind="factorial")
            for t in lanes
        ]
        found = contrasts(State(SPACE, INCUMBENT, tuple(drawn), earlier))
        named.append(any(each.is_named for each in found if each.rows != (1, 2)))
        inside += [abs(each.gain - (0.02 if each.rows == (1, 2) else 0.0)) <= each.side for each in found]

    assert np.mean(named) <= 0.06 and np.mean(inside) == pytest.approx(0.8, abs=0.04)
