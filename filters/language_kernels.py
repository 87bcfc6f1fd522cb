"""Bytes -> probability of each language, by the tables of py3langid's own model.

An automaton finds features, naive Bayes weighs them. Each step of the automaton waits for the one before, so four
quarters of a document are walked side by side, three times as fast; each feature's row of weights is added once per
document, times log(1 + count). The arithmetic is py3langid's, in float32 like it; only the order of the sums differs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

RANK_BITS = np.uint32(12)  # of a packed state: its number among those that share its row of moves; the row stands above
RANK_MASK = np.uint32((1 << 12) - 1)
BYTE_BITS = np.uint32(8)
WARM_UP = 8  # bytes after which a state does not depend on where the walk began; the longest feature has 6


@njit(cache=True, nogil=True)
def cut(data: Any, offsets: Any, max_bytes: Any) -> Any:
    """Return (ends, unusual): where each document's first max_bytes end, and which are not plain mixed-case ASCII."""
    num_docs = len(offsets) - 1
    ends = np.empty(num_docs, np.int64)
    unusual = np.zeros(num_docs, np.bool_)
    for doc in range(num_docs):
        start, end = offsets[doc], offsets[doc + 1]
        if end - start > max_bytes:
            end = start + max_bytes
            while end > start and data[end] & 0xC0 == 0x80:
                end -= 1
        ends[doc] = end
        lower = upper = high = 0
        for byte in data[start:end]:
            lower += (byte >= 0x61) & (byte <= 0x7A)
            upper += (byte >= 0x41) & (byte <= 0x5A)
            high += byte >= 0x80
        unusual[doc] = high > 0 or (upper > 0 and lower == 0)
    return ends, unusual


@njit(cache=True, nogil=True)
def walk(text: Any, root: Any, moves: Any, path: Any) -> None:
    """Store in `path` the state, packed as in filters.language, in which each byte of the text is left."""
    size = len(text)
    quarter = size // 4
    if quarter < WARM_UP:
        state = root
        for at in range(size):
            state = moves[(state >> RANK_BITS) << BYTE_BITS | text[at]]
            path[at] = state
        return
    first = second = third = fourth = root
    for at in range(quarter - WARM_UP, quarter):  # no state remembers more
        second = moves[(second >> RANK_BITS) << BYTE_BITS | text[at]]
        third = moves[(third >> RANK_BITS) << BYTE_BITS | text[at + quarter]]
        fourth = moves[(fourth >> RANK_BITS) << BYTE_BITS | text[at + 2 * quarter]]
    for at in range(quarter):
        first = moves[(first >> RANK_BITS) << BYTE_BITS | text[at]]
        second = moves[(second >> RANK_BITS) << BYTE_BITS | text[at + quarter]]
        third = moves[(third >> RANK_BITS) << BYTE_BITS | text[at + 2 * quarter]]
        fourth = moves[(fourth >> RANK_BITS) << BYTE_BITS | text[at + 3 * quarter]]
        path[at], path[at + quarter] = first, second
        path[at + 2 * quarter], path[at + 3 * quarter] = third, fourth
    for at in range(4 * quarter, size):
        fourth = moves[(fourth >> RANK_BITS) << BYTE_BITS | text[at]]
        path[at] = fourth


@njit(cache=True, nogil=True)
def score_languages(data: Any, starts: Any, ends: Any, model: Any, log_counts: Any) -> Any:
    """Return (scores float32[num_docs, num_classes], features int64[num_docs]): probabilities and features found."""
    root, moves, firsts, outputs, weights, priors = model
    num_docs, num_classes = len(starts), len(priors)
    scores = np.empty((num_docs, num_classes), np.float32)
    num_features = np.zeros(num_docs, np.int64)
    counts = np.zeros(len(weights), np.int32)
    longest = 1
    for doc in range(num_docs):
        longest = max(longest, ends[doc] - starts[doc])
    path = np.empty(longest, np.uint32)
    seen = np.empty(longest, np.int64)
    for doc in range(num_docs):
        found = 0
        size = ends[doc] - starts[doc]
        walk(data[starts[doc] : ends[doc]], root, moves, path)
        for at in range(size):
            state = path[at]
            feature = np.int64(outputs[firsts[state >> RANK_BITS] + (state & RANK_MASK)])
            if feature >= 0:
                if counts[feature] == 0:
                    seen[found] = feature
                    found += 1
                counts[feature] += 1
        total = scores[doc]
        total[:] = 0
        for index in range(found):
            feature = seen[index]
            weight = log_counts[counts[feature]]
            counts[feature] = 0
            row = weights[feature]
            for column in range(num_classes):
                total[column] += weight * row[column]
        num_features[doc] = found
        normalise(total, priors, size)
    return scores, num_features


@njit(cache=True, nogil=True)
def normalise(total: Any, priors: Any, num_bytes: Any) -> None:
    """Turn summed weights into probabilities in place; the temperature is the root of the length, as in py3langid."""
    scale = np.float32(1.0 / math.sqrt(max(num_bytes, 1)))
    highest = np.float32(-np.inf)
    for column in range(len(total)):
        total[column] = (total[column] + priors[column]) * scale
        highest = max(highest, total[column])
    mass = 0.0
    for column in range(len(total)):
        total[column] = math.exp(total[column] - highest)
        mass += total[column]
    for column in range(len(total)):
        total[column] = total[column] / np.float32(mass)
