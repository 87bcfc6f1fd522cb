from __future__ import annotations

import numpy as np
import pytest

from eval.loop.predictions import Share, crps, scored_predictions, widening
from eval.loop.space import Knob, Point, Space
from eval.loop.state import SD_TO_SIDE, Prediction, State, Trial
from eval.verdict.deviation import Deviation

SPACE = Space((), None, (Knob("x", "float"),))
INCUMBENT = Point(None, (0.0,))


def night(*, said_sd: float, count: int = 60, bias: float = 0.0) -> State:
    """Return a state whose lanes deviate by 0.01 from a gain that was foreseen, with intervals of `said_sd`."""
    rng, side = np.random.default_rng(1), SD_TO_SIDE * said_sd
    trials = [Trial(INCUMBENT, n, 2.0, None, "control", kind="control") for n in range(4)]
    for number in range(count):
        gain = float(rng.normal(0, 0.02))
        value = 2.0 - gain + float(rng.normal(0, 0.01))
        said = Prediction(gain + bias, gain + bias - side, gain + bias + side)
        trials.append(Trial(Point(None, (0.01 + number / 100,)), 10 + number, value, None, "claude", said))
    return State(SPACE, INCUMBENT, tuple(trials), Deviation(0.01**2, 8))


def test_intervals_that_are_right_hold_what_they_say_and_beat_no_change():
    (found,) = scored_predictions(night(said_sd=0.01, count=120))

    assert found.proposer == "claude" and found.inside.low < 0.8 < found.inside.high
    assert found.crps < found.crps_of_no_change and found.sign.share > 0.7


def test_predictions_that_are_biased_are_worse_than_no_change():
    (found,) = scored_predictions(night(said_sd=0.01, bias=0.1))

    assert found.crps > found.crps_of_no_change and found.inside.high < 0.3


def test_intervals_that_are_too_narrow_are_widened_and_right_ones_are_left():
    assert 2 < widening(night(said_sd=0.003), "claude") < 4
    assert widening(night(said_sd=0.01), "claude") == pytest.approx(1, abs=0.25)
    assert widening(night(said_sd=0.003, count=1), "claude") < 1.5


def test_the_score_is_least_for_the_true_distribution():
    draws = np.random.default_rng(2).normal(0, 1, 4000)
    scores = {sd: np.mean([crps(draw, mean=0, sd=sd) for draw in draws]) for sd in (0.5, 1.0, 2.0)}

    assert min(scores, key=scores.get) == 1.0 and scores[1.0] == pytest.approx(1 / np.sqrt(np.pi), abs=0.02)
    assert crps(0.3, mean=0.0, sd=0.0) == pytest.approx(0.3)


def test_a_share_of_few_says_how_little_it_knows():
    few, none = Share.of([True, True, False]), Share.of([])

    assert few.low < 0.35 and few.high > 0.9
    assert (none.share, none.count) == (0.5, 0)
