"""How good a clustering is: silhouette, agreement of two halves of the sample, and both where there are no clusters.

What has no clusters is one cloud that spreads as the documents do: a normal distribution with their mean and covariance
(the null of SigClust, Liu et al. 2008), a vector of which is a random sum of documents. Whatever a clustering of that
reaches is chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filters.topics.clusters import STARTS, adjusted_rand, find_centres, nearest, silhouettes
from filters.topics.word_counts import Counts
from pipeline.core.odds import odds_apart
from pipeline.core.rng import derive, generator

SUMMANDS = 30  # documents in a random sum; assumption: their sum is nearly normal
# Of what chance leaves of the agreement (`held`) documentation reaches 0.48 to 0.58 with 8 to 64 topics, the same texts
# with their words dealt out anew 0.27 to 0.31.
HELD_BY_CHANCE, HELD_CLEARLY = 1 / 3, 0.45
CLEARLY = 1.2  # times the silhouette that chance reaches; documents drawn from one bag of words reach 1.07
SMOOTHING = 100.0  # words that every cluster is taken to have besides its own, drawn as from all documents; assumption


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured on the sample, -1 to 1 each, and what one cloud without clusters reaches."""

    silhouette: float
    agreement: float
    chance_silhouette: float
    chance_agreement: float

    @property
    def held(self) -> float:
        """Return the agreement beyond chance, as a share of what is possible beyond it."""
        return (self.agreement - self.chance_agreement) / max(1 - self.chance_agreement, 1e-12)

    def describe(self) -> dict[str, float]:
        """Return the figures under the names of the card."""
        return {
            "silhouette": round(self.silhouette, 4),
            "silhouette_by_chance": round(self.chance_silhouette, 4),
            "agreement_of_halves": round(self.agreement, 4),
            "agreement_by_chance": round(self.chance_agreement, 4),
        }

    def doubts(self) -> list[str]:
        """Return what speaks against mixing by these topics."""
        told = (
            f"topics: the silhouette is {self.silhouette:.3f} ({self.chance_silhouette:.3f} without any topics), and "
            f"two halves of the sample agree on the topics at an adjusted Rand index of {self.agreement:.2f} "
            f"({self.chance_agreement:.2f} without any)"
        )
        if self.silhouette <= CLEARLY * self.chance_silhouette or self.held < HELD_BY_CHANCE:
            return [f"{told}: hardly better than chance, so datasets kept by topic are nearly alike; try another count"]
        if self.held < HELD_CLEARLY:
            return [f"{told}: another sample would draw other borders; try a smaller count"]
        return []


def judge(vectors: np.ndarray, centres: np.ndarray, *, seed: int) -> Quality:
    """Measure a clustering of a sample."""
    count = len(centres)
    cloud = cloud_like(vectors, seed=seed)
    drawn = find_centres(cloud, count=count, seed=derive(seed, "chance"), starts=STARTS)
    return Quality(
        silhouette=_silhouette(vectors, centres),
        agreement=halves_agree(vectors, count=count, seed=seed),
        chance_silhouette=_silhouette(cloud, drawn),
        chance_agreement=halves_agree(cloud, count=count, seed=seed),
    )


def _silhouette(vectors: np.ndarray, centres: np.ndarray) -> float:
    return float(silhouettes(vectors, nearest(vectors, centres).cluster, len(centres)).mean())


def halves_agree(vectors: np.ndarray, *, count: int, seed: int) -> float:
    """Cluster every other document, and the rest, and return how well the two agree on all."""
    halves = [
        find_centres(vectors[half::2], count=count, seed=derive(seed, "half", half), starts=STARTS) for half in (0, 1)
    ]
    one, other = (nearest(vectors, centres).cluster for centres in halves)
    return adjusted_rand(one, other)


def cloud_like(vectors: np.ndarray, *, seed: int) -> np.ndarray:
    """Return as many unit vectors of one cloud with the mean and the covariance of the given ones."""
    from scipy.sparse import csr_array

    draw, num_docs = generator(seed, "cloud"), len(vectors)
    shape = (num_docs, SUMMANDS)
    shares = draw.standard_normal(shape) / np.sqrt(SUMMANDS)
    starts = np.arange(0, num_docs * SUMMANDS + 1, SUMMANDS)
    sums = csr_array((shares.ravel(), draw.integers(num_docs, size=shape).ravel(), starts), shape=(num_docs, num_docs))
    mean = vectors.mean(axis=0)
    cloud = mean + sums @ (vectors - mean)
    return cloud / np.maximum(np.sqrt((cloud * cloud).sum(axis=1)), 1e-12)[:, None]


def telling_words(counts: Counts, cluster: np.ndarray, *, count: int, num_words: int, most: int) -> list[np.ndarray]:
    """Return for every cluster the words that tell it from the rest, the most telling first.

    By the log-odds of a word in documents of the cluster against the rest, smoothed towards all, over their standard
    error: neither the commonest words win nor those seen once.
    """
    inside = np.zeros((count, num_words))
    np.add.at(inside, (np.repeat(cluster, np.diff(counts.starts)), counts.words), 1)
    every = inside.sum(axis=0)
    prior = SMOOTHING * every / max(every.sum(), 1)
    found = []
    for own in inside:
        here, rest = own + prior, every - own + prior
        strength = odds_apart(here, rest, total=here.sum(), other_total=rest.sum(), rare=True)
        ranked = np.argsort(-strength, kind="stable")[:most]
        found.append(ranked[own[ranked] > 0])
    return found
