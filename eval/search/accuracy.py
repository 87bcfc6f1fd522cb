"""What was predicted of runs and what they gave in, how far the prediction can be trusted out.

A rank correlation over all runs flatters: near the best mixtures, where a choice is made, the order is guessed far
worse. So accuracy is told for the best quarter and tenth too, and as regret: what choosing by prediction costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well predictions order runs; guessing orders half of the pairs right. None where there are too few runs."""

    num_runs: int
    rank_correlation: float | None  # Spearman
    pairs: float | None  # share of pairs in the right order
    pairs_best_quarter: float | None
    pairs_best_tenth: float | None
    regret: float  # measured value of the run predicted best, over the best measured
    error: float  # root mean square


def accuracy_of(predicted_N: np.ndarray, measured_N: np.ndarray) -> Accuracy:
    """Compare predictions with measurements of which less is better."""
    count = len(measured_N)
    return Accuracy(
        num_runs=count,
        rank_correlation=_rank_correlation(predicted_N, measured_N),
        pairs=_ordered(predicted_N, measured_N, best=count),
        pairs_best_quarter=_ordered(predicted_N, measured_N, best=count // 4),
        pairs_best_tenth=_ordered(predicted_N, measured_N, best=count // 10),
        regret=float(measured_N[int(np.argmin(predicted_N))] - measured_N.min()),
        error=float(np.sqrt(np.mean((predicted_N - measured_N) ** 2))),
    )


def _rank_correlation(predicted_N: np.ndarray, measured_N: np.ndarray) -> float | None:
    from scipy.stats import rankdata

    one, other = rankdata(predicted_N), rankdata(measured_N)
    if one.std() == 0 or other.std() == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _ordered(predicted_N: np.ndarray, measured_N: np.ndarray, *, best: int) -> float | None:
    """Return the share of pairs among the `best` measured runs that are predicted in their order; ties count half."""
    if best < 4:
        return None
    chosen = np.argsort(measured_N, kind="stable")[:best]
    above, below = np.triu_indices(best, 1)
    truth = np.sign(measured_N[chosen][above] - measured_N[chosen][below])
    guess = np.sign(predicted_N[chosen][above] - predicted_N[chosen][below])
    differ = truth != 0
    if not differ.any():
        return None
    return float(np.mean((truth * guess)[differ] / 2 + 0.5))
