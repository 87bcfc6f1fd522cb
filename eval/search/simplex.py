"""Weights of datasets under limits: which may be asked for, draws of them, and designs that cover what may be.

Weights lie on a simplex: none is negative and they sum to one. Near and far are measured between their square roots
(the Hellinger distance), where a dataset's first percent counts as much as a dozen later ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.errors import RecipeError, nearest_names

STRENGTHS = (0.1, 5.0)  # of the Dirichlet draws, as RegMix and olmix have them: from single datasets to near the prior
PER_POINT = 64  # candidates from which each point of a design is chosen
SUM_TO = 1e-6  # how exactly limits must allow a sum of one


@dataclass(frozen=True, slots=True)
class Limits:
    """The least and most that each dataset may weigh. Shapes: D datasets, in the order of `names`."""

    names: tuple[str, ...]
    low_D: np.ndarray
    high_D: np.ndarray

    @classmethod
    def of(
        cls, names: Sequence[str], *, least: Mapping[str, float] | None = None, most: Mapping[str, float] | None = None
    ) -> Limits:
        """Return the limits of some datasets, 0 and 1 where none is given.

        Raises RecipeError for an unknown name, a limit outside 0 to 1, and limits that no weights can keep.
        """
        least, most = least or {}, most or {}
        for key, given in (("least", least), ("most", most)):
            for name, value in given.items():
                if name not in names:
                    raise RecipeError(
                        f"{key}: `{name}` is not among what is mixed; use {nearest_names(name, list(names))}."
                    )
                if not 0 <= value <= 1:
                    raise RecipeError(f"{key}.{name} is {value:g}; a weight lies between 0 and 1. Change it.")
        low = np.array([least.get(name, 0.0) for name in names])
        high = np.array([most.get(name, 1.0) for name in names])
        for name, floor, ceiling in zip(names, low, high, strict=True):
            if floor > ceiling:
                raise RecipeError(
                    f"least.{name} is {floor:g} and most.{name} {ceiling:g}; least must not be above most. Change one."
                )
        if low.sum() > 1 + SUM_TO:
            raise RecipeError(f"least: the weights sum to {low.sum():g}; they must not exceed 1. Lower some.")
        if high.sum() < 1 - SUM_TO:
            raise RecipeError(f"most: the weights sum to {high.sum():g}; they must reach 1. Raise some.")
        return cls(tuple(names), low, high)

    def hold_for(self, weights_ND: np.ndarray) -> np.ndarray:
        """Return bool[N]: which weights keep the limits and sum to one."""
        inside = (weights_ND >= self.low_D - SUM_TO) & (weights_ND <= self.high_D + SUM_TO)
        found: np.ndarray = inside.all(axis=1) & (np.abs(weights_ND.sum(axis=1) - 1) <= SUM_TO)
        return found

    def nearest(self, weights_ND: np.ndarray) -> np.ndarray:
        """Return the closest weights that keep the limits, by a shift that is the same for all datasets.

        It is the projection onto the capped simplex: `clip(w - shift, low, high)` with the shift at which they sum to
        one, found by halving.
        """
        below = (weights_ND - self.high_D).min(axis=1)
        above = (weights_ND - self.low_D).max(axis=1)
        for _ in range(60):
            shift = (below + above) / 2
            too_much = np.clip(weights_ND - shift[:, None], self.low_D, self.high_D).sum(axis=1) > 1
            below, above = np.where(too_much, shift, below), np.where(too_much, above, shift)
        found: np.ndarray = np.clip(weights_ND - above[:, None], self.low_D, self.high_D)
        return found

    def draw(self, count: int, *, prior_D: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return float64[count, D]: Dirichlet draws around the square root of a prior, from far apart to close."""
        center_D = np.sqrt(prior_D) / np.sqrt(prior_D).sum()
        strength_N = np.exp(rng.uniform(math.log(STRENGTHS[0]), math.log(STRENGTHS[1]), size=count)) * len(center_D)
        shares_ND = rng.gamma(np.maximum(strength_N[:, None] * center_D, 1e-3)) + 1e-12
        return self.nearest(shares_ND / shares_ND.sum(axis=1, keepdims=True))


def distances(one_ND: np.ndarray, other_MD: np.ndarray) -> np.ndarray:
    """Return float64[N, M]: squared distances between the square roots of weights, 0 to 2."""
    return np.maximum(2 - 2 * np.sqrt(one_ND) @ np.sqrt(other_MD).T, 0)


def design(count: int, *, limits: Limits, prior_D: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return float64[count, D] that cover what the limits allow: the prior first, then each as far from all as can be.

    Chosen among Dirichlet draws and the corners, so that the middle is not left out for the rim: a point's distance
    counts by its nearest neighbour.
    """
    corners_ND = limits.nearest(np.eye(len(limits.names)))
    drawn_ND = limits.draw(PER_POINT * count, prior_D=prior_D, rng=rng)
    candidates_ND = np.concatenate([drawn_ND, corners_ND])
    chosen = [limits.nearest(prior_D[None])[0]]
    nearest_N = distances(candidates_ND, chosen[0][None])[:, 0]
    while len(chosen) < count:
        farthest = int(np.argmax(nearest_N))
        chosen.append(candidates_ND[farthest])
        nearest_N = np.minimum(nearest_N, distances(candidates_ND, candidates_ND[farthest : farthest + 1])[:, 0])
    return np.stack(chosen[:count])


def rounded(weights_ND: np.ndarray, *, decimals: int = 3) -> np.ndarray:
    """Return weights of a few decimals that still sum to one and keep the limits as well as their decimals can."""
    scale = 10**decimals
    whole_ND = np.floor(weights_ND * scale + 1e-9)
    for row, weights_D in zip(whole_ND, weights_ND, strict=True):
        missing = round(scale - row.sum())
        order = np.argsort(-(weights_D * scale - row), kind="stable")
        row[order[:missing]] += 1
    return whole_ND / scale
