from __future__ import annotations

import numpy as np
import pytest

from eval.search.optimum import Goal, divergence, factors_of, predict, propose
from eval.search.simplex import Limits
from eval.search.study import study_runs
from eval.search.surrogates import fit_ensemble
from pipeline.core.errors import RecipeError
from tests.eval.search.planted import loss_of_shortage, runs

NAMES = ["a", "b", "c", "d"]
LIMITS = Limits.of(NAMES)
PRIOR = np.full(4, 0.25)
LOSS = loss_of_shortage(1)
WEIGHTS, VALUES = runs(LOSS, 48, seed=2, noise=0.005)


@pytest.fixture(scope="module")
def best_weights() -> np.ndarray:
    drawn = np.random.default_rng(0).dirichlet(np.ones(4), 200_000)
    return drawn[int(np.argmin(LOSS(drawn)))]


def study(*, goal: Goal, limits: Limits = LIMITS):
    return study_runs(WEIGHTS, {"loss": VALUES}, goal=goal, limits=limits, prior_D=PRIOR, seed=1)


def test_planted_weights_are_found_inside_their_interval(best_weights):
    found = study(goal=Goal({"loss": 1.0})).optimum

    assert np.abs(found.weights_D - best_weights).sum() < 0.2
    assert LOSS(found.weights_D[None])[0] - LOSS(best_weights[None])[0] < 0.005
    assert (found.low_D <= found.weights_D).all() and (found.weights_D <= found.high_D).all()


def test_limits_are_kept():
    limits = Limits.of(NAMES, least={"a": 0.5}, most={"b": 0.1})

    found = study(goal=Goal({"loss": 1.0}), limits=limits)

    assert limits.hold_for(np.stack([found.chosen_D, found.optimum.low_D * 0 + found.optimum.weights_D])).all()


def test_the_pull_of_the_prior_moves_weights_towards_it():
    far, near = (study(goal=Goal({"loss": 1.0}, pull=pull)).optimum.weights_D for pull in (0.0, 0.3))

    assert divergence(near[None], PRIOR)[0] < 0.5 * divergence(far[None], PRIOR)[0]


def test_a_goal_of_two_metrics_lies_between_them():
    other = loss_of_shortage(9)(WEIGHTS)
    values = {"one": VALUES, "two": other}

    def found(one: float, two: float) -> np.ndarray:
        goal = Goal({"one": one, "two": two})
        return study_runs(WEIGHTS, values, goal=goal, limits=LIMITS, prior_D=PRIOR, seed=1).optimum.weights_D

    alone, both = found(1, 0), found(0.5, 0.5)
    assert np.abs(both - found(0, 1)).sum() < np.abs(alone - found(0, 1)).sum()


def test_a_batch_is_spread_and_begins_where_the_best_is_thought_to_be():
    models, goal = {"loss": fit_ensemble(WEIGHTS, VALUES)}, Goal({"loss": 1.0})

    batch = propose(models, goal, limits=LIMITS, prior_D=PRIOR, weights_ND=WEIGHTS, tried_TD=WEIGHTS, count=6, seed=3)

    means, _ = predict(models, goal, batch)
    assert int(np.argmin(means)) == 0 and len(np.unique(batch.round(3), axis=0)) == 6
    assert LOSS(batch).mean() < np.quantile(VALUES, 0.25)


def test_a_batch_holds_no_mixture_that_was_tried_and_broke():
    models, goal = {"loss": fit_ensemble(WEIGHTS, VALUES)}, Goal({"loss": 1.0})

    def batch(tried: np.ndarray) -> np.ndarray:
        return propose(models, goal, limits=LIMITS, prior_D=PRIOR, weights_ND=WEIGHTS, tried_TD=tried, count=6, seed=3)

    first = batch(WEIGHTS)
    broken = np.concatenate([WEIGHTS, first])  # none of these runs can be fitted, so the models say the same again
    second = batch(broken)

    apart = np.abs(second[:, None] - broken[None]).max(axis=2)
    assert apart.min() >= 0.005 and len(np.unique(second.round(3), axis=0)) == 6


def test_where_limits_leave_nothing_that_was_not_tried_it_is_tried_again():
    limits = Limits.of(["a", "b"], least={"a": 0.5, "b": 0.498})
    tried = np.array([[0.5, 0.5], [0.501, 0.499]] * 4)
    models = {"loss": fit_ensemble(tried, VALUES[:8])}

    batch = propose(
        models, Goal({"loss": 1.0}), limits=limits, prior_D=tried[0], weights_ND=tried, tried_TD=tried, count=2, seed=3
    )

    assert limits.hold_for(batch).all() and batch.shape == (2, 2)


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("mean", {"news": 0.5, "code": 0.5}),
        ("news", {"news": 1.0}),
        ("news + 0.5*code", {"news": 1.0, "code": 0.5}),
        ("2 * news - code", {"news": 2.0, "code": -1.0}),
        ("1e-3*news", {"news": 0.001}),
    ],
)
def test_a_target_is_a_sum_of_metrics(text, factors):
    assert factors_of(text, ["news", "code"]) == factors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nws", "`nws` is not a metric.*Use news"),
        ("two*news", "`two` is not a metric"),
        ("1.2.3*news", "`1.2.3` is not a number"),
        ("", "target is empty"),
    ],
)
def test_a_target_that_means_nothing_is_refused(text, said):
    with pytest.raises(RecipeError, match=said):
        factors_of(text, ["news", "code"])


def test_names_of_metrics_may_hold_signs():
    assert factors_of("arc-easy + 0.5*arc", ["arc", "arc-easy"]) == {"arc-easy": 1.0, "arc": 0.5}


def test_a_batch_keeps_limits_that_earlier_runs_broke():
    limits = Limits.of(NAMES, most={"a": 0.1})
    models, goal = {"loss": fit_ensemble(WEIGHTS, VALUES)}, Goal({"loss": 1.0})

    batch = propose(models, goal, limits=limits, prior_D=PRIOR, weights_ND=WEIGHTS, tried_TD=WEIGHTS, count=5, seed=3)

    assert limits.hold_for(batch).all()


def test_a_batch_does_not_go_where_everything_is_surely_bad():
    """Where most runs lie on a flat part, log-linear must not call the steep part unknown."""
    draw = np.random.default_rng(4)
    weights = draw.dirichlet(np.ones(2), 24)
    values = 2 + np.exp(-12 * weights[:, 0]) + draw.normal(0, 0.009, 24)
    models, goal = {"loss": fit_ensemble(weights, values)}, Goal({"loss": 1.0})

    batch = propose(
        models, goal, limits=Limits.of(["a", "b"]), prior_D=np.full(2, 0.5), weights_ND=weights, tried_TD=weights,
        count=6, seed=3,
    )  # fmt: skip

    assert (np.exp(-12 * batch[:, 0]) < 0.2).all()
