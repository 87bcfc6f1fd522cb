"""Texts -> what they are about, as topics of words that stand together: to name slices, and to show of every kind some.

Topics are those of the step `topics`, found anew in the documents of an experiment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

DIMENSIONS = 16
STARTS = 2
LEAST_DOCUMENTS = 60  # for each topic on average
MOST_TOPICS = 8
NAMING = 3  # words
SEED = 0  # topics are of the documents, not of a round


def topics_of(texts: Sequence[str], *, count: int) -> tuple[np.ndarray, list[str]]:
    """Return the topic of every text, -1 without one, and the names of all; none where texts share too few words."""
    from filters.topics.clusters import find_centres, nearest
    from filters.topics.latent import fit_space
    from filters.topics.quality import telling_words
    from filters.topics.word_counts import Vocabulary

    table = pa.table({"id": [str(k) for k in range(len(texts))], "text": pa.array(texts, pa.large_string())})
    nothing = np.full(len(texts), -1, np.int64)
    if count < 2:
        return nothing, []
    vocabulary = Vocabulary.of(table)
    counts = vocabulary.count_all(table)
    counts = counts.where(np.diff(counts.starts) > 0)
    if len(vocabulary.hashes) < DIMENSIONS or len(counts) < 2 * count:
        return nothing, []
    space = fit_space(vocabulary, counts, num_dims=DIMENSIONS, seed=SEED)
    every = vocabulary.count_all(table)
    vectors = space.place(every)
    known = np.asarray(vectors.any(axis=1))
    if known.sum() < 2 * count:
        return nothing, []
    centres = find_centres(vectors[known], count=count, seed=SEED, starts=STARTS)
    topic = nothing.copy()
    topic[known] = nearest(vectors[known], centres).cluster
    telling = telling_words(
        every.where(known), topic[known].astype(np.int32), count=count, num_words=len(vocabulary.hashes), most=NAMING
    )
    spelled = vocabulary.spell(np.unique(np.concatenate(telling)), table)
    return topic, [" ".join(spelled[word] for word in words.tolist()) for words in telling]


def spread_over_topics(texts: Sequence[str], rows: np.ndarray, *, count: int) -> np.ndarray:
    """Return so many of some documents, the first of each topic first: of every kind some, in the order given."""
    if len(rows) <= count:
        return rows
    topic, _ = topics_of([texts[row] for row in rows], count=min(MOST_TOPICS, len(rows) // 4))
    seen: dict[int, int] = {}
    turn = []
    for each in topic.tolist():
        turn.append(seen.get(each, 0))
        seen[each] = turn[-1] + 1
    chosen = np.argsort(np.array(turn), kind="stable")[:count]
    found: np.ndarray = rows[np.sort(chosen)]
    return found
