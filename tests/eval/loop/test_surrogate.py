from __future__ import annotations

import numpy as np
import pytest

from eval.loop.space import Knob, Point, Space
from eval.loop.surrogate import fit_feasibility, fit_surrogate
from eval.search.restricted import Known
from eval.search.simplex import Limits
from eval.search.surrogates import fit_gaussian_process
from tests.eval.loop.nights import NOISE, six_domains, ten_knobs

MIXED = ten_knobs(3).problem


def drawn(space: Space, count: int, seed: int) -> list[Point]:
    rng = np.random.default_rng(seed)
    weights = [None] * count
    if space.limits is not None:
        weights = list(space.limits.draw(count, prior_D=np.full(len(space.datasets), 1 / len(space.datasets)), rng=rng))
    return [space.point(each, [knob.drawn(rng) for knob in space.knobs]) for each in weights]


@pytest.mark.parametrize("problem", [six_domains(1), MIXED], ids=["weights", "knobs"])
def test_gains_of_points_that_it_never_saw_are_foreseen_and_it_knows_how_well(problem):
    rng, points = np.random.default_rng(2), drawn(problem.space, 80, 1)
    values = [problem.loss(point) + rng.normal(0, NOISE) for point in points]
    others = drawn(problem.space, 300, 7)

    mean, sd = fit_surrogate(points, values, space=problem.space).gains(others, over=points[0])

    truth = np.array([problem.loss(points[0]) - problem.loss(point) for point in others])
    assert np.corrcoef(mean, truth)[0, 1] > 0.85
    assert 0.5 < np.sqrt(np.mean(((mean - truth) / sd) ** 2)) < 1.5


def test_of_weights_alone_it_says_what_the_search_of_mixtures_does():
    problem = six_domains(2)
    points, rng = drawn(problem.space, 40, 3), np.random.default_rng(0)
    values = np.array([problem.loss(point) + rng.normal(0, NOISE) for point in points])
    others = drawn(problem.space, 200, 4)

    mean, _ = fit_surrogate(points, values, space=problem.space).predict(others)

    theirs, _ = fit_gaussian_process(problem.space.weights(points), values).predict(problem.space.weights(others))
    assert np.corrcoef(mean, theirs)[0, 1] > 0.98


def test_a_point_measured_again_is_surer_and_the_gain_of_a_point_over_itself_is_sure_to_be_none():
    rng, points = np.random.default_rng(4), drawn(MIXED.space, 30, 5)
    values = [MIXED.loss(point) + rng.normal(0, NOISE) for point in points]
    again = points + [points[3]] * 3

    once = fit_surrogate(points, values, space=MIXED.space)
    more = fit_surrogate(again, values + [values[3]] * 3, space=MIXED.space)

    assert more.predict([points[3]])[1][0] < once.predict([points[3]])[1][0]
    gain, sd = once.gains([points[3]], over=points[3])
    assert (abs(gain[0]), sd[0]) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-6))


def test_a_noisy_lane_counts_less():
    points = [Point(None, (place,)) for place in np.linspace(0, 1, 12)]
    space, values = Space((), None, (Knob("x", "float"),)), np.sin(np.linspace(0, 3, 12))
    values[6] += 0.5

    plain = fit_surrogate(points, values, space=space).predict([points[6]])[0][0]
    told = fit_surrogate(points, values, space=space, noises=[1] * 6 + [100] + [1] * 5).predict([points[6]])[0][0]

    assert abs(told - np.sin(3 * 6 / 11)) < 0.5 * abs(plain - np.sin(3 * 6 / 11))


def test_what_earlier_lanes_say_of_the_noise_keeps_few_runs_from_being_believed_to_the_bit():
    points = [Point(None, (place,)) for place in np.linspace(0, 1, 6)]
    space, values = Space((), None, (Knob("x", "float"),)), 2 + 0.05 * np.linspace(0, 1, 6)

    found = fit_surrogate(points, values, space=space, known=Known(0.02**2, 30, level=2.0))

    assert fit_surrogate(points, values, space=space).noise_sd(points[0]) < 0.002
    assert 0.01 < found.noise_sd(points[0]) < 0.04


def test_where_points_fail_others_are_unlikely_to_train_and_elsewhere_they_are_likely():
    space = Space((), None, (Knob("rate", "float"), Knob("other", "float"), Knob("on", "flag")))
    points = drawn(space, 40, 1)

    found = fit_feasibility(points, [point.knobs[0] < 0.7 for point in points], space=space)

    assert found.probability([Point(None, (0.95, 0.5, 0.0))])[0] < 0.3
    assert found.probability([Point(None, (0.2, 0.5, 0.0))])[0] > 0.8
    assert fit_feasibility(points, [True] * 40, space=space).probability(points).min() > 0.85


def test_before_anything_was_tried_points_are_likely_to_train():
    names = ("a", "b")
    found = fit_feasibility([Point((1.0, 0.0))], [False], space=Space(names, Limits.of(names)))

    assert found.probability([Point((0.0, 1.0))])[0] > 0.7 > 0.5 > found.probability([Point((1.0, 0.0))])[0]
