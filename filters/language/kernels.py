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

from filters.language.vectors import (
    ROWS_FILLED,
    SQUARINGS,
    WIDTH,
    add_weighted,
    exponentials,
    highest_of,
    keep_marked,
    place_of,
    sum_rows,
)
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import address_of

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
ROOM = 16  # elements that lists have beyond the longest text: vectors write past their end
PLACES = 4  # of a text that are also looked at one by one
ONE_PLACE = 128  # bytes: a shorter text is one place
COUNT_MASK = (1 << 24) - 1  # a feature's count; the bits above it say in which places it was seen
FIRST_PLACE = 24
# The rows of what is worked on, WIDTH numbers each
TOTAL = 0  # evidence for each language
SHARES = 1  # and what follows from it
SPARE = 2
PARTS = 3  # and following: the sum of each place's weights
ROW_BYTES = 4 * WIDTH
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
STRENGTH = (
    2.5  # of evidence, times the cube root of a text's bytes over them: calibrated (filters/README.md, Languages)
)
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
def find_features(
    path: Any, starts: Any, sizes: Any, span: Any, firsts: Any, outputs: Any, ends: Any, features: Any
) -> None:
    """Store the features of the documents from span[0] to span[1], and where those of each of their places end.

    `path` begins with the first of them. A document that is one place has them all in its first.
    """
    first = starts[span[0]]
    path_at, features_at = address_of(path), address_of(features)
    num_features = np.int64(0)
    for doc in range(span[0], span[1]):
        begin, num_bytes = starts[doc] - first, starts[doc + 1] - 1 - starts[doc]
        places = places_of(sizes[doc])
        at = begin
        for place in range(PLACES):
            past = begin + (num_bytes if place >= places else num_bytes * (place + 1) // places)
            num_features += keep_marked(path_at + 4 * at, past - at, features_at + 4 * num_features)
            ends[np.uintp(PLACES * (doc - span[0]) + place)] = num_features
            at = past
    for index in range(num_features):
        state = features[np.uintp(index)]
        row, rank = np.uintp((state & ROW_MASK) >> RANK_BITS), np.uintp(state & RANK_MASK)
        features[np.uintp(index)] = outputs[np.uintp(firsts[row]) + rank]


@njit(cache=True, nogil=True, forceinline=True)
def places_of(size: Any) -> Any:
    """Return how many places of a text of this size are looked at one by one."""
    return 1 if size <= ONE_PLACE else PLACES


@njit(cache=True, nogil=True)
def count_features(features: Any, span: Any, place: Any, counts: Any, seen: Any, local: Any, num_seen: Any) -> Any:
    """Count the features of a place; return how many differ in the text so far, and how many here.

    Each is stored once for the text in `seen` and once for the place in `local`, which is filled up with the row of
    nothing to what is added at once.
    """
    mark = np.int32(1 << FIRST_PLACE + place)
    found, here = np.uintp(num_seen), np.uintp(0)
    for index in range(span[0], span[1]):
        feature = np.uintp(features[np.uintp(index)])
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
def repeated(seen: Any, num_seen: Any, counts: Any, often: Any, factors: Any, log_counts: Any) -> Any:
    """Store the features seen more than once with what is still missing to log(1 + count); set all counts to 0.

    The list is filled up with the row of nothing to what is added at once. Return how long it is.
    """
    num_often = np.uintp(0)
    for index in range(num_seen):
        feature = seen[np.uintp(index)]
        marked = counts[feature]
        counts[feature] = 0
        count, places = marked & COUNT_MASK, marked >> FIRST_PLACE
        places = (places & 5) + (places >> 1 & 5)  # how many bits are set, of four
        places = (places & 3) + (places >> 2)
        often[num_often] = feature
        factors[num_often] = log_counts[np.uintp(count)] - np.float32(places) * log_counts[1]
        num_often += np.uintp(count != 1)
    while num_often % ROWS_FILLED != 0:
        often[num_often] = len(counts) - 1
        factors[num_often] = 0
        num_often += np.uintp(1)
    return np.int64(num_often)


@njit(cache=True, nogil=True)
def score_languages(text: Any, starts: Any, sizes: Any, tables: Any, kept: Any, counts: Any, log_counts: Any) -> Any:
    """Return (best int64[num_docs], scores float64[num_docs, SCORES]) of texts that each end in a BREAK.

    best: column of the most probable language, -1 where no feature is found. scores: see SURE to AGREEMENT.
    counts: int32[num_features + 1], 0 before and after.
    """
    root, moves, firsts, outputs, weights, (priors, rare), families = tables
    twins, members, named, heads, relatives, special = families  # nothing is unpacked in the loop: it counts references
    num_docs = len(starts) - 1
    best = np.full(num_docs, -1, np.int64)
    scores = np.zeros((num_docs, SCORES), np.float64)
    longest = 1
    for doc in range(num_docs):
        longest = max(longest, starts[doc + 1] - starts[doc])
    room = longest + ROOM
    group = room + GROUP_BYTES
    path, features = np.empty(group, np.uint32), np.empty(group, np.uint32)
    ends = np.empty(PLACES * (min(num_docs, GROUP_BYTES) + 1), np.int64)
    seen, local, often = np.empty(room, np.uintp), np.empty(room, np.uintp), np.empty(room, np.uintp)
    factors, work = np.empty(room, np.float32), np.empty((PARTS + PLACES, WIDTH), np.float32)
    local_at, weights_at, parts_at = address_of(local), address_of(weights), address_of(work) + ROW_BYTES * PARTS
    lists = weights_at, address_of(often), address_of(factors)
    walked = 0
    for doc in range(num_docs):
        if doc == walked:
            first = doc
            while walked < num_docs and (starts[walked + 1] - starts[first] <= GROUP_BYTES or walked == first):
                walked += 1
            walk(text[starts[first] : starts[walked]], root[0], moves, path)
            find_features(path, starts, sizes, (first, walked), firsts, outputs, ends, features)
            at = np.int64(0)
        num_bytes, places = starts[doc + 1] - 1 - starts[doc], places_of(sizes[doc])
        found = np.int64(0)
        for place in range(PLACES):
            past = ends[PLACES * (doc - first) + place]
            found, here = count_features(features, (at, past), place, counts, seen, local, found)
            sum_rows(parts_at + ROW_BYTES * place, weights_at, local_at, here)
            at = past
        if found == 0:
            continue
        num_often = repeated(seen, found, counts, often, factors, log_counts)
        sum_up(work, places, log_counts[1], lists, num_often, priors)
        mass = share_out(work, num_bytes, sizes[doc], rare, twins, members, doc, scores)
        best[doc] = choose(work, places, num_bytes, members, named, heads, relatives, special, doc, scores)
        scores[doc, SCORE] = work[SHARES, best[doc]] / mass * MOST
        for column in kept:
            scores[doc, KEPT] += work[SHARES, column] / mass * MOST
    return best, scores


@njit(cache=True, nogil=True)
def sum_up(work: Any, places: Any, factor: Any, lists: Any, num_often: Any, priors: Any) -> None:
    """Set TOTAL to the sum of the places, one or PLACES, times a factor, and what is missing for features seen often.

    In nats, with the priors.
    """
    for column in range(WIDTH):
        summed = work[PARTS, column]
        if places > 1:
            summed = (summed + work[PARTS + 1, column]) + (work[PARTS + 2, column] + work[PARTS + 3, column])
        work[TOTAL, column] = summed * factor
    weights_at, often_at, factors_at = lists
    add_weighted(address_of(work) + ROW_BYTES * TOTAL, weights_at, often_at, factors_at, num_often)
    for column in range(WIDTH):
        work[TOTAL, column] = work[TOTAL, column] * np.float32(WEIGHT_UNIT) + priors[column]


@njit(cache=True, nogil=True, error_model="numpy")
def share_out(work: Any, num_bytes: Any, size: Any, rare: Any, twins: Any, members: Any, doc: Any, scores: Any) -> Any:
    """Set SHARES to what the languages have, a family with its members; store SURE; return the sum of all languages.

    A text's features depend on each other, so they count by the cube root of its length, times STRENGTH: that made
    scores right as often as they say. A longer text that goes on alike has as much more of everything, so its
    logarithms are those of this text times the ratio of the lengths. SURE has py3langid's root, and no rarity.
    """
    total_at, shares_at, spare_at = (
        address_of(work) + ROW_BYTES * TOTAL, address_of(work) + ROW_BYTES * SHARES,
        address_of(work) + ROW_BYTES * SPARE
    )  # fmt: skip
    lowest, strength = unit_of(LOWEST), STRENGTH * np.cbrt(size) / num_bytes
    alone = exponentials(total_at, highest_of(total_at), unit_of(1.0 / math.sqrt(num_bytes)), lowest, spare_at)
    scores[doc, SURE] = 1.0 / alone
    factor = np.float32(1.0 / strength)
    for column in range(WIDTH):
        work[TOTAL, column] += rare[column] * factor
    mass = exponentials(total_at, highest_of(total_at), unit_of(strength), lowest, shares_at)
    for pair in range(len(twins)):
        work[SHARES, twins[pair, 0]] += work[SHARES, twins[pair, 1]]
        work[SHARES, twins[pair, 1]] = 0
    for pair in range(len(members)):
        work[SHARES, members[pair, 0]] += work[SHARES, members[pair, 1]]
    return mass


@njit(cache=True, nogil=True, error_model="numpy")
def choose(
    work: Any, places: Any, num_bytes: Any, members: Any, named: Any, heads: Any, relatives: Any, special: Any,
    doc: Any, scores: Any,
) -> Any:  # fmt: skip
    """Return the column of the most probable language; store DOUBT and AGREEMENT."""
    shares_at = address_of(work) + ROW_BYTES * SHARES
    best = place_of(shares_at, highest_of(shares_at))
    scores[doc, AGREEMENT] = 1
    if places > 1 and compare_places(work, best, heads, relatives, special, num_bytes / places, doc, scores):
        best = place_of(shares_at, highest_of(shares_at))
    for pair in range(len(members)):
        if members[pair, 0] == best and work[SHARES, members[pair, 1]] > named[pair] * work[SHARES, best]:
            return members[pair, 1]
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def compare_places(
    work: Any, best: Any, heads: Any, relatives: Any, special: Any, num_bytes: Any, doc: Any, scores: Any
) -> Any:
    """Store DOUBT and AGREEMENT; where places are clearly in another language, that gets some of what the best one has.

    Return whether it did and may now have more: only English, which stands in texts of every language, can so lose its
    place. Others share with each other by halves, and with English not at all.
    """
    english, wordless = special
    unit = np.float32(WEIGHT_UNIT * math.log(2) / math.sqrt(num_bytes))
    clear, other = 0, 0
    for place in range(PARTS, PARTS + PLACES):
        part_at = address_of(work) + ROW_BYTES * place
        highest, own = highest_of(part_at), work[place, best]
        for index in range(relatives.shape[1]):
            own = max(own, work[place, relatives[best, index]])
        if own == highest or work[place, wordless] == highest:  # code stands in documents of any language
            continue
        doubt = (highest - own) * unit
        scores[doc, DOUBT] = max(scores[doc, DOUBT], np.float64(doubt))
        if doubt > CLEAR:
            clear += 1
            other = heads[place_of(part_at, highest)]
    scores[doc, AGREEMENT] = 1 - clear / PLACES
    moved = best == english and clear > 0
    if moved or (clear >= PLACES // 2 and other != english):
        stays = work[SHARES, best] * np.float32(ENGLISH_KEEPS**clear if moved else 0.5)
        work[SHARES, other] += work[SHARES, best] - stays
        work[SHARES, best] = stays
    return moved


@njit(cache=True, nogil=True, forceinline=True)
def unit_of(scale: Any) -> Any:
    """Return what `exponentials` is given for a factor of its exponents."""
    return np.float32(scale / (1 << SQUARINGS))
