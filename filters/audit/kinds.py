"""The kinds of numbers that an audit asks for: shares, rates, spreads, repeats; each with how far two sets lie apart.

Every factory takes columns over all documents and returns a `Statistic` over rows of them. Its `least` is what a set of
so many documents cannot resolve, though no halving happened to show it: three documents that one side has and the other
has not (`filters/audit/floor.py`), and of counts what the largest unit of either side adds to them: a number that one
document, or one host, can move says nothing of the others. `units`, int64[num_docs], are documents where not given.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from filters.audit.floor import UNSEEN, Statistic
from filters.audit.spread import divergence, effective_number
from filters.audit.terms import PRIOR, shrunk_odds, votes


def shares(hits: np.ndarray, *, units: np.ndarray | None = None) -> Statistic:
    """Say of which share of documents something holds; bool[num_docs, num_numbers]."""
    most = np.array([_unresolved(hits[:, place], units) for place in range(hits.shape[1])])
    return Statistic(lambda rows: hits[rows].mean(axis=0), _difference, lambda size: most / size)


def rate(events: np.ndarray, of: np.ndarray, *, per: float, units: np.ndarray | None = None) -> Statistic:
    """Say how many events there are in so many units of what they are counted in."""
    most = _unresolved(events, units)

    def least(size: int) -> np.ndarray:
        return np.array([per * most / max(float(of.mean()) * size, 1e-9)])

    return Statistic(
        lambda rows: np.array([per * events[rows].sum() / max(float(of[rows].sum()), 1e-9)]), _difference, least
    )


def ratio(above: np.ndarray, below: np.ndarray) -> Statistic:
    """Say how one sum stands to another, compared by the logarithm of their quotient."""

    def of(rows: np.ndarray) -> np.ndarray:
        return np.array([max(float(above[rows].sum()), 1e-9) / max(float(below[rows].sum()), 1e-9)])

    def least(size: int) -> np.ndarray:
        largest = max(float(values.max(initial=0)) / max(float(values.mean()), 1e-9) for values in (above, below))
        return np.array([max(_some(size), np.log1p(largest / size))])

    return Statistic(of, _log_ratio, least)


def spread(codes: np.ndarray, *, count: int) -> Statistic:
    """Say how documents are spread over categories, compared by their divergence in bits."""

    def least(size: int) -> np.ndarray:
        return np.array([divergence(np.array([1.0, 0.0]), np.array([1 - _some(size), _some(size)]))])

    return Statistic(
        lambda rows: np.bincount(codes[rows], minlength=count),
        lambda one, other: np.array([divergence(one, other)]),
        least,
    )


def effective(codes: np.ndarray, *, count: int) -> Statistic:
    """Say the effective number of categories, compared by the logarithm of the quotient."""

    def least(size: int) -> np.ndarray:
        return np.array([np.log(effective_number(np.array([1 - _some(size), _some(size)])))])

    return Statistic(
        lambda rows: np.array([effective_number(np.bincount(codes[rows], minlength=count))]), _log_ratio, least
    )


def concentration(codes: np.ndarray, *, count: int, function: Callable[[np.ndarray], float]) -> Statistic:
    """Say how far few categories have most of the documents, by a function of their counts."""
    return Statistic(
        lambda rows: np.array([function(np.bincount(codes[rows], minlength=count))]),
        _difference,
        lambda size: np.array([_some(size)]),
    )


def geometric_mean(values: np.ndarray) -> Statistic:
    """Say the geometric mean of positive values, compared by the logarithm of the quotient."""
    logs = np.log(values)
    return Statistic(
        lambda rows: np.array([np.exp(logs[rows].mean())]),
        _log_ratio,
        lambda size: np.array([logs.std() * _some(size)]),
    )


def repeats(codes: np.ndarray, counted: np.ndarray, *, units: np.ndarray | None = None) -> Statistic:
    """Say which share of documents has the code of another one before it; of those that are not `counted`, none has."""
    size = int(codes.max(initial=0)) + 1

    def of(rows: np.ndarray) -> np.ndarray:
        mine = codes[rows[counted[rows]]]
        return np.array([(len(mine) - np.count_nonzero(np.bincount(mine, minlength=size))) / max(len(rows), 1)])

    mine = np.flatnonzero(counted)
    again = np.ones(len(mine), np.bool_)
    again[np.unique(codes[mine], return_index=True)[1]] = False
    most = _unresolved(np.bincount(mine[again], minlength=len(codes)), units)
    return Statistic(of, _difference, lambda size: np.array([most / size]))


def repeated_lines(codes: np.ndarray, docs: np.ndarray, *, num_docs: int, times: int) -> Statistic:
    """Say which share of lines stands in `times` documents or more; `codes` and `docs` of every line."""
    size = int(codes.max(initial=0)) + 1

    def of(rows: np.ndarray) -> np.ndarray:
        inside = np.zeros(num_docs, np.bool_)
        inside[rows] = True
        mine = codes[inside[docs]]
        often = np.bincount(mine, minlength=size) >= times
        return np.array([often[mine].mean() if len(mine) else 0.0])

    return Statistic(of, _difference, lambda size: np.array([_some(size)]))


def associations(windows: np.ndarray, ill: np.ndarray) -> Statistic:
    """Say the shrunk log-odds of ill windows of every group, beside all groups; a document has one vote."""
    ill_votes, named = votes(ill, windows)

    def of(rows: np.ndarray) -> np.ndarray:
        return shrunk_odds(ill_votes[rows].sum(axis=0), named[rows].sum(axis=0))

    def least(size: int) -> np.ndarray:
        """Return what three votes that speak ill add to those that so many documents have."""
        share = ill_votes.sum() / max(named.sum(), 1)
        return np.log1p(UNSEEN / (ill_votes.mean(axis=0) * size + PRIOR * share + 0.5))

    return Statistic(of, _difference, least)


def _unresolved(counts: np.ndarray, units: np.ndarray | None) -> float:
    """Return the count that three units have which nobody saw, or the largest unit alone.

    A count comes in lumps, the one that it is found in weighs sum(c ** 2) / sum(c), as in a compound Poisson process.
    """
    lumps = (counts if units is None else np.bincount(units, weights=counts)).astype(np.float64)
    total = float(lumps.sum())
    return max(UNSEEN * float(np.square(lumps).sum()) / total, float(lumps.max())) if total else UNSEEN


def _some(size: int) -> float:
    """Return the share of so many documents that none of them may have though there is one: the rule of three."""
    return UNSEEN / size


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return other - one


def _log_ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(other, 1e-12)) - np.log(np.maximum(one, 1e-12))
