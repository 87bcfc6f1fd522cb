"""Words, lines and bytes of a batch -> the counts per document behind Gopher's quality rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.core.bits import ONE_BIT, address_of, ones_in, range_mask, zeros_below
from pipeline.core.characters import BULLET
from pipeline.core.segment import HAS_ALNUM, HAS_LETTER, STOP_MASK, STOP_SHIFT, STOP_WORDS, decode

HASH_SIGN, FULL_STOP = 0x23, 0x2E
NUM_STOP_WORDS = len(STOP_WORDS)


@njit(cache=True, nogil=True)
def count_words(doc_words: Any, num_chars: Any, flags: Any) -> Any:
    """Return int64[num_docs] each: words with a letter or digit, their characters, words with a letter, stop words."""
    num_docs = len(doc_words) - 1
    shape = np.zeros((4, num_docs), np.int64)
    for doc in range(num_docs):
        words = characters = with_letter = 0
        stops_seen = 0
        for word in range(doc_words[doc], doc_words[doc + 1]):
            flag = int(flags[word])
            is_word = (flag & HAS_ALNUM) // HAS_ALNUM
            words += is_word
            characters += is_word * num_chars[word]
            with_letter += flag & HAS_LETTER
            stops_seen |= 1 << ((flag & STOP_MASK) >> STOP_SHIFT)
        stop_words = 0
        for number in range(1, NUM_STOP_WORDS + 1):
            stop_words += (stops_seen >> number) & 1
        shape[0, doc], shape[1, doc], shape[2, doc], shape[3, doc] = words, characters, with_letter, stop_words
    return shape[0], shape[1], shape[2], shape[3]


@njit(cache=True, nogil=True, forceinline=True)
def three_at(at: Any, end: Any, limit: Any, first: Any, second: Any, third: Any) -> Any:
    """Return as bits where of the 64 bytes from `at` on these three stand in a row."""
    found = range_mask(at, end, limit, 0, first, 1)
    if found:
        found &= range_mask(at + 1, max(end, at + 1), limit, 0, second, 1)
        found &= range_mask(at + 2, max(end, at + 2), limit, 0, third, 1)
    return found


@njit(cache=True, nogil=True)
def count_symbols(data: Any, offsets: Any) -> Any:
    """Return (hash signs, ellipses) per document; `...` counts without overlap, so `.....` is one."""
    num_docs = len(offsets) - 1
    hashes, ellipses = np.zeros(num_docs, np.int64), np.zeros(num_docs, np.int64)
    origin = address_of(data)
    limit = origin + len(data)
    for doc in range(num_docs):
        at, end = origin + offsets[doc], origin + offsets[doc + 1]
        signs = found = 0
        free = at  # where the next ellipsis may begin
        while at < end:
            signs += ones_in(range_mask(at, end, limit, 0, HASH_SIGN, 1))
            starts = three_at(at, end, limit, FULL_STOP, FULL_STOP, FULL_STOP)
            starts |= three_at(at, end, limit, 0xE2, 0x80, 0xA6)
            while starts:
                here = at + zeros_below(starts)
                starts &= starts - ONE_BIT
                if here >= free:
                    found += 1
                    free = here + 3
            at += 64
        hashes[doc], ellipses[doc] = signs, found
    return hashes, ellipses


@njit(cache=True, nogil=True)
def is_ellipsis(data: Any, at: Any) -> Any:
    """Say whether the three bytes at `at` are `...` or U+2026."""
    first, second, third = data[at], data[at + 1], data[at + 2]
    dots = first == FULL_STOP and second == FULL_STOP and third == FULL_STOP
    return dots or (first == 0xE2 and second == 0x80 and third == 0xA6)


@njit(cache=True, nogil=True)
def count_lines(
    data: Any, offsets: Any, starts: Any, num_bytes: Any, doc_lines: Any, word_offsets: Any, table: Any
) -> Any:
    """Return per document: lines with words, those that begin with a bullet, those that end in an ellipsis."""
    num_docs = len(offsets) - 1
    counts = np.zeros((3, num_docs), np.int64)
    for doc in range(num_docs):
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            first, past = word_offsets[line], word_offsets[line + 1]
            if first == past:
                continue
            counts[0, doc] += 1
            code, _ = decode(data, offsets[doc] + starts[first])
            counts[1, doc] += (table[code] & BULLET) != 0
            if num_bytes[past - 1] >= 3:
                end = offsets[doc] + starts[past - 1] + num_bytes[past - 1]
                counts[2, doc] += is_ellipsis(data, end - 3)
    return counts[0], counts[1], counts[2]
