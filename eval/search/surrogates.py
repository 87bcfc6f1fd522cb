"""Mixtures and what was measured of them in, models that predict it for other mixtures out.

Each model predicts one metric from the weights; metrics are combined afterwards, since their sum is harder to predict
than each of them (eval/LOG.md). Shapes: N runs, D datasets, C candidates. The models and what the field found of
them: a Gaussian process and ridge regression on the square roots of the weights need the fewest runs, log-linear
extrapolates best, gradient-boosted trees win from 128 runs on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from eval.search.restricted import Fit as RestrictedFit
from eval.search.restricted import Process, Warped
from eval.search.simplex import distances
from eval.search.warp import Warp, warps_for
from pipeline.core.errors import DataError
from pipeline.core.rng import generator

LENGTHS = np.geomspace(0.1, 4.0, 16)  # of the process, in distances between square roots of weights, at most 1.41
NEARBY = 0.3  # in the logarithm of the length: the one that nearly the same runs had, and its neighbours
PENALTIES = np.geomspace(1e-6, 1e2, 33)  # of the ridge, over the variance of its features
FOLDS = 10
SHARPNESS = 4  # how fast a member's say falls with its error: half the say at 1.19 of the best's
LEAST_RUNS = 6  # of which anything is said
MOST_FOR_PROCESS = 512  # runs of the Gaussian process, whose time grows with the cube of their number
FEW = 128  # runs up to which a fit that is made again may choose another length
RUNS_FOR_TREES = 128  # below, they are beaten by everything else (shared measurements on RegMix's runs)


class Fitted(Protocol):
    """A model of one metric."""

    def predict(self, weights_CD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, float64[C] each, of what runs would have without noise."""
        ...


