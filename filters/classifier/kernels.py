"""Text bytes -> the hashed word n-grams that stand in each document, and a linear score over them. Pure kernels.

A token is a run of letters and digits (lower-cased ASCII, every digit read as 0, any byte above 127 a letter) or a
run of other visible bytes, so markup counts too. A feature is present or absent; a document's features together have
length 1, so long and short texts weigh alike. Like the classifier's training view, only the first `excerpt` characters
are read. Hashing instead of a vocabulary costs collisions (fastText's choice; arXiv 1607.01759, section 2.1).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit

# 0 space and control characters, any digit as 0, a capital as its small letter, else the byte as it is
FOLDED = np.array(
    [
        0 if b <= 32 or b == 127
        else b + 32 if 65 <= b <= 90
        else 48 if 48 <= b <= 57
        else b
        for b in range(256)
    ],
    dtype=np.uint8,
)  # fmt: skip
SPACE, MARK, WORDLIKE = 0, 1, 2
KIND = np.array(
    [SPACE if FOLDED[b] == 0 else WORDLIKE if b >= 128 or chr(b).isalnum() else MARK for b in range(256)],
    dtype=np.uint8,
)
PRIME = np.uint64(0x100000001B3)  # FNV-1a, 64 bits
BASIS = np.uint64(0xCBF29CE484222325)
MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio
LAST_MARK = 255  # documents that a table of bytes tells apart before it is cleared


@njit(cache=True, nogil=True)
def end_of_excerpt(data: Any, begin: Any, end: Any, excerpt: Any) -> Any:
    """Return where the first `excerpt` characters of data[begin:end] end."""
    if end - begin <= excerpt:
        return end
    characters = 0
    for at in range(begin, end):
        characters += data[at] & 0xC0 != 0x80
        if characters > excerpt:
            return at
    return end


@njit(cache=True, nogil=True)
def hash_tokens(data: Any, begin: Any, end: Any, excerpt: Any, hashes: Any) -> Any:
    """Write the hash of each token of data[begin:end] into `hashes`; return how many there are.

    Where a token ends nobody can foretell, so nothing branches there: what follows is written over what did not count.
    """
    count = 0
    value = BASIS
    last = np.uint8(SPACE)
    for at in range(begin, end_of_excerpt(data, begin, end, excerpt)):
        byte = data[at]
        kind = KIND[byte]
        ended = kind != last
        hashes[count] = value
        count += int(ended) & int(last != SPACE)
        value = ((BASIS if ended else value) ^ np.uint64(FOLDED[byte])) * PRIME
        last = kind
    hashes[count] = value
    return count + int(last != SPACE)


@njit(cache=True, nogil=True)
def next_mark(mark: Any, marks: Any) -> Any:
    """Return the mark of the next document in a table of bytes, which is cleared when all are used up."""
    if mark < LAST_MARK:
        return mark + 1
    marks[:] = 0
    return 1


@njit(cache=True, nogil=True)
def present(hashes: Any, count: Any, ngrams: Any, shift: Any, marks: Any, mark: Any, buckets: Any) -> Any:
    """Write each bucket that the tokens' n-grams hit into `buckets`, once, in reading order; return how many."""
    found = 0
    for at in range(count):
        value = np.uint64(0)
        for back in range(min(ngrams, at + 1)):
            value = (value ^ hashes[at - back]) * MIX
            value ^= value >> np.uint64(29)
            bucket = np.int64((value * MIX) >> shift)
            buckets[found] = bucket
            found += marks[bucket] != mark
            marks[bucket] = mark
    return found


@njit(cache=True, nogil=True)
def longest(offsets: Any) -> Any:
    """Return the size of the largest document in bytes."""
    most = 0
    for index in range(len(offsets) - 1):
        most = max(most, offsets[index + 1] - offsets[index])
    return most


@njit(cache=True, nogil=True)
def room_for(offsets: Any, ngrams: Any, bits: Any, excerpt: Any) -> Any:
    """Return (hashes, buckets, marks, mark, shift): room for one document's tokens and n-grams at a time."""
    room = min(longest(offsets), 4 * excerpt) + 1
    marks = np.zeros(1 << bits, np.uint8)
    return np.empty(room, np.uint64), np.empty(room * ngrams + 1, np.int64), marks, 0, np.uint64(64 - bits)


@njit(cache=True, nogil=True)
def expected_grade(latent: Any, biases: Any) -> Any:
    """Return the sum over thresholds k of P(grade > k)."""
    grade = 0.0
    for k in range(len(biases)):
        grade += 1.0 / (1.0 + np.exp(-(latent + biases[k])))
    return grade


@njit(cache=True, nogil=True)
def features(data: Any, offsets: Any, ngrams: Any, bits: Any, excerpt: Any) -> Any:
    """Return (buckets int32[num_features], starts int64[num_docs + 1]): the features of every document."""
    num_docs = len(offsets) - 1
    hashes, buckets, marks, mark, shift = room_for(offsets, ngrams, bits, excerpt)
    starts = np.zeros(num_docs + 1, np.int64)
    found = np.empty(1024, np.int32)
    size = 0
    for doc in range(num_docs):
        mark = next_mark(mark, marks)
        count = hash_tokens(data, offsets[doc], offsets[doc + 1], excerpt, hashes)
        more = present(hashes, count, ngrams, shift, marks, mark, buckets)
        if size + more > len(found):
            grown = np.empty(max(2 * len(found), size + more), np.int32)
            grown[:size] = found[:size]
            found = grown
        for at in range(more):
            found[size + at] = buckets[at]
        size += more
        starts[doc + 1] = size
    return found[:size], starts


@njit(cache=True, nogil=True)
def expected_grades(data: Any, offsets: Any, ngrams: Any, bits: Any, excerpt: Any, weights: Any, biases: Any) -> Any:
    """Return float32[num_docs]: the expected grade, the sum over thresholds k of P(grade > k)."""
    num_docs = len(offsets) - 1
    hashes, buckets, marks, mark, shift = room_for(offsets, ngrams, bits, excerpt)
    grades = np.empty(num_docs, np.float32)
    for doc in range(num_docs):
        mark = next_mark(mark, marks)
        count = hash_tokens(data, offsets[doc], offsets[doc + 1], excerpt, hashes)
        found = present(hashes, count, ngrams, shift, marks, mark, buckets)
        total = 0.0
        for at in range(found):
            total += float(weights[buckets[at]])
        grades[doc] = expected_grade(total / np.sqrt(max(found, 1)), biases)
    return grades
