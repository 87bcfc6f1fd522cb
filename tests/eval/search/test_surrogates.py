from __future__ import annotations

import numpy as np
import pytest

from eval.search.accuracy import accuracy_of
from eval.search.surrogates import FITS, fit_ensemble, fit_gaussian_process, fit_ridge, usable
from pipeline.core.errors import DataError
from tests.eval.search.planted import loss_of_shortage, runs

LOSS = loss_of_shortage(1)
WEIGHTS, VALUES = runs(LOSS, 48, seed=2)
OTHERS, THEIRS = runs(LOSS, 300, seed=3)


@pytest.mark.parametrize("name", ["gaussian_process", "log_linear", "ridge"])
def test_each_model_orders_runs_that_it_never_saw(name):
    predicted, sd = FITS[name](WEIGHTS, VALUES).predict(OTHERS)

    found = accuracy_of(predicted, THEIRS)
    assert found.rank_correlation > 0.85 and (sd >= 0).all()


def test_the_process_tells_good_mixtures_apart_where_others_are_far_worse():
    """It works on logarithms of what lies above a floor: without, a steep rim hides what is flat."""
    found = accuracy_of(fit_gaussian_process(WEIGHTS, VALUES).predict(OTHERS)[0], THEIRS)

    assert found.pairs_best_quarter > 0.9


def test_the_process_is_surer_near_its_runs_than_far_from_them():
    weights, values = WEIGHTS[WEIGHTS[:, 0] < 0.3], VALUES[WEIGHTS[:, 0] < 0.3]

    _, sd = fit_gaussian_process(weights, values).predict(np.array([weights[0], [1.0, 0.0, 0.0, 0.0]]))

    assert sd[1] > 3 * sd[0]


def test_the_ridge_is_no_surer_than_it_is_right_where_runs_are_fewer_than_datasets():
    """What no run varies is as uncertain as before the first; it was taken for known, and errors were 4 deviations."""
    ratios = []
    for seed in range(20):
        loss = loss_of_shortage(seed, datasets=16)
        weights, values = runs(loss, 8, seed=seed, noise=0.01, datasets=16)
        others, theirs = runs(loss, 200, seed=seed + 100, datasets=16)
        predicted, sd = fit_ridge(weights, values).predict(others)
        ratios.append(np.median(np.abs(predicted - theirs) / sd) / 0.6745)

    assert np.median(ratios) < 2


def test_of_very_many_runs_the_process_is_fitted_to_some(monkeypatch):
    monkeypatch.setattr("eval.search.surrogates.MOST_FOR_PROCESS", 128)  # of 512 it takes ten seconds
    weights, values = runs(LOSS, 328, seed=6, noise=0.01)

    found = fit_gaussian_process(weights, values)

    assert len(found.weights_ND) == 128
    assert accuracy_of(found.predict(OTHERS)[0], THEIRS).rank_correlation > 0.95


def test_values_that_follow_from_no_weight_are_not_predicted():
    values = np.random.default_rng(5).permutation(VALUES)

    assert abs(accuracy_of(fit_ensemble(WEIGHTS, values).unseen_N, values).rank_correlation) < 0.5


def test_the_better_a_model_predicts_unseen_runs_the_more_it_says():
    found = fit_ensemble(WEIGHTS, VALUES)

    assert sorted(found.says, key=lambda name: found.says[name]) == sorted(
        found.errors, key=lambda name: -found.errors[name]
    )
    assert sum(found.says.values()) == pytest.approx(1)


def test_a_model_is_the_same_in_other_units():
    one, other = fit_ensemble(WEIGHTS, VALUES), fit_ensemble(WEIGHTS, 1000 * VALUES - 7)

    np.testing.assert_allclose(other.predict(OTHERS)[0], 1000 * one.predict(OTHERS)[0] - 7, rtol=1e-3)


def test_more_is_better_is_as_well_predicted_as_less():
    found = accuracy_of(fit_ensemble(WEIGHTS, -VALUES).predict(OTHERS)[0], -THEIRS)

    assert found.rank_correlation > 0.95


def test_runs_with_the_same_weights_are_allowed():
    weights = np.concatenate([WEIGHTS, WEIGHTS[:4], WEIGHTS[:4]])
    values = np.concatenate([VALUES, VALUES[:4] + 0.01, VALUES[:4] - 0.01])

    assert np.isfinite(fit_ensemble(weights, values).predict(OTHERS)[0]).all()


@pytest.mark.parametrize("constant", [3.0, 0.7, 0.0, -2.5])  # equal numbers may have a deviation of 4e-16
def test_a_constant_is_predicted_to_be_one(constant):
    np.testing.assert_allclose(fit_ensemble(WEIGHTS, np.full(48, constant)).predict(OTHERS)[0], constant, atol=1e-6)


def test_trees_need_many_runs():
    assert "trees" not in usable(127)


@pytest.mark.parametrize(
    ("weights", "values", "said"),
    [
        (WEIGHTS[:5], VALUES[:5], "5 runs; at least 6 are needed"),
        (WEIGHTS, np.where(np.arange(48) == 7, np.nan, VALUES), "run number 8 has a value that is not finite"),
    ],
)
def test_runs_that_nothing_follows_from_are_refused(weights, values, said):
    with pytest.raises(DataError, match=said):
        fit_ensemble(weights, values)
