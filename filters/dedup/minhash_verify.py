"""Candidate pairs of MinHash judged by their signatures, and of each group the documents that stay.

The share of equal values estimates Jaccard's similarity s with a standard error of sqrt(s * (1 - s) / num_values):
0.043 at 0.7 and 112 values. Only pairs that reach `min_jaccard` so tie documents into a group. Ties make chains, so a
group's ends may be strangers: in the order of the keep policy, a document is the duplicate of the first kept one of its
group that it reaches itself, and is kept where it reaches none. Signatures are read a few megabytes at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, comb, sqrt
from typing import TYPE_CHECKING

import numpy as np

from filters.dedup.clusters import apart, unite
from filters.dedup.minhash_kernels import equal_values
from pipeline.core.process.kernels import njit

if TYPE_CHECKING:
    from filters.dedup.minhash_bands import StoredSignatures

MOST_KEPT = 1024  # kept documents of one group that another is compared with: the last ones of those before it


@dataclass(frozen=True, slots=True)
class AlikeFrom:
    """Where alike begins: so many values of two signatures are equal, at least."""

    min_jaccard: float
    bands: int
    rows: int

    @property
    def num_values(self) -> int:
        return self.bands * self.rows

    @property
    def least_equal(self) -> int:
        return ceil(self.min_jaccard * self.num_values - 1e-9)

    @property
    def wanted(self) -> float:
        """Return from which similarity on a dropped pair counts as right.

        That is `min_jaccard` less two standard errors of the estimate; where the bands alone decide, their knee.
        """
        if self.least_equal == 0:
            return float((1 / self.bands) ** (1 / self.rows))
        return max(self.min_jaccard - 2 * self.standard_error, 0.0)

    @property
    def standard_error(self) -> float:
        """Return that of the estimate of a pair which is truly as alike as `min_jaccard`."""
        return sqrt(self.min_jaccard * (1 - self.min_jaccard) / self.num_values)

    def chance_to_meet(self, similarity: float) -> float:
        """Return the probability that two documents of this Jaccard similarity share a band."""
        return float(1.0 - (1.0 - similarity**self.rows) ** self.bands)

    def chance_to_join(self, similarity: float) -> float:
        """Return the probability that they share a band and as many values are equal as must be.

        Of all ways in which that many are equal, those are taken off in which no band is equal as a whole.
        """
        band = np.array(
            [comb(self.rows, k) * similarity**k * (1 - similarity) ** (self.rows - k) for k in range(self.rows + 1)]
        )
        broken = band.copy()
        broken[-1] = 0.0
        every, apart_all = np.ones(1), np.ones(1)
        for _ in range(self.bands):
            every, apart_all = np.convolve(every, band), np.convolve(apart_all, broken)
        return float(max((every - apart_all)[self.least_equal :].sum(), 0.0))


@dataclass(slots=True)
class Checker:
    """Says which documents are alike; counts the candidates of other signatures that it compared, and refused."""

    stored: StoredSignatures
    line: AlikeFrom
    at_once: int  # signatures in memory
    num_checked: int = 0
    num_refused: int = 0

    def alike(self, signatures: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return bool[num_pairs]: whether each signature is as alike to that of a row as `min_jaccard`."""
        reached: np.ndarray = equal_values(signatures, self.stored.of_rows(rows)) >= self.line.least_equal
        return reached

    def join(self, parents: np.ndarray, frozen: np.ndarray, *, left: np.ndarray, right: np.ndarray) -> None:
        """Unite in `parents` the candidates that are alike, of those that stand apart in `frozen`.

        `frozen` is the forest before this band, so that the way a band is cut does not show in the counts.
        """
        wanted = apart(frozen, left, right)
        left, right = left[wanted], right[wanted]
        order = np.argsort(left, kind="stable")  # neighbours lie in the same files
        for first in range(0, len(order), max(self.at_once // 2, 1)):
            some = order[first : first + max(self.at_once // 2, 1)]
            holds = self._confirm(left[some], right[some])
            unite(parents, left[some][holds], right[some][holds])

    def _confirm(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        if self.line.least_equal == 0:
            return np.ones(len(left), np.bool_)
        equal = equal_values(self.stored.of_rows(left), self.stored.of_rows(right))
        holds: np.ndarray = equal >= self.line.least_equal
        self.num_checked += int((equal < self.line.num_values).sum())
        self.num_refused += int((~holds).sum())
        return holds


@dataclass(frozen=True, slots=True)
class Chosen:
    """For every row the kept row that it is a duplicate of, itself where it is kept, and how alike the two are."""

    kept: np.ndarray  # int64[num_rows]
    estimates: np.ndarray  # float32[num_rows], 0 for a kept row
    num_chained: int  # rows kept beside another of their group, since they do not reach it themselves


def choose_kept(groups: np.ndarray, *, scores: np.ndarray, taken: np.ndarray, checker: Checker) -> Chosen:
    """Choose the rows that stay, the highest score of a group first, the first of equals; NaN is lowest.

    `groups` names each row's group by its smallest row; rows that are `taken` have no part in it.
    """
    kept = np.arange(len(groups))
    estimates = np.zeros(len(groups), np.float32)
    tied = np.zeros(len(groups), np.bool_)
    others = np.flatnonzero(groups != kept)
    tied[others] = tied[groups[others]] = True
    members = np.flatnonzero(tied & ~taken)
    order = members[np.lexsort((members, -scores[members], groups[members]))]
    state = np.array([-1, 0, 0])  # the group that we are in, documents kept of it, documents chained in all
    leaders, leader_values = np.empty(MOST_KEPT, np.int64), np.empty((MOST_KEPT, checker.line.num_values), np.uint32)
    for first in range(0, len(order), checker.at_once):
        some = order[first : first + checker.at_once]
        values = checker.stored.of_rows(some)
        _assign(values, groups[some], some, checker.line.least_equal, state, leaders, leader_values, kept, estimates)
    return Chosen(kept, estimates, int(state[2]))


@njit(cache=True, nogil=True)
def _assign(
    values: np.ndarray, groups: np.ndarray, rows: np.ndarray, least: int, state: np.ndarray, leaders: np.ndarray,
    leader_values: np.ndarray, kept: np.ndarray, estimates: np.ndarray,
) -> None:  # fmt: skip
    """Go on through rows in their order; `state` and the leaders carry over from one call to the next."""
    most, num_values = leader_values.shape
    for index in range(len(rows)):
        if groups[index] != state[0]:
            state[0], state[1] = groups[index], 0
        found = False
        for number in range(max(state[1] - most, 0), state[1]):
            equal = 0
            for value in range(num_values):
                equal += values[index, value] == leader_values[number % most, value]
            if equal >= least:
                kept[rows[index]] = leaders[number % most]
                estimates[rows[index]] = equal / num_values
                found = True
                break
        if not found:
            leaders[state[1] % most] = rows[index]
            leader_values[state[1] % most] = values[index]
            state[2] += state[1] > 0
            state[1] += 1
