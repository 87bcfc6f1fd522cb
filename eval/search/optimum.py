"""Models of several metrics and what is wanted of them in, the best weights under limits out, with an interval.

What is wanted is a weighted sum of metrics, less being better. It is minimised over many draws, then by steps towards
neighbours on the simplex; the interval comes from the same search on models of resampled runs, so it shows how well the
runs determine the optimum, dataset by dataset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.search.acquisition import expected_improvement
from eval.search.simplex import Limits
from eval.search.surrogates import FITS, Ensemble, Fitted
from pipeline.core.rng import generator

CANDIDATES = 4096
STEPS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)  # of weight, moved from one dataset to another
RESAMPLES = 40
BOUNDS = (0.05, 0.95)  # of what the resamples give: a 90 % interval


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted: the factors of the metrics, and how much a step away from the prior must bring.

    `pull` is in the goal's unit per unit of Kullback-Leibler divergence from the prior.
    """

    factors: Mapping[str, float]
    pull: float = 0.0

    def of(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the weighted sum of some metrics' values."""
        found: np.ndarray = np.sum([factor * values[name] for name, factor in self.factors.items()], axis=0)
        return found


@dataclass(frozen=True, slots=True)
class Optimum:
    """Best weights, float64[D], what is predicted of them, and how far both could lie elsewhere."""

    weights_D: np.ndarray
    low_D: np.ndarray
    high_D: np.ndarray
    value: float  # of the goal, without the pull
    value_sd: float
    by_metric: Mapping[str, float]


def predict(models: Mapping[str, Fitted], goal: Goal, weights_CD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the goal, float64[C] each; metrics are taken to err independently."""
    mean_C, variance_C = np.zeros(len(weights_CD)), np.zeros(len(weights_CD))
    for metric, factor in goal.factors.items():
        mean, sd = models[metric].predict(weights_CD)
        mean_C += factor * mean
        variance_C += (factor * sd) ** 2
    return mean_C, np.sqrt(variance_C)


def find_optimum(
    models: Mapping[str, Ensemble],
    goal: Goal,
    *,
    limits: Limits,
    prior_D: np.ndarray,
    weights_ND: np.ndarray,
    values: Mapping[str, np.ndarray],
    seed: int,
) -> Optimum:
    """Return the best weights. `weights_ND` and `values` are the runs that the models were fitted to."""
    drawn_CD = limits.draw(CANDIDATES, prior_D=prior_D, rng=generator(seed, "optimum"))
    starts_CD = np.concatenate([drawn_CD, weights_ND[limits.hold_for(weights_ND)], limits.nearest(prior_D[None])])
    best_D = _descend(models, goal, limits=limits, prior_D=prior_D, starts_CD=starts_CD)
    rng, found = generator(seed, "resamples"), []
    for _ in range(RESAMPLES):
        chosen_N = rng.integers(0, len(weights_ND), len(weights_ND))
        others = {name: _again(model, weights_ND[chosen_N], values[name][chosen_N]) for name, model in models.items()}
        found.append(_descend(others, goal, limits=limits, prior_D=prior_D, starts_CD=starts_CD[:: CANDIDATES // 512]))
    low_D, high_D = np.quantile(np.stack(found), BOUNDS, axis=0)
    mean, sd = predict(models, goal, best_D[None])
    return Optimum(
        weights_D=best_D,
        low_D=np.minimum(low_D, best_D),
        high_D=np.maximum(high_D, best_D),
        value=float(mean[0]),
        value_sd=float(sd[0]),
        by_metric={name: float(model.predict(best_D[None])[0][0]) for name, model in models.items()},
    )


def _again(model: Ensemble, weights_ND: np.ndarray, values_N: np.ndarray) -> Ensemble:
    """Fit the member with the most say to other runs; the others hardly move the optimum."""
    name = max(model.says, key=lambda member: model.says[member])
    fitted = FITS[name](weights_ND, values_N, near=model.members[name])
    return Ensemble({name: fitted}, {name: 1.0}, {name: model.errors[name]}, values_N)


def _descend(
    models: Mapping[str, Fitted], goal: Goal, *, limits: Limits, prior_D: np.ndarray, starts_CD: np.ndarray
) -> np.ndarray:
    """Return the best of the starts after moving weight between pairs of datasets as long as that helps."""

    def cost(weights_CD: np.ndarray) -> np.ndarray:
        found, _ = predict(models, goal, weights_CD)
        return found + goal.pull * divergence(weights_CD, prior_D) if goal.pull > 0 else found

    costs_C = cost(starts_CD)
    best_D, least = starts_CD[int(np.argmin(costs_C))], float(costs_C.min())
    count = len(best_D)
    pairs = [(to, off) for to in range(count) for off in range(count) if to != off]
    moves_MD = np.array([np.eye(count)[to] - np.eye(count)[off] for to, off in pairs]).reshape(-1, count)
    for step in STEPS:
        while True:
            around_MD = best_D + step * moves_MD
            around_MD = np.maximum(around_MD[limits.hold_for(around_MD)], 0)
            if not len(around_MD):
                break
            costs_M = cost(around_MD)
            if not costs_M.min() < least - 1e-12 * max(1.0, abs(least)):
                break
            best_D, least = around_MD[int(np.argmin(costs_M))], float(costs_M.min())
    return best_D


def divergence(weights_CD: np.ndarray, prior_D: np.ndarray) -> np.ndarray:
    """Return float64[C]: the Kullback-Leibler divergence of weights from a prior, in nats."""
    ratio_CD = np.where(weights_CD > 0, weights_CD, 1) / np.maximum(prior_D, 1e-12)
    found: np.ndarray = np.where(weights_CD > 0, weights_CD * np.log(ratio_CD), 0).sum(axis=1)
    return found


def propose(
    models: Mapping[str, Fitted],
    goal: Goal,
    *,
    limits: Limits,
    prior_D: np.ndarray,
    weights_ND: np.ndarray,
    tried_TD: np.ndarray,
    count: int,
    seed: int,
    chance_of: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Return float64[count, D]: mixtures whose runs would tell most, the next batch of a search, none of them tried.

    `tried_TD` are the weights of all runs, with those that broke, to which no model was fitted. By expected improvement
    over the best that is predicted anywhere, each point then marking down its neighbours, so that a batch does not
    measure one place over and over. The first is where the optimum is thought to be, unless a run was there. Only where
    the limits leave nothing new is something tried again. `chance_of` says of weights how likely they are to train,
    and what is expected of them counts by as much.
    """
    drawn_CD = limits.draw(CANDIDATES, prior_D=prior_D, rng=generator(seed, "proposals"))
    starts_CD = np.concatenate([drawn_CD, weights_ND[limits.hold_for(weights_ND)]])
    best_D = _descend(models, goal, limits=limits, prior_D=prior_D, starts_CD=starts_CD)
    rng = generator(seed, "neighbours")
    near_CD = limits.nearest(np.abs(best_D + rng.normal(0, 0.05, (CANDIDATES // 4, len(best_D)))))
    candidates_CD = np.concatenate([drawn_CD, near_CD])
    tried_C = _is_near(candidates_CD, tried_TD)
    candidates_CD = candidates_CD if tried_C.all() else candidates_CD[~tried_C]
    mean_C, sd_C = predict(models, goal, candidates_CD)
    mean_C = mean_C + goal.pull * divergence(candidates_CD, prior_D)
    best = float(predict(models, goal, best_D[None])[0][0] + goal.pull * divergence(best_D[None], prior_D)[0])
    gain_C = expected_improvement(mean_C, sd_C, best=best)
    is_new = not _is_near(best_D[None], tried_TD)[0]
    if chance_of is not None:
        gain_C = gain_C * chance_of(candidates_CD)
        is_new = is_new and chance_of(best_D[None])[0] > 0.5
    chosen = [best_D if is_new or tried_C.all() else candidates_CD[int(np.argmax(gain_C))]]
    while len(chosen) < count:
        apart_C = np.sqrt(np.maximum(2 - 2 * np.sqrt(candidates_CD) @ np.sqrt(np.stack(chosen)).T, 0)).min(axis=1)
        chosen.append(candidates_CD[int(np.argmax(gain_C * (1 - np.exp(-((apart_C / NEAR) ** 2) / 2))))])
    return np.stack(chosen[:count])


def _is_near(weights_CD: np.ndarray, tried_TD: np.ndarray) -> np.ndarray:
    """Return bool[C]: whether a run was at these weights, to a rounding."""
    apart_CT = np.abs(weights_CD[:, None] - tried_TD[None]).max(axis=2)
    found: np.ndarray = (apart_CT < SAME).any(axis=1)
    return found


SAME = 0.005  # difference of a weight within which a run tells of the same mixture
NEAR = 0.1  # distance between square roots of weights within which a second point of a batch tells little new


def factors_of(expression: str, metrics: Sequence[str]) -> dict[str, float]:
    """Return the factors of a sum of metrics such as `news + 0.5*code`, or `mean` of all."""
    from pipeline.core.errors import RecipeError, nearest_names

    if expression.strip() == "mean":
        return dict.fromkeys(metrics, 1 / len(metrics))
    found: dict[str, float] = {}
    listed = "|".join(re.escape(name) for name in sorted(metrics, key=len, reverse=True))
    rest = expression.strip()
    while rest:
        term = re.match(rf"([+-]?)\s*(?:([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*\*\s*)?({listed})\s*(?=[+-]|$)", rest)
        if term is None:
            wrong = re.split(r"[+\s*-]", rest.lstrip("+- 0123456789.*"))[0] or rest
            raise RecipeError(
                f"target: `{wrong}` is not a metric; a target is `mean` or a sum such as `a + 0.5*b`. "
                f"Use {nearest_names(wrong, list(metrics))}."
            )
        try:
            value = float(term[2] or 1)
        except ValueError:
            raise RecipeError(f"target: `{term[2]}` is not a number; write a sum such as `a + 0.5*b`.") from None
        found[term[3]] = found.get(term[3], 0.0) + (-value if term[1] == "-" else value)
        rest = rest[term.end() :].strip()
    if not any(found.values()):
        raise RecipeError("target is empty; it is `mean` or a sum such as `a + 0.5*b`. Name a metric.")
    return found
