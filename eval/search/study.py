"""Runs on many mixtures in, what they show about weights out: models, how far to trust them, the best weights.

One path for a recipe's search and for anybody's table of runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eval.search.accuracy import Accuracy, accuracy_of
from eval.search.optimum import Goal, Optimum, find_optimum, predict
from eval.search.simplex import Limits, rounded
from eval.search.surrogates import Ensemble, fit_ensemble


@dataclass(frozen=True, slots=True)
class Study:
    """What N runs show. Values are of the goal unless a metric is named; less is better."""

    models: Mapping[str, Ensemble]
    measured_N: np.ndarray
    unseen_N: np.ndarray  # predicted of every run by models that had not seen it
    accuracy: Accuracy
    by_metric: Mapping[str, Accuracy]
    optimum: Optimum
    chosen_D: np.ndarray  # the optimum in three decimals
    of_chosen: tuple[float, float]  # predicted mean and standard deviation
    of_prior: tuple[float, float]


def study_runs(
    weights_ND: np.ndarray,
    values: Mapping[str, np.ndarray],
    *,
    goal: Goal,
    limits: Limits,
    prior_D: np.ndarray,
    seed: int,
    judged_N: np.ndarray | None = None,
) -> Study:
    """Fit every metric of the goal, judge the fits on unseen runs, find the best weights.

    `judged_N`, bool[N], are the runs by which fits are judged: those whose values were measured. Default: all.
    """
    judged = np.ones(len(weights_ND), bool) if judged_N is None else judged_N
    values = {name: values[name] for name in goal.factors}
    models = {name: fit_ensemble(weights_ND, values[name]) for name in values}
    measured_N = goal.of(values)
    unseen_N = goal.of({name: model.unseen_N for name, model in models.items()})
    optimum = find_optimum(
        models, goal, limits=limits, prior_D=prior_D, weights_ND=weights_ND, values=values, seed=seed
    )
    chosen_D = rounded(optimum.weights_D[None])[0]
    mean, sd = predict(models, goal, np.stack([chosen_D, prior_D]))
    return Study(
        models=models,
        measured_N=measured_N,
        unseen_N=unseen_N,
        accuracy=accuracy_of(unseen_N[judged], measured_N[judged]),
        by_metric={name: accuracy_of(model.unseen_N[judged], values[name][judged]) for name, model in models.items()},
        optimum=optimum,
        chosen_D=chosen_D,
        of_chosen=(float(mean[0]), float(sd[0])),
        of_prior=(float(mean[1]), float(sd[1])),
    )
