"""Bytes -> the most probable language and its probability, by the tables of py3langid's own model.

An automaton finds features, naive Bayes weighs them. Each step of the automaton waits for the one before, so 24 parts
of some documents are walked side by side; a state's own bit says whether it ends a feature, two in five do. The row of
a feature is added once per document, times log(1 + count): most are seen once, and eight such rows add up exactly in
16 bits. The result differs from py3langid's by the order and the exponentials of float32 only, by less than 1e-4.
128 bytes of a document take 1.2 us on one Zen 5 core, half of it for rows that do not fit in the second cache.
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
STRIPS = 24  # of a text that are walked side by side
WARM_UP = 8  # bytes after which a state does not depend on where the walk began; the longest feature has 6
GROUP_BYTES = 8192  # of documents walked at once: their states stay in the first cache
WEIGHT_UNIT = 1 / 512  # of the int16 weights
WIDTH = 160  # int16 weights in a row: five cache lines, of which the languages fill 142 places
ROWS_AT_ONCE = 8  # whose sum fits in int16: no weight is further than LARGEST from the middle of its row
LARGEST = 4095  # in WEIGHT_UNIT
ROWS_WITH_COUNTS = 4  # rows added at once that each have their own factor
EXP_SQUARES = 4  # exp(x) is taken as exp(x / 16) to the 16th power
LOWEST = -24  # below exp(-24), 4e-11 times the highest, a probability is taken for that


@njit(cache=True, nogil=True, forceinline=True)
def step(state: Any, byte: Any, moves: Any) -> Any:
    """Return the state after one byte."""
    return moves[(state & ROW_MASK) >> TO_MOVES | byte]


@njit(cache=True, nogil=True)
def walk(text: Any, root: Any, moves: Any, path: Any) -> None:
    """Store in `path` the state in which each byte of the text is left."""
    strip = len(text) // STRIPS
    if strip < WARM_UP:
        state = root
        for only in range(len(text)):
            state = step(state, text[only], moves)
            path[only] = state
        return
    states = np.full(STRIPS, root, np.uint32)
    for past in range(strip - WARM_UP, strip):  # no state remembers more
        for lane in range(1, STRIPS):
            states[lane] = step(states[lane], text[past + (lane - 1) * strip], moves)
    for place in range(strip):
        for lane in range(STRIPS):
            at = place + lane * strip
            states[lane] = step(states[lane], text[at], moves)
            path[at] = states[lane]
    state = states[STRIPS - 1]
    for last in range(STRIPS * strip, len(text)):
        state = step(state, text[last], moves)
        path[last] = state


@njit(cache=True, nogil=True)
def count_features(path: Any, tables: Any, hits: Any, counts: Any, seen: Any) -> Any:
    """Count the features of a walk and store each once in `seen`; return how many differ."""
    firsts, outputs = tables
    num_hits = np.uintp(0)
    for state in path:
        hits[num_hits] = state
        num_hits += np.uintp(state >> FEATURE_BIT)
    found = np.uintp(0)
    for index in range(num_hits):
        state = hits[index]
        row, rank = np.uintp((state & ROW_MASK) >> RANK_BITS), np.uintp(state & RANK_MASK)
        feature = np.uintp(outputs[np.uintp(firsts[row]) + rank])
        seen[found] = feature
        count = counts[feature]
        found += np.uintp(count == 0)
        counts[feature] = count + 1
    return np.int64(found)


@njit(cache=True, nogil=True)
def split(seen: Any, counts: Any, once: Any, often: Any, times: Any, nothing: Any) -> Any:
    """Sort features into those seen once and those seen more often, with their counts, which are set back to 0.

    Both lists are filled up with the row of nothing to what is added at once. Return how long they are.
    """
    num_once, num_often = np.uintp(0), np.uintp(0)
    for feature in seen:
        count = counts[feature]
        counts[feature] = 0
        once[num_once] = feature
        often[num_often] = feature
        times[num_often] = count
        num_once += np.uintp(count == 1)
        num_often += np.uintp(count != 1)
    while num_once % ROWS_AT_ONCE != 0:
        once[num_once] = nothing
        num_once += np.uintp(1)
    while num_often % ROWS_WITH_COUNTS != 0:
        often[num_often] = nothing
        times[num_often] = 0
        num_often += np.uintp(1)
    return num_once, num_often


@njit(cache=True, nogil=True)
def add_once(total: Any, weights: Any, rows: Any, factor: Any) -> None:
    """Set `total` to the sum of the rows, ROWS_AT_ONCE or a multiple of it, times a factor."""
    for column in range(WIDTH):
        total[column] = 0
    for index in range(0, len(rows), ROWS_AT_ONCE):
        r0, r1, r2, r3 = (
            weights[rows[index]], weights[rows[index + 1]], weights[rows[index + 2]], weights[rows[index + 3]]
        )  # fmt: skip
        r4, r5, r6, r7 = (
            weights[rows[index + 4]], weights[rows[index + 5]], weights[rows[index + 6]], weights[rows[index + 7]]
        )  # fmt: skip
        for column in range(WIDTH):
            low = np.int16(r0[column] + r1[column]) + np.int16(r2[column] + r3[column])
            high = np.int16(r4[column] + r5[column]) + np.int16(r6[column] + r7[column])
            total[column] += np.float32(np.int16(low + high))
    for column in range(WIDTH):
        total[column] *= factor


@njit(cache=True, nogil=True)
def add_often(total: Any, weights: Any, rows: Any, times: Any, log_counts: Any) -> None:
    """Add rows, ROWS_WITH_COUNTS or a multiple of it, each times log(1 + count)."""
    for index in range(0, len(rows), ROWS_WITH_COUNTS):
        w0, w1 = log_counts[times[index]], log_counts[times[index + 1]]
        w2, w3 = log_counts[times[index + 2]], log_counts[times[index + 3]]
        r0, r1 = weights[rows[index]], weights[rows[index + 1]]
        r2, r3 = weights[rows[index + 2]], weights[rows[index + 3]]
        for column in range(WIDTH):
            total[column] += (w0 * np.float32(r0[column]) + w1 * np.float32(r1[column])) + (
                w2 * np.float32(r2[column]) + w3 * np.float32(r3[column])
            )


@njit(cache=True, nogil=True)
def score_languages(text: Any, starts: Any, sizes: Any, tables: Any, kept: Any, counts: Any, log_counts: Any) -> Any:
    """Return (best int64[num_docs], scores float64[num_docs, 3]) of texts that each end in a BREAK.

    best: column of the most probable language, -1 where no feature is found. scores: its probability by the text
    alone; then by a text of sizes[doc] bytes that goes on like it, and that of the columns `kept` together.
    counts: int32[num_features], 0 before and after.
    """
    root, moves, firsts, outputs, weights, priors, twins = tables
    num_docs = len(starts) - 1
    best = np.full(num_docs, -1, np.int64)
    scores = np.zeros((num_docs, 3), np.float64)
    longest = 1
    for doc in range(num_docs):
        longest = max(longest, starts[doc + 1] - starts[doc])
    path, hits = np.empty(longest + GROUP_BYTES, np.uint32), np.empty(longest, np.uint32)
    seen = np.empty(longest, np.uintp)
    room = longest + ROWS_AT_ONCE
    once, often, times = np.empty(room, np.uintp), np.empty(room, np.uintp), np.empty(room, np.int32)
    total, shares, spare = np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32)
    first, walked = starts[0], 0
    for doc in range(num_docs):
        if doc == walked:
            first = starts[doc]
            while walked < num_docs and (starts[walked + 1] - first <= GROUP_BYTES or walked == doc):
                walked += 1
            walk(text[first : starts[walked]], root[0], moves, path)
        begin, end = starts[doc] - first, starts[doc + 1] - 1 - first
        found = count_features(path[begin:end], (firsts, outputs), hits, counts, seen)
        if found == 0:
            continue
        num_once, num_often = split(seen[:found], counts, once, often, times, np.uintp(len(weights) - 1))
        add_once(total, weights, once[:num_once], log_counts[1])
        add_often(total, weights, often[:num_often], times[:num_often], log_counts)
        for column in range(WIDTH):
            total[column] = total[column] * np.float32(WEIGHT_UNIT) + priors[column]
        best[doc] = normalise(total, twins, kept, (end - begin, sizes[doc]), (shares, spare), scores[doc])
    return best, scores


@njit(cache=True, nogil=True)
def normalise(total: Any, twins: Any, kept: Any, lengths: Any, work: Any, out: Any) -> Any:
    """Store three probabilities in `out`, as score_languages returns them; return the column of the first.

    The temperature is the root of the length, as in py3langid; a longer text that goes on alike has as much more of
    everything, so its logarithms are those of this text times the ratio of the lengths.
    """
    (num_bytes, size), (shares, spare) = lengths, work
    highest = highest_of(total)
    exponentials(total, highest, math.sqrt(size) / num_bytes, shares)
    mass = sum_of(shares)
    out[0] = 1.0 / mass
    if size != num_bytes:
        exponentials(total, highest, 1.0 / math.sqrt(num_bytes), spare)
        out[0] = 1.0 / sum_of(spare)
    top = np.float32(1.0)
    for pair in range(len(twins)):
        shares[twins[pair, 0]] += shares[twins[pair, 1]]
        shares[twins[pair, 1]] = 0
        top = max(top, shares[twins[pair, 0]])
    best = 0
    while shares[best] < top:
        best += 1
    out[1] = top / mass
    for column in kept:
        out[2] += shares[column] / mass
    return best


@njit(cache=True, nogil=True)
def exponentials(total: Any, highest: Any, scale: Any, out: Any) -> None:
    """Store exp((total - highest) * scale): by a polynomial, side by side, the same on every machine."""
    c2, c3, c4, c5 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24), np.float32(1 / 120)
    c6, c7, one = np.float32(1 / 720), np.float32(1 / 5040), np.float32(1.0)
    unit, lowest = np.float32(scale / (1 << EXP_SQUARES)), np.float32(LOWEST / (1 << EXP_SQUARES))
    for column in range(WIDTH):
        x = max((total[column] - highest) * unit, lowest)
        power = one + x * (one + x * (c2 + x * (c3 + x * (c4 + x * (c5 + x * (c6 + x * c7))))))
        power *= power
        power *= power
        power *= power
        power *= power
        out[column] = power


@njit(cache=True, nogil=True, forceinline=True)
def sum_of(values: Any) -> Any:
    """Return the sum of WIDTH numbers, by eight running sums: none waits for the one before."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = np.float32(0)
    for at in range(0, WIDTH, 8):
        s0, s1, s2, s3 = s0 + values[at], s1 + values[at + 1], s2 + values[at + 2], s3 + values[at + 3]
        s4, s5, s6, s7 = s4 + values[at + 4], s5 + values[at + 5], s6 + values[at + 6], s7 + values[at + 7]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@njit(cache=True, nogil=True, forceinline=True)
def highest_of(values: Any) -> Any:
    """Return the highest of WIDTH numbers."""
    h0 = h1 = h2 = h3 = values[0]
    for at in range(0, WIDTH, 4):
        h0, h1 = max(h0, values[at]), max(h1, values[at + 1])
        h2, h3 = max(h2, values[at + 2]), max(h3, values[at + 3])
    return max(max(h0, h1), max(h2, h3))
