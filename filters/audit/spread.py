"""Counts of categories -> how they are spread, and how far two spreads lie apart. Pure functions over arrays.

Jensen-Shannon divergence in bits lies between 0 and 1 and is finite where a category is new, which a ratio of shares is
not. The effective number of categories is exp(entropy): twenty sources of which one gives nearly all count as one.
"""

from __future__ import annotations

import numpy as np


def divergence(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence of two vectors of counts over the same categories, in bits, 0 to 1."""
    if first.sum() == 0 or second.sum() == 0:
        return 0.0
    one, other = first / first.sum(), second / second.sum()
    middle = (one + other) / 2
    return max(float((_part(one, middle) + _part(other, middle)) / 2), 0.0)


def _part(shares: np.ndarray, middle: np.ndarray) -> float:
    there = shares > 0
    return float((shares[there] * np.log2(shares[there] / middle[there])).sum())


def effective_number(counts: np.ndarray) -> float:
    """Return exp(entropy) of a vector of counts; 0 for none."""
    there = counts[counts > 0]
    if not len(there):
        return 0.0
    shares = there / there.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def top_share(counts: np.ndarray, *, number: int = 1) -> float:
    """Return the share of the largest categories."""
    return float(np.sort(counts)[::-1][:number].sum() / max(counts.sum(), 1))


def gini(counts: np.ndarray) -> float:
    """Return the Gini coefficient over the categories that occur: 0 all alike, near 1 one has nearly all."""
    there = np.sort(counts[counts > 0]).astype(np.float64)
    if not len(there):
        return 0.0
    place = np.arange(1, len(there) + 1)
    return float(((2 * place - len(there) - 1) * there).sum() / (len(there) * there.sum()))


EDGES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)  # closer at the ends, where a few documents show
NUM_BINS = 2 * len(EDGES) + 2


def quantile_bins(values: np.ndarray, *, like: np.ndarray) -> np.ndarray:
    """Return int64[num_values]: the bin of each value between quantiles of `like`; what is no number is in bin 0."""
    known = like[np.isfinite(like)]
    edges = np.unique(np.quantile(known, EDGES)) if len(known) else np.zeros(0)
    # A value that many have is a bin of its own: with an edge on one side it would be lost among its neighbours.
    bins = np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
    return np.where(np.isfinite(values), bins + 1, 0)
