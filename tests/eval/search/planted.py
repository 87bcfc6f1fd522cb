"""Runs on made problems whose best weights are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Loss = Callable[[np.ndarray], np.ndarray]


def loss_of_shortage(seed: int, *, datasets: int = 4) -> Loss:
    """Return a loss that falls exponentially with each dataset: steep where one is missing, flat at its floor."""
    draw = np.random.default_rng(seed)
    share, height = draw.dirichlet(np.full(datasets, 2.0)), draw.uniform(0.5, 2, datasets)
    rate = draw.uniform(2, 8, datasets)

    def loss(weights_ND: np.ndarray) -> np.ndarray:
        return 2 + (share * height * np.exp(-rate * weights_ND)).sum(axis=1)

    return loss


def runs(loss: Loss, count: int, *, seed: int, noise: float = 0.0, datasets: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and noisy losses of as many runs."""
    draw = np.random.default_rng(seed)
    weights = draw.dirichlet(np.full(datasets, 0.7), count)
    return weights, loss(weights) + draw.normal(0, noise, count)