Fit = Callable[..., Any]  # (weights_ND, values_N, near: a model of nearly the same runs or None) -> Fitted


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """Smooth functions of the square roots of the weights, with a constant mean; see `fit_gaussian_process`."""

    weights_ND: np.ndarray
    length: float
    process: Process

    def predict(self, weights_CD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        near_CN = np.exp(-distances(weights_CD, self.weights_ND) / (2 * self.length**2))
        return self.process.warp.back(self.process.mean_at(near_CN), np.sqrt(self.process.variance_at(near_CN)))


def fit_gaussian_process(
    weights_ND: np.ndarray, values_N: np.ndarray, near: GaussianProcess | None = None
) -> GaussianProcess:
    """Fit length, noise, variance and warp by restricted likelihood over a grid; one decomposition for each length.

    Where a model of nearly the same runs is given, only lengths beside its own are tried, of more than a few runs its
    own alone. Of more runs than `MOST_FOR_PROCESS` it is fitted to so many, drawn blindly.
    """
    if len(values_N) > MOST_FOR_PROCESS:
        drawn_N = np.sort(generator(0, "process").permutation(len(values_N))[:MOST_FOR_PROCESS])
        weights_ND, values_N = weights_ND[drawn_N], values_N[drawn_N]
    warped, apart_NN = Warped.of(values_N), distances(weights_ND, weights_ND)
    nearby = NEARBY if len(values_N) <= FEW else 0.01
    best: tuple[float, RestrictedFit] | None = None
    for length in LENGTHS if near is None else LENGTHS[np.abs(np.log(LENGTHS / near.length)) < nearby]:
        found = warped.fit(np.exp(-apart_NN / (2 * length**2)))
        if best is None or found.likelihood > best[1].likelihood:
            best = float(length), found
    assert best is not None
    return GaussianProcess(weights_ND, best[0], warped.solved(best[1]))


@dataclass(frozen=True, slots=True)
class Ridge:
    """A linear function of the square roots of the weights, penalty and warp chosen by restricted likelihood."""

    warp: Warp
    center_D: np.ndarray
    slopes_D: np.ndarray
    mean: float
    covariance_DD: np.ndarray
    variance: float  # of what it leaves unexplained
    num_runs: int

    def predict(self, weights_CD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features_CD = np.sqrt(weights_CD) - self.center_D
        spread_C = ((features_CD @ self.covariance_DD) * features_CD).sum(axis=1) + 1 / self.num_runs
        return self.warp.back(self.mean + features_CD @ self.slopes_D, np.sqrt(self.variance * spread_C))


def fit_ridge(weights_ND: np.ndarray, values_N: np.ndarray, near: Fitted | None = None) -> Ridge:
    """Fit slopes; the intercept is not penalised."""
    features_ND = np.sqrt(weights_ND)
    center_D, num_runs = features_ND.mean(axis=0), len(values_N)
    left_NR, sizes_R, right_RD = np.linalg.svd(features_ND - center_D, full_matrices=False)
    penalty_G = PENALTIES * max(float((sizes_R**2).mean()), 1e-12)
    shrink_GR = sizes_R**2 / (sizes_R**2 + penalty_G[:, None])
    best: tuple[float, Ridge] | None = None
    for warp in warps_for(values_N):
        warped_N = warp.forward(values_N)
        mean = float(warped_N.mean())
        turned_R, total = left_NR.T @ (warped_N - mean), float(((warped_N - mean) ** 2).sum())
        # as if the slopes were drawn from a normal distribution whose variance the penalty stands for
        variance_G = np.maximum((total - shrink_GR @ turned_R**2) / (num_runs - 1), 1e-12)
        likelihood_G = warp.log_slope(warped_N) - 0.5 * (
            (num_runs - 1) * np.log(variance_G) - np.log1p(-np.minimum(shrink_GR, 1 - 1e-12)).sum(axis=1)
        )
        top = int(np.argmax(likelihood_G))
        if best is None or likelihood_G[top] > best[0]:
            inverse_R = 1 / (sizes_R**2 + penalty_G[top])
            slopes_D = right_RD.T @ (sizes_R * inverse_R * turned_R)
            # along what no run varies nothing was learnt: there the slopes are as uncertain as before the first run
            unseen_DD = np.eye(len(center_D)) - right_RD.T @ right_RD
            covariance_DD = (right_RD.T * inverse_R) @ right_RD + unseen_DD / penalty_G[top]
            found = Ridge(warp, center_D, slopes_D, mean, covariance_DD, float(variance_G[top]), num_runs)
            best = float(likelihood_G[top]), found
    assert best is not None
    return best[1]


@dataclass(frozen=True, slots=True)
class LogLinear:
    """`offset + sign * exp(rates . weights)`: each dataset multiplies what can be gained (Data Mixing Laws, olmix)."""

    offset: float
    sign: float
    rates_D: np.ndarray
    scale: float
    center: float
    left_over: float  # standard deviation of what it leaves unexplained

    def predict(self, weights_CD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean_C = self.offset + self.sign * np.exp(np.minimum(weights_CD @ self.rates_D, 50))
        return self.center + self.scale * mean_C, np.full(len(weights_CD), self.left_over)


def fit_log_linear(weights_ND: np.ndarray, values_N: np.ndarray, near: LogLinear | None = None) -> LogLinear:
    """Fit by least squares with Huber's loss, from two starts each way up, or from a model of nearly the same runs."""
    from scipy.optimize import least_squares

    num_runs, num_datasets = weights_ND.shape
    center, scale = float(values_N.mean()), max(float(values_N.std()), 1e-12)
    target_N = (values_N - center) / scale
    calm = 1e-3  # of a penalty on the rates, which a dataset in no run would leave open

    def errors(given: np.ndarray, sign: float) -> np.ndarray:
        powers_N = np.exp(np.minimum(weights_ND @ given[1:], 50))
        found: np.ndarray = np.concatenate([given[0] + sign * powers_N - target_N, calm * given[1:]])
        return found

    def slopes(given: np.ndarray, sign: float) -> np.ndarray:
        powers_N = sign * np.exp(np.minimum(weights_ND @ given[1:], 50))
        upper = np.concatenate([np.ones((num_runs, 1)), powers_N[:, None] * weights_ND], axis=1)
        lower = np.concatenate([np.zeros((num_datasets, 1)), calm * np.eye(num_datasets)], axis=1)
        return np.concatenate([upper, lower])

    if near is not None:
        offset = (near.center + near.scale * near.offset - center) / scale
        moved = near.rates_D + math.log(near.scale / scale)  # the weights sum to one
        starts = [(near.sign, np.concatenate([[offset], moved]))]
    else:
        straight_D = np.linalg.lstsq(weights_ND, target_N, rcond=None)[0]
        starts = [
            (sign, np.concatenate([[-sign * height], math.log(height) + np.clip(sign * straight_D / height, -3, 3)]))
            for sign in (1.0, -1.0)
            for height in (1.0, 10.0)  # a high exponential is nearly straight
        ]
    tries = []
    for sign, start in starts:
        found = least_squares(errors, start, jac=slopes, args=(sign,), loss="huber", f_scale=0.5, max_nfev=60)
        tries.append((found.cost, sign, found.x))
    _, sign, best = min(tries, key=lambda item: item[0])
    # by the median, as a normal distribution has it: the few runs at the rim say nothing of the many near the best
    left_over = 1.4826 * scale * float(np.median(np.abs(errors(best, sign)[:num_runs])))
    return LogLinear(float(best[0]), sign, best[1:], scale, center, left_over)


@dataclass(frozen=True, slots=True)
class Trees:
    """Gradient-boosted trees (LightGBM), as RegMix has them."""

    model: Any  # LightGBM has no types
    left_over: float

    def predict(self, weights_CD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean_C = np.asarray(self.model.predict(weights_CD))
        return mean_C, np.full(len(weights_CD), self.left_over)


def fit_trees(weights_ND: np.ndarray, values_N: np.ndarray, near: Fitted | None = None) -> Trees:
    """Fit 1,000 trees at rate 0.01. No early stopping: on what should it stop?"""
    import lightgbm

    model = lightgbm.train(
        {"objective": "regression", "learning_rate": 0.01, "verbosity": -1, "num_threads": 1, "deterministic": True},
        lightgbm.Dataset(weights_ND, label=values_N),
        num_boost_round=1000,
    )
    return Trees(model, float(np.std(values_N - model.predict(weights_ND))))


FITS: Mapping[str, Fit] = {
    "gaussian_process": fit_gaussian_process,
    "log_linear": fit_log_linear,
    "ridge": fit_ridge,
    "trees": fit_trees,
}


def usable(num_runs: int) -> tuple[str, ...]:
    """Return the models for this many runs; trees from 128 on, where LightGBM is installed."""
    trees = num_runs >= RUNS_FOR_TREES and find_spec("lightgbm") is not None
    return tuple(name for name in FITS if name != "trees" or trees)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Several models of one metric, each with the more say the better it predicted runs that it had not seen."""

    members: Mapping[str, Fitted]
    says: Mapping[str, float]  # sum to one
    errors: Mapping[str, float]  # root mean square on unseen runs, in the metric's unit
    unseen_N: np.ndarray  # what it predicted of every run by models that had not seen it

    def predict(self, weights_CD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation; members that disagree widen it."""
        found = {name: model.predict(weights_CD) for name, model in self.members.items()}
        mean_C = sum(self.says[name] * mean for name, (mean, _) in found.items())
        spread_C = sum(self.says[name] * (sd**2 + (mean - mean_C) ** 2) for name, (mean, sd) in found.items())
        return np.asarray(mean_C), np.sqrt(np.asarray(spread_C))


def fit_ensemble(weights_ND: np.ndarray, values_N: np.ndarray, *, models: Sequence[str] | None = None) -> Ensemble:
    """Fit every model, and again without each tenth of the runs to see how well it predicts them.

    Raises DataError where there are too few runs or a value is not finite.
    """
    check_runs(weights_ND, values_N)
    names = tuple(models) if models is not None else usable(len(values_N))
    members = {name: FITS[name](weights_ND, values_N) for name in names}
    folds_N = generator(0, "folds").permutation(len(values_N)) % min(FOLDS, len(values_N))
    unseen = {name: np.empty(len(values_N)) for name in names}
    for fold in range(int(folds_N.max()) + 1):
        here_N = folds_N == fold
        for name in names:
            fitted = FITS[name](weights_ND[~here_N], values_N[~here_N], near=members[name])
            unseen[name][here_N] = fitted.predict(weights_ND[here_N])[0]
    errors = {name: float(np.sqrt(np.mean((unseen[name] - values_N) ** 2))) for name in names}
    least = max(min(errors.values()), 1e-300)
    votes = {name: (max(error, least) / least) ** -SHARPNESS for name, error in errors.items()}
    says = {name: vote / math.fsum(votes.values()) for name, vote in votes.items()}
    return Ensemble(
        members=members,
        says=says,
        errors=errors,
        unseen_N=np.asarray(sum(says[name] * unseen[name] for name in names)),
    )


def check_runs(weights_ND: np.ndarray, values_N: np.ndarray) -> None:
    """Raise DataError where no model can be fitted."""
    if len(values_N) < LEAST_RUNS:
        raise DataError(f"surrogate: {len(values_N)} runs; at least {LEAST_RUNS} are needed. Run more mixtures.")
    if not np.isfinite(values_N).all() or not np.isfinite(weights_ND).all():
        row = int(np.argmin(np.isfinite(values_N) & np.isfinite(weights_ND).all(axis=1)))
        raise DataError(f"surrogate: run number {row + 1} has a value that is not finite. Leave that run out.")
