"""An ARPA file's bytes -> one table of n-grams, and text -> how probable it is by that table. Pure kernels.

An n-gram is found by a 64-bit hash of its words, so two may be taken for one, once in 2**64 / n. Words are what white
space separates and each line is a sentence, between `<s>` and `</s>`, as KenLM's `score` takes it (Heafield 2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.classifier.kernels import BASIS, MIX, PRIME
from pipeline.core.process.kernels import njit

NEW_LINE, SPACE = 10, 32
MISSING = np.float32(-100.0)  # log10 of a word that no entry stands for, as KenLM has it


@njit(cache=True, nogil=True)
def hash_word(data: Any, start: Any, end: Any) -> Any:
    """Return the hash of a word's bytes."""
    value = BASIS
    for at in range(start, end):
        value = (value ^ np.uint64(data[at])) * PRIME
    return value


@njit(cache=True, nogil=True)
def hash_ngram(words: Any, start: Any, end: Any) -> Any:
    """Return the key of the n-gram of some words' hashes, never 0."""
    value = np.uint64(end - start)
    for at in range(start, end):
        value = (value ^ words[at]) * MIX
        value ^= value >> np.uint64(29)
    return value if value else np.uint64(1)


@njit(cache=True, nogil=True)
def place_of(key: Any, keys: Any) -> Any:
    """Return where a key stands in the open table, or the free place that it would get."""
    mask = np.uint64(len(keys) - 1)
    at = (key * MIX) & mask
    while keys[at] != 0 and keys[at] != key:
        at = (at + np.uint64(1)) & mask
    return at


@njit(cache=True, nogil=True)
def parse_number(data: Any, start: Any, end: Any) -> Any:
    """Return the decimal number that some bytes spell, NaN if they spell none."""
    at, sign, digits = start, 1.0, 0
    if at < end and (data[at] == 45 or data[at] == 43):
        sign = -1.0 if data[at] == 45 else 1.0
        at += 1
    value, scale = 0.0, 1.0
    while at < end and 48 <= data[at] <= 57:
        value = 10 * value + (data[at] - 48)
        at, digits = at + 1, digits + 1
    if at < end and data[at] == 46:
        at += 1
        while at < end and 48 <= data[at] <= 57:
            value = 10 * value + (data[at] - 48)
            scale *= 10
            at, digits = at + 1, digits + 1
    power, below = 0, False
    if at < end and (data[at] == 101 or data[at] == 69) and digits:
        at += 1
        if at < end and (data[at] == 45 or data[at] == 43):
            below = data[at] == 45
            at += 1
        while at < end and 48 <= data[at] <= 57:
            power = 10 * power + (data[at] - 48)
            at += 1
    if at != end or digits == 0:
        return np.nan
    return sign * value / scale * 10.0 ** (-power if below else power)


@njit(cache=True, nogil=True)
def read_entries(data: Any, start: Any, end: Any, order: Any, keys: Any, logs: Any, backs: Any) -> Any:
    """Put the n-grams of one section's lines into the table; return how many, or -1 - the place of a wrong line."""
    words, found, at = np.empty(order, np.uint64), 0, start
    while at < end:
        stop = at
        while stop < end and data[stop] != NEW_LINE:
            stop += 1
        line, field, log, back = at, 0, np.nan, 0.0
        while at < stop:
            while at < stop and data[at] <= SPACE:
                at += 1
            first = at
            while at < stop and data[at] > SPACE:
                at += 1
            if at > first:
                if field == 0:
                    log = parse_number(data, first, at)
                elif field <= order:
                    words[field - 1] = hash_word(data, first, at)
                elif field == order + 1:
                    back = parse_number(data, first, at)
                field += 1
        if field:
            if field < order + 1 or field > order + 2 or np.isnan(log) or np.isnan(back):
                return -1 - line
            key = hash_ngram(words, 0, order)
            place = place_of(key, keys)
            keys[place], logs[place], backs[place] = key, log, back
            found += 1
        at = stop + 1
    return found


@njit(cache=True, nogil=True)
def _log_of(words: Any, last: Any, order: Any, keys: Any, logs: Any, backs: Any, unknown: Any) -> Any:
    """Return log10 of the probability of words[last] after those before it."""
    total = 0.0
    for first in range(max(last - order + 1, 0), last + 1):
        place = place_of(hash_ngram(words, first, last + 1), keys)
        if keys[place]:
            return total + logs[place]
        if first < last:
            before = place_of(hash_ngram(words, first, last), keys)
            total += backs[before] if keys[before] else 0.0
    return total + unknown


@njit(cache=True, nogil=True)
def log_probabilities(
    data: Any, offsets: Any, order: Any, keys: Any, logs: Any, backs: Any, begin: Any, end: Any, unknown: Any
) -> Any:
    """Return (float64[num_docs] log10 of the probability, int64[num_docs] words and ends of sentences counted)."""
    num_docs = len(offsets) - 1
    totals, counts = np.zeros(num_docs), np.zeros(num_docs, np.int64)
    longest = 0
    for doc in range(num_docs):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    words = np.empty(longest // 2 + 3, np.uint64)
    for doc in range(num_docs):
        at, stop = offsets[doc], offsets[doc + 1]
        while at < stop:
            words[0], size = begin, 1
            while at < stop and data[at] != NEW_LINE:
                first = at
                while at < stop and data[at] > SPACE:
                    at += 1
                if at > first:
                    words[size] = hash_word(data, first, at)
                    size += 1
                while at < stop and data[at] <= SPACE and data[at] != NEW_LINE:
                    at += 1
            at += 1
            if size == 1:
                continue
            words[size] = end
            for last in range(1, size + 1):
                totals[doc] += _log_of(words, last, order, keys, logs, backs, unknown)
            counts[doc] += size
    return totals, counts
