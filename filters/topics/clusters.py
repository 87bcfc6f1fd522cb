"""Unit vectors -> clusters by cosine (spherical k-means), and how good a clustering is. Kernels of one fixed order.

Starts are drawn as in k-means++ (Arthur and Vassilvitskii 2007), each document by its distance to the nearest centre so
far; of several, the one with the highest mean cosine is taken. The silhouette by cosine needs no pairs: the mean cosine
to the documents of a cluster is that to their sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.rng import derive, generator

ROUNDS = 100  # of moving centres, at most
STARTS = 8  # of a fit, the best of which counts; assumption


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest centre of every vector, its cosine, and how much nearer it is than the next."""

    cluster: np.ndarray  # int32[num_docs]
    closeness: np.ndarray  # float64[num_docs], cosine
    margin: np.ndarray  # float64[num_docs], cosine less the cosine of the second


def nearest(vectors: np.ndarray, centres: np.ndarray) -> Nearest:
    """Find the nearest of two centres or more; of equally near ones the first."""
    cluster, best, second = _nearest(vectors, np.ascontiguousarray(centres.T))
    return Nearest(cluster, best, best - second)


def find_centres(vectors: np.ndarray, *, count: int, seed: int, starts: int) -> np.ndarray:
    """Return float64[count, num_dims]: the centres of the best of several seeded fits, largest cluster first."""
    best, best_score = np.zeros((count, vectors.shape[1])), -np.inf
    for start in range(starts):
        centres = _first_centres(vectors, count=count, seed=derive(seed, "start", start))
        found = nearest(vectors, centres)
        for _ in range(ROUNDS):
            centres = _move(vectors, found, count)
            moved = nearest(vectors, centres)
            settled = np.array_equal(moved.cluster, found.cluster)
            found = moved
            if settled:
                break
        score = float(found.closeness.mean())
        if score > best_score + 1e-12:
            sizes = np.bincount(found.cluster, minlength=count)
            best, best_score = centres[np.argsort(-sizes, kind="stable")], score
    return best


def _first_centres(vectors: np.ndarray, *, count: int, seed: int) -> np.ndarray:
    draw = generator(seed, "kmeans++")
    chosen = [int(draw.integers(len(vectors)))]
    distance = np.full(len(vectors), np.inf)
    while len(chosen) < count:
        latest = np.stack([vectors[chosen[-1]]] * 2)
        distance = np.minimum(distance, np.maximum(1 - nearest(vectors, latest).closeness, 0))
        reached = np.cumsum(distance)
        chosen.append(min(int(np.searchsorted(reached, draw.random() * reached[-1], "right")), len(vectors) - 1))
    return vectors[chosen]


def _move(vectors: np.ndarray, found: Nearest, count: int) -> np.ndarray:
    """Return the mean directions of the clusters; an empty one moves to the vector that is farthest from its own."""
    sums = sums_of(vectors, found.cluster, count)
    lengths = np.sqrt((sums * sums).sum(axis=1))
    empty = np.flatnonzero(lengths < 1e-12)
    if len(empty):
        sums[empty], lengths[empty] = vectors[np.argsort(found.closeness, kind="stable")[: len(empty)]], 1.0
    return sums / lengths[:, None]


def silhouettes(vectors: np.ndarray, cluster: np.ndarray, count: int) -> np.ndarray:
    """Return float64[num_docs], -1 to 1: how much nearer a document is to its own cluster than to the next, by cosine.

    Of a cluster of one it is 0, as Rousseeuw (1987) has it.
    """
    sizes = np.bincount(cluster, minlength=count)
    own = np.arange(len(vectors)), cluster
    to_sums = _products(vectors, np.ascontiguousarray(sums_of(vectors, cluster, count).T))
    within = 1 - (to_sums[own] - 1) / np.maximum(sizes[cluster] - 1, 1)
    others = 1 - to_sums / np.maximum(sizes, 1)
    others[:, sizes == 0] = np.inf
    others[own] = np.inf
    other = others.min(axis=1)
    found = (other - within) / np.maximum(np.maximum(other, within), 1e-12)
    found[(sizes[cluster] == 1) | ~np.isfinite(other)] = 0
    return found


def adjusted_rand(one: np.ndarray, other: np.ndarray) -> float:
    """Return the adjusted Rand index of two clusterings: 1 if they are the same, 0 on average by chance."""
    pairs = np.unique(np.stack([one, other]), axis=1, return_counts=True)[1]
    rows, columns = np.unique(one, return_counts=True)[1], np.unique(other, return_counts=True)[1]
    together, first, second, every = (_pairs(counts) for counts in (pairs, rows, columns, np.array([len(one)])))
    expected = first * second / every if every else 0.0
    most = (first + second) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def _pairs(counts: np.ndarray) -> float:
    return float((counts.astype(np.float64) * (counts - 1) / 2).sum())


@njit(cache=True, nogil=True)
def sums_of(vectors: np.ndarray, cluster: np.ndarray, count: int) -> np.ndarray:
    """Return float64[count, num_dims]: the sum of the vectors of each cluster."""
    sums = np.zeros((count, vectors.shape[1]))
    for doc in range(len(vectors)):
        sums[cluster[doc]] += vectors[doc]
    return sums


@njit(cache=True, nogil=True)
def _products(vectors: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Return float64[num_docs, count], the cosines to centres given as float64[num_dims, count]."""
    num_docs, count = len(vectors), turned.shape[1]
    found = np.zeros((num_docs, count))
    for doc in range(num_docs):
        for dim in range(vectors.shape[1]):
            value = vectors[doc, dim]
            for centre in range(count):
                found[doc, centre] += value * turned[dim, centre]
    return found


@njit(cache=True, nogil=True)
def _nearest(vectors: np.ndarray, turned: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (int32 nearest centre, float64 its cosine, float64 the second one's) of every vector."""
    num_docs, count = len(vectors), turned.shape[1]
    cluster, best, second = np.zeros(num_docs, np.int32), np.empty(num_docs), np.empty(num_docs)
    cosines = np.empty(count)
    for doc in range(num_docs):
        cosines[:] = 0
        for dim in range(vectors.shape[1]):
            value = vectors[doc, dim]
            for centre in range(count):
                cosines[centre] += value * turned[dim, centre]
        best[doc] = second[doc] = -np.inf
        for centre in range(count):
            if cosines[centre] > best[doc]:
                cluster[doc], second[doc], best[doc] = centre, best[doc], cosines[centre]
            elif cosines[centre] > second[doc]:
                second[doc] = cosines[centre]
    return cluster, best, second
