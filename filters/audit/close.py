"""Some documents read closely: what tells two datasets apart, in words, and which topics swelled or went empty.

Both need the texts themselves, so they look at the beginnings of at most 20,000 documents. Topics are found in all of
them together, since a space fitted to the old ones alone would make every new one look strange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

from filters.audit import kinds
from filters.audit.checks import Asked, held, moved, table_of
from filters.audit.floor import UNSEEN, Statistic, splits_of
from filters.audit.found import Found, Row
from filters.audit.told_apart import SETTINGS, spell, telling, told_apart
from filters.classifier.model import Features
from filters.topics.found import NO_TOPIC, topics_in
from pipeline.core.text.batch import Batch

MOST_DOCUMENTS = 10_000  # of each dataset
ROUNDS = 10  # halvings: each is two fits, so fewer than elsewhere
TOPICS, DIMENSIONS, STARTS = 16, 32, 2
LEAST_DOCUMENTS = 4 * TOPICS
UNNAMED = "(no topic)"


@dataclass(frozen=True, slots=True)
class Close:
    """The beginnings of some documents: the first `num_old` are old ones."""

    texts: Sequence[str]
    num_old: int
    units: np.ndarray | None = None  # int64[num_texts]: what comes together

    @property
    def old(self) -> np.ndarray:
        return np.arange(self.num_old)

    @property
    def new(self) -> np.ndarray | None:
        return np.arange(self.num_old, len(self.texts)) if len(self.texts) > self.num_old else None


def read_closely(close: Close, *, seed: int, rounds: int = ROUNDS) -> tuple[list[Found], tuple[Row, ...], list[str]]:
    """Return (numbers, the table of topics, notes)."""
    splits = splits_of(close.old, close.new, seed=seed, rounds=rounds, units=close.units)
    asked, notes = [_apart(close)], []
    table: tuple[Row, ...] = ()
    topics = _topics(close, seed=seed)
    if topics is None:
        notes.append("Topics: the documents have too few words in common to find any.")
    else:
        names, codes = topics
        table = table_of(names, codes, old=close.old, new=close.new)
        spread = kinds.spread(codes, count=len(names))
        asked.append(Asked("topics", ["topics, all together"], "bits", spread, False, moved(names, codes)))
    return [found for each in asked for found in held(each, splits, old=close.old, new=close.new)], table, notes


def _apart(close: Close) -> Asked:
    """Ask how well a classifier tells the two apart, beyond the half that chance does."""
    features = Features.of(Batch.from_texts(list(close.texts)), settings=SETTINGS)
    folds = np.array([xxhash.xxh3_64_intdigest(text.encode()) & 1 for text in close.texts])

    def told(old: np.ndarray, new: np.ndarray | None) -> list[str]:
        if new is None:
            return []
        found = telling(features, old, new)
        words = spell(found, features, close.texts)
        return [
            f"`{words[bucket]}` in {before:,} of {len(old):,} -> {after:,} of {len(new):,}"
            for bucket, (before, after) in found.items()
            if bucket in words
        ]

    statistic = Statistic(
        lambda rows: rows,
        lambda one, other: np.array([told_apart(features, one, other, folds=folds) - 0.5]),
        lambda size: np.array([UNSEEN / size / 2]),
    )
    return Asked("drift", ["told apart by a classifier"], "area", statistic, False, told)


def _topics(close: Close, *, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (names, codes of every document), None where no topics can be found."""
    found = topics_in(
        close.texts, count=TOPICS, num_dims=DIMENSIONS, starts=STARTS, seed=seed, least_documents=LEAST_DOCUMENTS
    )
    if found is None:
        return None
    return np.array([*found.names, UNNAMED]), np.where(found.topic == NO_TOPIC, TOPICS, found.topic)
