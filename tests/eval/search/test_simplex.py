from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.search.simplex import Limits, design, distances, rounded
from pipeline.core.errors import RecipeError
from pipeline.core.rng import generator

LIMITED = Limits.of(["web", "code", "books", "tasks"], least={"web": 0.2}, most={"books": 0.3, "tasks": 0.1})


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        ({"wbe": 0.1}, {}, "`wbe` is not among what is mixed; use web"),
        ({"web": 1.5}, {}, "least.web is 1.5; a weight lies between 0 and 1"),
        ({"web": 0.5}, {"web": 0.4}, "least.web is 0.5 and most.web 0.4"),
        ({"web": 0.7, "code": 0.6}, {}, "least: the weights sum to 1.3"),
        ({}, {"web": 0.5, "code": 0.4}, "most: the weights sum to 0.9"),
    ],
)
def test_limits_that_nothing_can_keep_are_refused(least, most, said):
    with pytest.raises(RecipeError, match=said):
        Limits.of(["web", "code"], least=least, most=most)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda weights: sum(weights) > 0.01))
def test_the_nearest_weights_keep_the_limits_and_leave_what_kept_them(given_weights):
    weights = np.array([given_weights]) / sum(given_weights)

    nearest = LIMITED.nearest(weights)

    assert LIMITED.hold_for(nearest).all()
    np.testing.assert_allclose(LIMITED.nearest(nearest), nearest, atol=1e-9)


def test_a_design_begins_with_the_prior_and_covers_more_than_chance():
    prior = np.array([0.5, 0.3, 0.15, 0.05])
    chosen = design(12, limits=LIMITED, prior_D=prior, rng=generator(1))
    drawn = LIMITED.draw(12, prior_D=prior, rng=generator(2))

    assert LIMITED.hold_for(chosen).all()
    np.testing.assert_allclose(chosen[0], prior, atol=1e-9)
    assert _least_gap(chosen) > 4 * _least_gap(drawn)


def _least_gap(weights: np.ndarray) -> float:
    apart = distances(weights, weights)
    return float(apart[np.triu_indices(len(weights), 1)].min())


def test_draws_reach_from_single_datasets_to_the_prior():
    drawn = Limits.of(["a", "b", "c"]).draw(500, prior_D=np.array([0.6, 0.3, 0.1]), rng=generator(3))

    assert (drawn.max(axis=1) > 0.95).any() and (drawn.max(axis=1) < 0.5).any()


def test_rounded_weights_still_sum_to_one():
    weights = LIMITED.draw(50, prior_D=np.full(4, 0.25), rng=generator(4))

    found = rounded(weights)

    assert (np.round(found.sum(axis=1), 9) == 1).all() and np.abs(found - weights).max() < 0.001
