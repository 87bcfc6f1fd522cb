"""Equal keys to clusters to the one document kept of each: grouping without files, the same in any order.

A cluster is named by its smallest row, and the union-find always hangs the larger root under the smaller, so neither
the order of the edges nor the number of workers shows in the result. Keys are sorted, never held in a dictionary:
a band of 10 million documents takes 160 MB, where a Python dictionary would take over 1 GB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of rows that belong together, left[i] < right[i]."""

    left: np.ndarray  # int64[num_edges]
    right: np.ndarray  # int64[num_edges]


def equal_key_edges(keys: np.ndarray, *, rows: np.ndarray, chains: bool = False) -> Edges:
    """Tie each row to the first row with the same uint64 key; with `chains`, also to the one just before it."""
    order = np.argsort(keys)
    left, right = _run_edges(keys[order], rows[order], chains)
    return Edges(left=left, right=right)


@njit(cache=True, nogil=True)
def _run_edges(keys: np.ndarray, rows: np.ndarray, chains: bool) -> tuple[np.ndarray, np.ndarray]:
    """Edges within each run of equal keys; sorts the rows of a run in place."""
    num_rows = len(keys)
    left = np.empty((2 if chains else 1) * num_rows, np.int64)
    right = np.empty_like(left)
    count = 0
    first = 0
    while first < num_rows:
        end = first + 1
        while end < num_rows and keys[end] == keys[first]:
            end += 1
        if end - first > 1:
            run = np.sort(rows[first:end])
            for index in range(1, len(run)):
                left[count], right[count] = run[0], run[index]
                count += 1
                if chains and index > 1:
                    left[count], right[count] = run[index - 1], run[index]
                    count += 1
        first = end
    return left[:count].copy(), right[:count].copy()


@njit(cache=True, nogil=True)
def fold_runs(keys: np.ndarray, rows: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Join the rows of each run of equal sorted keys in `parents`; return bool[num_rows], true for a run's first."""
    first = np.ones(len(keys), np.bool_)
    leader = 0
    for place in range(1, len(keys)):
        if keys[place] != keys[place - 1]:
            leader = place
            continue
        first[place] = False
        one, other = root(parents, rows[leader]), root(parents, rows[place])
        parents[max(one, other)] = min(one, other)
    return first


def new_forest(num_rows: int) -> np.ndarray:
    """Return int64[num_rows] parents of a union-find in which every row stands alone."""
    return np.arange(num_rows, dtype=np.int64)


@njit(cache=True, nogil=True)
def root(parents: np.ndarray, row: int) -> int:
    """Return the root of a row's tree, and halve the way to it."""
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@njit(cache=True, nogil=True)
def unite(parents: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Join the trees of left[i] and right[i] for every edge, in place."""
    for edge in range(len(left)):
        one, other = root(parents, left[edge]), root(parents, right[edge])
        if one < other:
            parents[other] = one
        elif other < one:
            parents[one] = other


@njit(cache=True, nogil=True)
def apart(parents: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return bool[num_edges]: whether the two rows still stand in different trees."""
    separate = np.empty(len(left), np.bool_)
    for edge in range(len(left)):
        separate[edge] = root(parents, left[edge]) != root(parents, right[edge])
    return separate


@njit(cache=True, nogil=True)
def settle(parents: np.ndarray) -> np.ndarray:
    """Make every row's parent the smallest row of its cluster, in place, and return the array."""
    for row in range(len(parents)):
        parents[row] = parents[parents[row]]  # settled already, as it is no greater
    return parents


@njit(cache=True, nogil=True)
def best_rows(clusters: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return int64[num_rows]: the highest-scoring row of each row's cluster, the first of equals; NaN is lowest."""
    best = clusters.copy()  # indexed by a cluster's name, at first the name itself
    for row in range(len(clusters)):
        name = clusters[row]
        score, champion = scores[row], scores[best[name]]
        if score > champion or (np.isnan(champion) and not np.isnan(score)):
            best[name] = row
    kept = np.empty_like(clusters)
    for row in range(len(clusters)):
        kept[row] = best[clusters[row]]
    return kept


def cluster_sizes(clusters: np.ndarray) -> np.ndarray:
    """Return int64[num_rows]: how many rows each row's cluster has."""
    return np.bincount(clusters, minlength=len(clusters))[clusters] if len(clusters) else np.zeros(0, np.int64)
