"""Bytes -> the most probable language, its probability, and how far places of the text differ, by py3langid's model.

An automaton finds features, naive Bayes weighs them. Each step of the automaton waits for the one before, so 24 parts
of some documents are walked side by side; a state's own bit says whether it ends a feature, two in five do. The rows of
a text's features are added up by quarters of it, each feature once per quarter; eight such rows add up exactly in 16
bits. What is seen more often is then set right, so that the whole has log(1 + count) times each row, as py3langid has
it: by less than 1e-4. What a quarter alone speaks for costs so little, and shows which documents are in two languages.
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
ROWS_FILLED = 4  # with rows of nothing, the list of a place is so long or a multiple of it
ROWS_WITH_COUNTS = 4  # rows added at once that each have their own factor
PLACES = 4  # of a text that are also looked at one by one
ONE_PLACE = 128  # bytes: a shorter text is one place
COUNT_MASK = (1 << 24) - 1  # a feature's count; the bits above it say in which places it was seen
FIRST_PLACE = 24
EXP_SQUARES = 4  # exp(x) is taken as exp(x / 16) to the 16th power
# What is known of a document, by the place in its row of scores
SURE = 0  # probability of its language by what was read alone, as py3langid has it
SCORE = 1  # the same for a text of its size that goes on like this
KEPT = 2  # of the languages kept together
DOUBT = 3  # how far the place that likes it least prefers another language, in nats by the root of its bytes
AGREEMENT = 4  # share of the places that are not clearly in another language
SCORES = 5
CLEAR = 4.0  # a DOUBT from which a place is clearly in another language
ENGLISH_KEEPS = 0.25  # of its score, for each such place: 15 of 15 such documents were translations (see DECISIONS)
MOST = 0.999  # probability: of the labels of which the model is surer, 99.85 % are right
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
def count_features(path: Any, tables: Any, place: Any, counts: Any, lists: Any, num_seen: Any) -> Any:
    """Count the features of a place's walk; return how many differ in the text so far, and how many here.

    Each is stored once for the text in `seen` and once for the place in `local`, which is filled up with the row of
    nothing to what is added at once.
    """
    (firsts, outputs), (hits, seen, local) = tables, lists
    num_hits = np.uintp(0)
    for state in path:
        hits[num_hits] = state
        num_hits += np.uintp(state >> FEATURE_BIT)
    mark = np.int32(1 << FIRST_PLACE + place)
    found, here = np.uintp(num_seen), np.uintp(0)
    for index in range(num_hits):
        state = hits[index]
        row, rank = np.uintp((state & ROW_MASK) >> RANK_BITS), np.uintp(state & RANK_MASK)
        feature = np.uintp(outputs[np.uintp(firsts[row]) + rank])
        count = counts[feature]
        seen[found] = feature
        found += np.uintp(count == 0)
        local[here] = feature
        here += np.uintp(count & mark == 0)
        counts[feature] = (count + 1) | mark
    while here % ROWS_FILLED != 0:
        local[here] = len(counts) - 1
        here += np.uintp(1)
    return np.int64(found), np.int64(here)


@njit(cache=True, nogil=True)
def repeated(seen: Any, counts: Any, often: Any, factors: Any, log_counts: Any) -> Any:
    """Store the features seen more than once with what is still missing to log(1 + count); set all counts to 0.

    The list is filled up with the row of nothing to what is added at once. Return how long it is.
    """
    num_often = np.uintp(0)
    for feature in seen:
        marked = counts[feature]
        counts[feature] = 0
        count, places = marked & COUNT_MASK, marked >> FIRST_PLACE
        places = (places & 5) + (places >> 1 & 5)  # how many bits are set, of four
        places = (places & 3) + (places >> 2)
        often[num_often] = feature
        factors[num_often] = log_counts[count] - np.float32(places) * log_counts[1]
        num_often += np.uintp(count != 1)
    while num_often % ROWS_WITH_COUNTS != 0:
        often[num_often] = len(counts) - 1
        factors[num_often] = 0
        num_often += np.uintp(1)
    return num_often


@njit(cache=True, nogil=True)
def add_once(total: Any, weights: Any, rows: Any) -> None:
    """Set `total` to the sum of the rows, ROWS_FILLED or a multiple of it."""
    for column in range(WIDTH):
        total[column] = 0
    eights = len(rows) // ROWS_AT_ONCE * ROWS_AT_ONCE
    for index in range(0, eights, ROWS_AT_ONCE):
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
    for index in range(eights, len(rows), ROWS_FILLED):
        r0, r1, r2, r3 = (
            weights[rows[index]], weights[rows[index + 1]], weights[rows[index + 2]], weights[rows[index + 3]]
        )  # fmt: skip
        for column in range(WIDTH):
            low = np.int16(r0[column] + r1[column]) + np.int16(r2[column] + r3[column])
            total[column] += np.float32(np.int16(low))


@njit(cache=True, nogil=True)
def add_often(total: Any, weights: Any, rows: Any, factors: Any) -> None:
    """Add rows, ROWS_WITH_COUNTS or a multiple of it, each times its factor."""
    for index in range(0, len(rows), ROWS_WITH_COUNTS):
        w0, w1, w2, w3 = factors[index], factors[index + 1], factors[index + 2], factors[index + 3]
        r0, r1 = weights[rows[index]], weights[rows[index + 1]]
        r2, r3 = weights[rows[index + 2]], weights[rows[index + 3]]
        for column in range(WIDTH):
            total[column] += (w0 * np.float32(r0[column]) + w1 * np.float32(r1[column])) + (
                w2 * np.float32(r2[column]) + w3 * np.float32(r3[column])
            )


@njit(cache=True, nogil=True)
def score_languages(text: Any, starts: Any, sizes: Any, tables: Any, kept: Any, counts: Any, log_counts: Any) -> Any:
    """Return (best int64[num_docs], scores float64[num_docs, SCORES]) of texts that each end in a BREAK.

    best: column of the most probable language, -1 where no feature is found. scores: see SURE to AGREEMENT.
    counts: int32[num_features + 1], 0 before and after.
    """
    root, moves, firsts, outputs, weights, priors, families = tables
    num_docs = len(starts) - 1
    best = np.full(num_docs, -1, np.int64)
    scores = np.zeros((num_docs, SCORES), np.float64)
    longest = 1
    for doc in range(num_docs):
        longest = max(longest, starts[doc + 1] - starts[doc])
    room = longest + ROWS_AT_ONCE
    path, hits = np.empty(longest + GROUP_BYTES, np.uint32), np.empty(longest, np.uint32)
    lists = hits, np.empty(room, np.uintp), np.empty(room, np.uintp)
    often, factors = np.empty(room, np.uintp), np.empty(room, np.float32)
    total, parts = np.empty(WIDTH, np.float32), np.empty((PLACES, WIDTH), np.float32)
    work = np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32)
    first, walked = starts[0], 0
    for doc in range(num_docs):
        if doc == walked:
            first = starts[doc]
            while walked < num_docs and (starts[walked + 1] - first <= GROUP_BYTES or walked == doc):
                walked += 1
            walk(text[first : starts[walked]], root[0], moves, path)
        begin, num_bytes = starts[doc] - first, starts[doc + 1] - 1 - starts[doc]
        places = 1 if sizes[doc] <= ONE_PLACE else PLACES
        found = np.int64(0)
        for place in range(places):
            part = path[begin + num_bytes * place // places : begin + num_bytes * (place + 1) // places]
            found, here = count_features(part, (firsts, outputs), place, counts, lists, found)
            add_once(parts[place], weights, lists[2][:here])
        if found == 0:
            continue
        num_often = repeated(lists[1][:found], counts, often, factors, log_counts)
        sum_up(total, parts, places, log_counts[1])
        add_often(total, weights, often[:num_often], factors[:num_often])
        for column in range(WIDTH):
            total[column] = total[column] * np.float32(WEIGHT_UNIT) + priors[column]
        lengths = num_bytes, sizes[doc]
        best[doc] = normalise(total, parts[:places], families, kept, lengths, work, scores[doc])
    return best, scores


@njit(cache=True, nogil=True)
def sum_up(total: Any, parts: Any, places: Any, factor: Any) -> None:
    """Set `total` to the sum of the places, one or PLACES, times a factor."""
    if places == 1:
        for column in range(WIDTH):
            total[column] = parts[0, column] * factor
    else:
        p0, p1, p2, p3 = parts[0], parts[1], parts[2], parts[3]
        for column in range(WIDTH):
            total[column] = ((p0[column] + p1[column]) + (p2[column] + p3[column])) * factor


@njit(cache=True, nogil=True)
def normalise(total: Any, parts: Any, families: Any, kept: Any, lengths: Any, work: Any, out: Any) -> Any:
    """Store SURE to AGREEMENT in `out`; return the column of the most probable language.

    The temperature is the root of the length, as in py3langid; a longer text that goes on alike has as much more of
    everything, so its logarithms are those of this text times the ratio of the lengths.
    """
    (num_bytes, size), (shares, spare) = lengths, work
    twins, members, named, heads, relatives, special = families
    highest = highest_of(total)
    exponentials(total, highest, math.sqrt(size) / num_bytes, shares)
    mass = sum_of(shares)
    out[SURE] = 1.0 / mass
    if size != num_bytes:
        exponentials(total, highest, 1.0 / math.sqrt(num_bytes), spare)
        out[SURE] = 1.0 / sum_of(spare)
    for pair in range(len(twins)):
        shares[twins[pair, 0]] += shares[twins[pair, 1]]
        shares[twins[pair, 1]] = 0
    for pair in range(len(members)):
        shares[members[pair, 0]] += shares[members[pair, 1]]
    best = place_of(shares, highest_of(shares))
    out[AGREEMENT] = 1
    if len(parts) > 1:
        compare_places(parts, shares, best, (heads, relatives, special), num_bytes / len(parts), out)
        best = place_of(shares, highest_of(shares))
    for pair in range(len(members)):
        if members[pair, 0] == best and shares[members[pair, 1]] > named[pair] * shares[best]:
            best = members[pair, 1]
            break
    out[SCORE] = shares[best] / mass * MOST
    for column in kept:
        out[KEPT] += shares[column] / mass * MOST
    return best


@njit(cache=True, nogil=True)
def compare_places(parts: Any, shares: Any, best: Any, kinds: Any, num_bytes: Any, out: Any) -> None:
    """Store DOUBT and AGREEMENT; where English has a place clearly in another language, that gets its share."""
    heads, relatives, (english, wordless) = kinds
    unit = np.float32(WEIGHT_UNIT * math.log(2) / math.sqrt(num_bytes))
    clear, other = 0, 0
    for place in range(PLACES):
        part = parts[place]
        highest, own = highest_of(part), part[best]
        for index in range(relatives.shape[1]):
            own = max(own, part[relatives[best, index]])
        if own == highest or part[wordless] == highest:  # code stands in documents of any language
            continue
        doubt = (highest - own) * unit
        out[DOUBT] = max(out[DOUBT], np.float64(doubt))
        if doubt > CLEAR:
            clear += 1
            other = heads[place_of(part, highest)]
    out[AGREEMENT] = 1 - clear / PLACES
    if best == english and clear > 0:
        stays = shares[best] * np.float32(ENGLISH_KEEPS**clear)
        shares[other] += shares[best] - stays
        shares[best] = stays


@njit(cache=True, nogil=True, forceinline=True)
def place_of(values: Any, value: Any) -> Any:
    """Return where a value first stands."""
    at = 0
    while values[at] < value:
        at += 1
    return at


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
    """Return the highest of WIDTH numbers, by eight running ones: none waits for the one before."""
    h0, h1, h2, h3 = values[0], values[1], values[2], values[3]
    h4, h5, h6, h7 = values[4], values[5], values[6], values[7]
    for at in range(8, WIDTH, 8):
        h0 = h0 if h0 > values[at] else values[at]
        h1 = h1 if h1 > values[at + 1] else values[at + 1]
        h2 = h2 if h2 > values[at + 2] else values[at + 2]
        h3 = h3 if h3 > values[at + 3] else values[at + 3]
        h4 = h4 if h4 > values[at + 4] else values[at + 4]
        h5 = h5 if h5 > values[at + 5] else values[at + 5]
        h6 = h6 if h6 > values[at + 6] else values[at + 6]
        h7 = h7 if h7 > values[at + 7] else values[at + 7]
    return max(max(max(h0, h1), max(h2, h3)), max(max(h4, h5), max(h6, h7)))
