"""Texts -> what they are about, found in themselves: the topic of each, and every topic by its telling words.

That of the step `topics` without its sample and its model, for who looks at some thousands of documents once: an audit
that asks which topics swelled, an analysis of errors that names slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.topics.clusters import find_centres, nearest
from filters.topics.latent import fit_space
from filters.topics.quality import telling_words
from filters.topics.word_counts import Vocabulary

NO_TOPIC = -1
NAMING = 3  # words


@dataclass(frozen=True, slots=True)
class FoundTopics:
    """The topic of every text, and what the topics are called."""

    topic: np.ndarray  # int64[num_texts], `NO_TOPIC` without one
    names: list[str]


def topics_in(
    texts: Sequence[str], *, count: int, num_dims: int, starts: int, seed: int, least_documents: int,
    least_words: int = 1,
) -> FoundTopics | None:  # fmt: skip
    """Find `count` topics; None where fewer texts have a word in common, or have fewer such words, than is asked."""
    ids = pa.array(map(str, range(len(texts))), pa.string())
    table = pa.table({"id": ids, "text": pa.array(texts, pa.large_string())})
    vocabulary = Vocabulary.of(table)
    counts = vocabulary.count_all(table)
    wordy = np.diff(counts.starts) > 0
    if len(vocabulary.hashes) < least_words or np.count_nonzero(wordy) < least_documents:
        return None
    space = fit_space(vocabulary, counts.where(wordy), num_dims=num_dims, seed=seed)
    vectors = space.place(counts)
    known = np.asarray(vectors.any(axis=1))
    if known.sum() < 2 * count:
        return None
    centres = find_centres(vectors[known], count=count, seed=seed, starts=starts)
    topic = np.full(len(texts), NO_TOPIC, np.int64)
    topic[known] = nearest(vectors[known], centres).cluster
    words = telling_words(
        counts.where(known), topic[known].astype(np.int32), count=count, num_words=len(vocabulary.hashes), most=NAMING
    )
    spelled = vocabulary.spell(np.unique(np.concatenate(words)), table)
    names = [" ".join(spelled[word] for word in own.tolist()) or f"topic {place}" for place, own in enumerate(words)]
    return FoundTopics(topic, names)
