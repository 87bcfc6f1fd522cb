"""Texts -> what they are about, as topics of words that stand together: to name slices, and to show of every kind some.

Topics are those of the step `topics`, found anew in the documents of an experiment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DIMENSIONS = 16
STARTS = 2
LEAST_DOCUMENTS = 60  # for each topic on average
MOST_TOPICS = 8
SEED = 0  # topics are of the documents, not of a round


def topics_of(texts: Sequence[str], *, count: int) -> tuple[np.ndarray, list[str]]:
    """Return the topic of every text, -1 without one, and the names of all; none where texts share too few words."""
    from filters.topics.found import NO_TOPIC, topics_in

    found = None
    if count >= 2:
        found = topics_in(
            texts, count=count, num_dims=DIMENSIONS, starts=STARTS, seed=SEED, least_documents=2 * count,
            least_words=DIMENSIONS,
        )  # fmt: skip
    return (np.full(len(texts), NO_TOPIC, np.int64), []) if found is None else (found.topic, found.names)


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
