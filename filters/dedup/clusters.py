"""Equal keys to clusters to the one document kept of each: grouping without files, the same in any order.

A cluster is named by its smallest row, and the union-find always hangs the larger root under the smaller, so neither
the order of the edges nor the number of workers shows in the result. Keys are sorted, never held in a dictionary:
a band of 10 million documents takes 160 MB, where a Python dictionary would take over 1 GB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.process.kernels import njit


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of rows that belong together, left[i] < right[i]."""

    left: np.ndarray  # int64[num_edges]
    right: np.ndarray  # int64[num_edges]


def equal_key_edges(keys: np.ndarray, *, rows: np.ndarray) -> Edges:
    """Tie each row to the first row with the same uint64 key."""
    order = np.argsort(keys)
    left, right = _run_edges(keys[order], rows[order])
    return Edges(left=left, right=right)


@njit(cache=True, nogil=True)
def _run_edges(keys: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges within each run of equal keys; sorts the rows of a run in place."""
    num_rows = len(keys)
    left, right = np.empty(num_rows, np.int64), np.empty(num_rows, np.int64)
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
        first = end
    return left[:count].copy(), right[:count].copy()


def candidate_edges(keys: np.ndarray, *, rows: np.ndarray, wholes: np.ndarray, num_documents: int) -> np.ndarray:
    """Return int64[2, num_edges]: pairs of rows to compare, of those with the same uint64 key.

    Rows with the same `wholes` are alike in all keys: each is tied to the first of them, and only these first ones to
    the first of all and to the one before. So equal documents change no other pair. A row from `num_documents` on is
    no document: it is tied to the first and to the last document, and no document to it.
    """
    edges = np.empty((2, 2 * len(keys)), np.int64)
    return edges[:, : _candidates(keys, np.argsort(keys), rows, wholes, num_documents, edges)]


@njit(cache=True, nogil=True)
def _candidates(
    keys: np.ndarray, order: np.ndarray, rows: np.ndarray, wholes: np.ndarray, num_documents: int, edges: np.ndarray
) -> int:
    """Fill `edges` with the pairs within each run of equal keys; return how many."""
    count = 0
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and keys[order[end]] == keys[order[begin]]:
            end += 1
        if end - begin > 1:
            run = order[begin:end]
            run = run[np.argsort(rows[run])]
            num_held = np.searchsorted(rows[run], num_documents)
            same = _first_of_equals(wholes[run[:num_held]])
            lead = last = np.int64(0)
            for place in range(1 if num_held else len(run), len(run)):
                row = rows[run[place]]
                if place < num_held and same[place] < place:
                    edges[0, count], edges[1, count] = rows[run[same[place]]], row
                    count += 1
                    continue
                edges[0, count], edges[1, count] = rows[run[lead]], row
                count += 1
                if last > lead:
                    edges[0, count], edges[1, count] = rows[run[last]], row
                    count += 1
                if place < num_held:
                    last = np.int64(place)
        begin = end
    return count


@njit(cache=True, nogil=True)
def _first_of_equals(values: np.ndarray) -> np.ndarray:
    """Return int64[num_values]: for each value the first place where it stands."""
    first = np.empty(len(values), np.int64)
    order = np.argsort(values, kind="mergesort")
    lead = np.int64(0)
    for place in range(len(order)):
        if values[order[place]] != values[order[lead]]:
            lead = np.int64(place)
        first[order[place]] = order[lead]
    return first


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


@njit(cache=True, nogil=True)
def smallest_rows(labels: np.ndarray) -> np.ndarray:
    """Return int64[num_rows]: for each row the smallest row that has the same label, itself a row."""
    smallest = np.full(len(labels), -1, np.int64)
    named = np.empty(len(labels), np.int64)
    for row in range(len(labels)):
        if smallest[labels[row]] < 0:
            smallest[labels[row]] = row
        named[row] = smallest[labels[row]]
    return named


def cluster_sizes(clusters: np.ndarray) -> np.ndarray:
    """Return int64[num_rows]: how many rows each row's cluster has."""
    return np.bincount(clusters, minlength=len(clusters))[clusters] if len(clusters) else np.zeros(0, np.int64)
