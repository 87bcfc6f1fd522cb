"""Bytes -> probability of each language, by the tables of py3langid's own model.

An automaton finds features, naive Bayes weighs them. Each step of the automaton waits for the one before, so eight
eighths of a document are walked side by side; a state's own bit says whether it is worth looking up, two in five are.
Each feature's row of weights is added once per document, times log(1 + count). py3langid's weights are float16 between
-15 and -2, so whole multiples of 1/512: as int16 they are the same numbers in half the cache, and the result differs
from py3langid's in the order of the float32 sums only. 170 MB/s of what is read on one Zen 5 core.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

# A state is packed: bit 31 says that it ends a feature, then its row of moves, then its rank among those of that row
RANK_BITS = np.uint32(12)
RANK_MASK = np.uint32((1 << 12) - 1)
ROW_MASK = np.uint32(0x7FFFF000)
FEATURE_BIT = np.uint32(31)
TO_MOVES = np.uint32(4)  # from the place of the row in a state to its place in an index of moves, 256 to a row
STRIPS = 8  # of a document that are walked side by side
WARM_UP = 8  # bytes after which a state does not depend on where the walk began; the longest feature has 6
WEIGHT_UNIT = 1 / 512  # of the int16 weights
WIDTH = 160  # int16 weights in a row: five cache lines, of which the languages fill 142 places


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


@njit(cache=True, nogil=True, forceinline=True)
def step(state: Any, byte: Any, moves: Any) -> Any:
    """Return the state after one byte."""
    return moves[(state & ROW_MASK) >> TO_MOVES | byte]


@njit(cache=True, nogil=True)
def walk(text: Any, root: Any, moves: Any, path: Any) -> None:
    """Store in `path` the state in which each byte of the text is left."""
    size = len(text)
    strip = size // STRIPS
    if strip < WARM_UP:
        state = root
        for only in range(size):
            state = step(state, text[only], moves)
            path[only] = state
        return
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = root
    for past in range(strip - WARM_UP, strip):  # no state remembers more
        s1 = step(s1, text[past], moves)
        s2 = step(s2, text[past + strip], moves)
        s3 = step(s3, text[past + 2 * strip], moves)
        s4 = step(s4, text[past + 3 * strip], moves)
        s5 = step(s5, text[past + 4 * strip], moves)
        s6 = step(s6, text[past + 5 * strip], moves)
        s7 = step(s7, text[past + 6 * strip], moves)
    for place in range(strip):
        at: Any = np.uintp(place)  # unsigned: no index counts from the end
        s0 = step(s0, text[at], moves)
        s1 = step(s1, text[at + strip], moves)
        s2 = step(s2, text[at + 2 * strip], moves)
        s3 = step(s3, text[at + 3 * strip], moves)
        s4 = step(s4, text[at + 4 * strip], moves)
        s5 = step(s5, text[at + 5 * strip], moves)
        s6 = step(s6, text[at + 6 * strip], moves)
        s7 = step(s7, text[at + 7 * strip], moves)
        path[at], path[at + strip], path[at + 2 * strip], path[at + 3 * strip] = s0, s1, s2, s3
        path[at + 4 * strip], path[at + 5 * strip], path[at + 6 * strip], path[at + 7 * strip] = s4, s5, s6, s7
    for last in range(STRIPS * strip, size):
        s7 = step(s7, text[last], moves)
        path[last] = s7


@njit(cache=True, nogil=True)
def count_features(path: Any, size: Any, tables: Any, hits: Any, counts: Any, seen: Any) -> Any:
    """Count the features of a walk and store each once in `seen`; return how many differ."""
    firsts, outputs = tables
    num_hits = np.int64(0)
    for at in range(size):
        hits[num_hits] = path[at]
        num_hits += np.int64(path[at] >> FEATURE_BIT)
    found = np.int64(0)
    for index in range(num_hits):
        state = hits[index]
        feature = np.int64(outputs[firsts[(state & ROW_MASK) >> RANK_BITS] + np.int64(state & RANK_MASK)])
        seen[found] = feature
        found += np.int64(counts[feature] == 0)
        counts[feature] += 1
    return found


@njit(cache=True, nogil=True)
def add_weights(total: Any, weights: Any, seen: Any, found: Any, counts: Any, log_counts: Any) -> None:
    """Add the rows of the features seen, times log(1 + count), and set their counts back to 0."""
    index = 0
    while index + 4 <= found:
        f0, f1, f2, f3 = seen[index], seen[index + 1], seen[index + 2], seen[index + 3]
        w0, w1, w2, w3 = log_counts[counts[f0]], log_counts[counts[f1]], log_counts[counts[f2]], log_counts[counts[f3]]
        counts[f0] = counts[f1] = counts[f2] = counts[f3] = 0
        r0, r1, r2, r3 = weights[f0], weights[f1], weights[f2], weights[f3]
        for column in range(WIDTH):
            total[column] += (w0 * np.float32(r0[column]) + w1 * np.float32(r1[column])) + (
                w2 * np.float32(r2[column]) + w3 * np.float32(r3[column])
            )
        index += 4
    while index < found:
        feature = seen[index]
        weight, row = log_counts[counts[feature]], weights[feature]
        counts[feature] = 0
        for column in range(WIDTH):
            total[column] += weight * np.float32(row[column])
        index += 1


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
    path, hits = np.empty(longest, np.uint32), np.empty(longest, np.uint32)
    seen = np.empty(longest, np.int64)
    total = np.empty(WIDTH, np.float32)
    unit = np.float32(WEIGHT_UNIT)
    for doc in range(num_docs):
        size = ends[doc] - starts[doc]
        walk(data[starts[doc] : ends[doc]], root, moves, path)
        found = count_features(path, size, (firsts, outputs), hits, counts, seen)
        total[:] = 0
        add_weights(total, weights, seen, found, counts, log_counts)
        for column in range(num_classes):
            scores[doc, column] = total[column] * unit
        num_features[doc] = found
        normalise(scores[doc], priors, size)
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
