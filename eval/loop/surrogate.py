"""Points and what was measured of them in, what any point would gain over another out; and whether it would train.

A Gaussian process over weights and knobs together. Its kernel is a sum over settings (the weights are one) and over
pairs of settings, so that ten knobs are learnt from tens of runs, each by itself, and two that depend on each other are
seen. Lengths, the share of the pairs and how much more the weights matter are chosen one after the other from short
lists, by the restricted likelihood of `eval.search`. What did not train is no value: a model apart says how likely a
point is to train. Shapes: N runs, C candidates, D datasets, K knobs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.loop.space import Point, Space
from eval.search.restricted import Fit, Known, Process, Warped
from eval.search.simplex import distances

LENGTHS = {  # what is tried; the first of each is where the choice begins
    "of_weights": (0.6, 0.15, 0.25, 0.4, 1.0, 1.6, 2.5),  # in distances between square roots, at most 1.41
    "of_knobs": (0.5, 0.25, 1.0, 2.0),  # in ranges of a knob
    "pairs": (0.3, 0.1, 0.6, 0.9),  # share of the variance that is of pairs of settings
    "weights_over_knob": (2.0, 0.3, 10.0),  # variance of the weights over that of a knob
}
ROUNDS = 2  # of choosing each in turn
LEAST_RUNS = 6  # of which anything is said
MOST_KNOWN = 8.0  # freedom that the noise of earlier lanes counts for at most


@dataclass(frozen=True, slots=True)
class Kernel:
    """How alike points are: 1 for the same, and at least 0."""

    of_weights: float
    of_knobs: float
    pairs: float
    weights_over_knob: float

    def between(self, one: Places, other: Places) -> np.ndarray:
        """Return float64[N, M]."""
        groups, shares = [], []
        if one.weights_ND.shape[1]:
            groups.append(np.exp(-distances(one.weights_ND, other.weights_ND) / (2 * self.of_weights**2)))
            shares.append(self.weights_over_knob)
        for knob, is_ordered in enumerate(one.is_ordered_K):
            places_U, row_N = np.unique(one.places_NK[:, knob], return_inverse=True)  # of many points they are few
            apart = np.abs(places_U[:, None] - other.places_NK[:, knob])
            apart = apart if is_ordered else (apart > 0).astype(np.float64)
            groups.append(np.exp(-(apart**2) / (2 * self.of_knobs**2))[row_N])
            shares.append(1.0)
        share_G = np.array(shares) / sum(shares)
        single = np.zeros(groups[0].shape)
        squares = np.zeros(groups[0].shape)
        for share, group in zip(share_G, groups, strict=True):
            single += share * group
            squares += (share * group) ** 2
        if len(groups) == 1:
            return groups[0]
        of_pairs = (single**2 - squares) / (1 - float((share_G**2).sum()))
        found: np.ndarray = (1 - self.pairs) * single + self.pairs * of_pairs
        return found


@dataclass(frozen=True, slots=True)
class Places:
    """Points as arrays."""

    weights_ND: np.ndarray
    places_NK: np.ndarray
    is_ordered_K: tuple[bool, ...]

    @classmethod
    def of(cls, points: Sequence[Point], *, space: Space) -> Places:
        """Return points of a space as arrays."""
        ordered = tuple(knob.is_ordered for knob in space.knobs)
        return cls(space.weights(points), space.places(points), ordered)


@dataclass(frozen=True, slots=True)
class Surrogate:
    """What runs say of every point; values are bits per byte, less being better. Made by `fit_surrogate`."""

    space: Space
    kernel: Kernel
    places: Places
    process: Process

    def predict(self, points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, float64[C] each, of what points have without the chance of a lane."""
        return self.predict_at(Places.of(points, space=self.space))

    def predict_at(self, places: Places) -> tuple[np.ndarray, np.ndarray]:
        """Return the same of points as arrays."""
        near_CN = self.kernel.between(places, self.places)
        return self.process.warp.back(self.process.mean_at(near_CN), np.sqrt(self.process.variance_at(near_CN)))

    def gains(self, points: Sequence[Point], *, over: Point) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of how many bits per byte fewer points need than another one.

        What is not known of both alike cancels, so a gain is surer than the two values it is the difference of.
        """
        here, there = Places.of(points, space=self.space), Places.of([over], space=self.space)
        near_CN, near_1N = self.kernel.between(here, self.places), self.kernel.between(there, self.places)
        between_C = self.kernel.between(here, there)[:, 0]
        value_C, slope_C = self._valued(self.process.mean_at(near_CN))
        value_1, slope_1 = self._valued(self.process.mean_at(near_1N))
        variance_C = (
            slope_C**2 * self.process.variance_at(near_CN)
            + slope_1**2 * self.process.variance_at(near_1N)
            - 2 * slope_C * slope_1 * self.process.covariance_at(near_CN, near_1N, between_C)
        )
        return value_1 - value_C, np.sqrt(np.maximum(variance_C, 0))

    def contrast(self, points: Sequence[Point], factors_C: np.ndarray) -> tuple[float, float]:
        """Return mean and standard deviation of a sum of a few points' values, each times its factor."""
        places = Places.of(points, space=self.space)
        near_CN, between_CC = self.kernel.between(places, self.places), self.kernel.between(places, places)
        value_C, slope_C = self._valued(self.process.mean_at(near_CN))
        pulled_C = factors_C * slope_C
        rows = [
            self.process.covariance_at(near_CN, near_CN[row : row + 1], between_CC[:, row])
            for row in range(len(points))
        ]
        variance = float(pulled_C @ np.stack(rows) @ pulled_C)
        return float(factors_C @ value_C), math.sqrt(max(variance, 0.0))

    def drawn(
        self, points: Sequence[Point], rows_N: np.ndarray, *, noises_N: np.ndarray, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return `count` times what points might truly be, float64[R, C], and what lanes would show, float64[R, N].

        `rows_N` says of which point each lane is, `noises_N` how variable it is beside an ordinary one.
        """
        places, process = Places.of(points, space=self.space), self.process
        near_CN, between_CC = self.kernel.between(places, self.places), self.kernel.between(places, places)
        covariance_CC = np.stack(
            [process.covariance_at(near_CN, near_CN[row : row + 1], between_CC[:, row]) for row in range(len(near_CN))]
        )
        levels_C, basis_CC = np.linalg.eigh((covariance_CC + covariance_CC.T) / 2)
        spread_CC = basis_CC * np.sqrt(np.maximum(levels_C, 0))
        true_RC = process.mean_at(near_CN) + rng.normal(size=(count, len(points))) @ spread_CC.T
        lane_sd_N = np.sqrt(process.noise * process.variance * noises_N)
        lane_RN = true_RC[:, rows_N] + lane_sd_N * rng.normal(size=(count, len(rows_N)))
        return self._valued(true_RC)[0], self._valued(lane_RN)[0]

    def noise_sd(self, point: Point) -> float:
        """Return by how much one lane of a point deviates by chance."""
        near_1N = self.kernel.between(Places.of([point], space=self.space), self.places)
        _, slope_1 = self._valued(self.process.mean_at(near_1N))
        return float(abs(slope_1[0])) * math.sqrt(self.process.noise * self.process.variance)

    def _valued(self, mean_C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and their slopes along the process."""
        value_C, above_C = self.process.warp.back(mean_C, np.ones(mean_C.shape))
        return value_C, self.process.warp.sign * above_C


def fit_surrogate(
    points: Sequence[Point],
    values: Sequence[float],
    *,
    space: Space,
    noises: Sequence[float] | None = None,
    known: Known | None = None,
) -> Surrogate:
    """Fit the process. A point may be given more than once, each time with the value of another lane.

    `noises` are the variances of the lanes beside an ordinary one's. `known` is what earlier lanes say of an ordinary
    one's, which counts for `MOST_KNOWN` degrees of freedom at most. At least `LEAST_RUNS` values are needed.
    """
    places = Places.of(points, space=space)
    if known is not None:
        known = replace(known, freedom=min(known.freedom, MOST_KNOWN))
    warped = Warped.of(
        np.asarray(values, np.float64), noise_N=None if noises is None else np.asarray(noises, np.float64), known=known
    )
    kernel, fits = Kernel(**{name: sizes[0] for name, sizes in LENGTHS.items()}), dict[Kernel, Fit]()
    for _ in range(ROUNDS):
        for name in _free(space):
            around = [replace(kernel, **{name: size}) for size in LENGTHS[name]]
            fits |= {each: warped.fit(each.between(places, places)) for each in around if each not in fits}
            kernel = max(around, key=lambda each: fits[each].likelihood)
    return Surrogate(space, kernel, places, warped.solved(fits[kernel]))


def _free(space: Space) -> list[str]:
    """Return which sizes make a difference in a space."""
    mixed, knobs = space.limits is not None, len(space.knobs)
    found = ["of_weights"] if mixed else []
    found += ["of_knobs"] if knobs else []
    found += ["pairs"] if mixed + knobs > 1 else []
    return found + (["weights_over_knob"] if mixed and knobs else [])


TRAINS = 0.9  # how likely a point is to train that is far from all that were tried
HOLD = 3.0  # deviation of the log-odds from place to place
NEAR = Kernel(of_weights=0.3, of_knobs=0.3, pairs=0.4, weights_over_knob=1.0)


@dataclass(frozen=True, slots=True)
class Feasibility:
    """How likely points are to train and to fit: a Gaussian process of the log-odds (Laplace's approximation)."""

    space: Space
    places: Places
    slope_N: np.ndarray  # of the log-likelihood at the most likely log-odds
    inverse_NN: np.ndarray  # of the kernel's matrix plus one over the curvature

    def probability(self, points: Sequence[Point]) -> np.ndarray:
        """Return float64[C]."""
        return self.probability_at(Places.of(points, space=self.space))

    def probability_at(self, places: Places) -> np.ndarray:
        """Return the same of points as arrays."""
        near_CN = HOLD**2 * NEAR.between(places, self.places)
        odds_C = math.log(TRAINS / (1 - TRAINS)) + near_CN @ self.slope_N
        variance_C = np.maximum(HOLD**2 - ((near_CN @ self.inverse_NN) * near_CN).sum(axis=1), 0)
        found: np.ndarray = 1 / (1 + np.exp(-odds_C / np.sqrt(1 + math.pi * variance_C / 8)))  # MacKay 1992
        return found


def fit_feasibility(points: Sequence[Point], trained: Sequence[bool], *, space: Space) -> Feasibility:
    """Fit which points trained; of none at all, every point is as likely."""
    places, trained_N = Places.of(points, space=space), np.asarray(trained, np.float64)
    kernel_NN = HOLD**2 * NEAR.between(places, places)
    prior, odds_N = math.log(TRAINS / (1 - TRAINS)), np.zeros(len(trained_N))  # odds beyond the prior's
    chance_N = np.full(len(trained_N), TRAINS)
    for _ in range(20):  # Newton's steps
        curvature_N = np.maximum(chance_N * (1 - chance_N), 1e-6)
        pulled_N = odds_N + (trained_N - chance_N) / curvature_N
        inverse_NN = np.linalg.inv(kernel_NN + np.diag(1 / curvature_N))
        odds_N = kernel_NN @ (inverse_NN @ pulled_N)
        chance_N = 1 / (1 + np.exp(-(prior + odds_N)))
    return Feasibility(space, places, trained_N - chance_N, inverse_NN)
