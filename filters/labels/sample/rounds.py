"""Grades so far -> which documents to ask for next, and whether that is worth its price.

A round is a further part of the stratified sample, or the documents that a committee of small classifiers, each trained
on a draw of the grades, agrees on least. What a round would bring is read off the learning curve: the rank correlation
of held-out grades with classifiers of half and of all grades, in line with the logarithm of their number; as a mean of
some splits, with an interval, as one split alone promises anything between nothing and thrice the truth. Everything
depends on the grades and the seed alone, so a run that adds a round finds the earlier ones in the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from filters.classifier.agreement import spearman
from filters.classifier.model import Features, GradeModel, Settings, train
from filters.dedup.minhash import cluster_documents
from pipeline.core.rng import generator
from pipeline.core.step import Part
from pipeline.core.text.batch import Batch

FOLDS, SPLITS = 4, 3
RESAMPLES = 200  # of the near-duplicate clusters, for an interval
COMMITTEE = 5
LEAST_GRADED = 50  # grades below which a curve says nothing
PENALTY, EPOCHS = 1e-4, 60  # the middle of what `quality` tries, and its default

By = Literal["stratified", "unsure"]


@dataclass(frozen=True, slots=True)
class Rounds:
    """What further rounds may be asked for."""

    count: int = 0
    documents: int = 0  # of each
    by: By = "stratified"
    min_gain_per_usd: float = 0.0  # of Spearman, below which no round is bought


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where the classifier stands, and what more grades would bring."""

    graded: int
    spearman: float  # of grades held out in turn, by classifiers of the others
    by_half: float  # the same by classifiers of half of the others
    low: float  # 95 % interval of what the other half brought
    high: float

    def gain(self, more: int) -> float:
        """Return the rank correlation to be gained by so many more grades; never below 0."""
        return self._by(self.spearman - self.by_half, more)

    def interval(self, more: int) -> tuple[float, float]:
        """Return between what the gain lies; never below 0."""
        return self._by(self.low, more), self._by(self.high, more)

    def _by(self, of_twice: float, more: int) -> float:
        return max(of_twice / math.log(2) * math.log1p(more / self.graded), 0.0)


@dataclass(frozen=True, slots=True)
class GradesSoFar:
    """Documents with grades, as features, in an order of their own."""

    batch: Batch
    inputs: Features
    grades: np.ndarray  # float64[num_docs]
    settings: Settings

    @classmethod
    def of(cls, documents: Sequence[tuple[str, str, float]], *, excerpt_chars: int) -> GradesSoFar:
        """Take (id, text, grade) of every document."""
        ids, texts, grades = zip(*sorted(documents), strict=True)
        table = pa.table({"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.large_string())})
        batch, settings = Batch.from_table(table), Settings(2**18, 2, excerpt_chars)
        return cls(batch, Features.of(batch, settings=settings), np.array(grades, np.float64), settings)

    def fit(self, rows: np.ndarray) -> GradeModel:
        """Train on some of the documents."""
        return train(self.inputs.take(rows), self.grades[rows], settings=self.settings, l2=PENALTY, epochs=EPOCHS)


def forecast(graded: GradesSoFar, *, seed: int) -> Forecast:
    """Measure the classifier by grades held out in turn, near-duplicates together, in several splits.

    The interval comes of clusters drawn anew, and of the predictions as they are.
    """
    clusters = cluster_documents(graded.batch)
    draw = generator(seed, "label", "folds")
    names, place = np.unique(clusters, return_inverse=True)
    splits = [_held_out(graded, place, len(names), draw) for _ in range(SPLITS)]
    by_all, by_half = np.mean([[spearman(scores, graded.grades) for scores in split] for split in splits], axis=0)
    members = [np.flatnonzero(place == name) for name in range(len(names))]
    brought = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[name] for name in draw.integers(len(names), size=len(names))])
        brought.append(np.mean([_brought(split[:, rows], graded.grades[rows]) for split in splits]))
    low, high = np.quantile(brought, (0.025, 0.975))
    return Forecast(len(graded.grades), float(by_all), float(by_half), float(low), float(high))


def _held_out(graded: GradesSoFar, place: np.ndarray, num_clusters: int, draw: np.random.Generator) -> np.ndarray:
    """Return float64[2, num_docs]: each document's score by classifiers of all others, and of half of them."""
    fold = draw.permutation(num_clusters)[place] % FOLDS
    halves = draw.permutation(num_clusters)[place] % 2 == 0
    predicted = np.zeros((2, len(graded.grades)))
    for number in range(FOLDS):
        held, others = fold == number, fold != number
        for row, rows in enumerate((others, others & halves)):
            model = graded.fit(np.flatnonzero(rows))
            predicted[row, held] = model.score(graded.batch)[held]
    return predicted


def _brought(predicted: np.ndarray, grades: np.ndarray) -> float:
    """Return by how much classifiers of all order better than those of half."""
    return spearman(predicted[0], grades) - spearman(predicted[1], grades)


def committee(graded: GradesSoFar, *, seed: int) -> tuple[GradeModel, ...]:
    """Train classifiers on draws of the documents with replacement."""
    draw, count = generator(seed, "label", "committee"), len(graded.grades)
    return tuple(graded.fit(draw.integers(count, size=count)) for _ in range(COMMITTEE))


@dataclass(frozen=True, slots=True)
class UnsureJob:
    """One part to be scored by a committee. Picklable."""

    part: Part
    models: tuple[GradeModel, ...]


def unsure_part(job: UnsureJob) -> np.ndarray:
    """Return float32[num_rows]: the variance of a committee's scores of each document; runs in a worker process."""
    if job.part.num_rows == 0:
        return np.zeros(0, np.float32)
    batch = job.part.batch()
    scores = np.stack([model.score(batch) for model in job.models])
    variance: np.ndarray = scores.var(axis=0)
    return variance


def least_sure(
    parts: Sequence[Part],
    models: tuple[GradeModel, ...],
    *,
    free: np.ndarray,
    count: int,
    map: Callable[..., list[Any]],
) -> list[int]:
    """Return the `count` documents of bool `free` that the committee agrees on least, by their place in all parts."""
    jobs = [UnsureJob(part, models) for part in parts]
    unsure = np.concatenate(map(unsure_part, jobs, label="label (what the classifier is unsure of)"))
    at = np.flatnonzero(free)
    order = np.argsort(-unsure[at], kind="stable")
    return [int(position) for position in at[order[:count]]]
