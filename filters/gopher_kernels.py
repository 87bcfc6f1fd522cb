"""Words, lines and bytes of a batch -> the counts per document behind Gopher's quality rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.core.bits import (
    ONE_BIT,
    address_of,
    first_bits,
    load_byte,
    ones_in,
    range_mask_64,
    readable,
    zeros_below,
)
from pipeline.core.characters import BULLET
from pipeline.core.segment import HAS_ALNUM, HAS_LETTER, STOP_MASK, STOP_SHIFT, STOP_WORDS, decode_at

HASH_SIGN, FULL_STOP = 0x23, 0x2E
THREE_STOPS, ELLIPSIS = 0x2E2E2E, 0xA680E2  # three bytes, the first lowest
READ_BYTES = 66  # from the first of 64 places on, to say whether an ellipsis begins there
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
def three_at(at: Any, first: Any, second: Any, third: Any) -> Any:
    """Return as bits where of the 64 bytes at `at` these three stand in a row; reads 66 bytes."""
    found = range_mask_64(at, 0, first, 1) & range_mask_64(at + 1, 0, second, 1)
    return found & range_mask_64(at + 2, 0, third, 1)


@njit(cache=True, nogil=True)
def count_symbols(data: Any, offsets: Any) -> Any:
    """Return (hash signs, ellipses) per document; `...` counts without overlap, so `.....` is one."""
    num_docs = len(offsets) - 1
    hashes, ellipses = np.zeros(num_docs, np.int64), np.zeros(num_docs, np.int64)
    tail = np.zeros(128, np.uint8)
    origin = address_of(data)
    limit = origin + len(data)
    for doc in range(num_docs):
        at, end = origin + offsets[doc], origin + offsets[doc + 1]
        signs = found = 0
        free = at  # where the next ellipsis may begin
        while at < end:
            block = readable(at, READ_BYTES, limit, tail)
            signs += ones_in(range_mask_64(block, 0, HASH_SIGN, 1) & first_bits(end - at))
            starts = three_at(block, FULL_STOP, FULL_STOP, FULL_STOP) | three_at(block, 0xE2, 0x80, 0xA6)
            starts &= first_bits(end - at - 2)
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
def is_ellipsis(end: Any, floor: Any) -> Any:
    """Say whether the three bytes before the address `end` are `...` or U+2026; reads nothing before `floor`."""
    three = load_byte(max(end - 3, floor)) | load_byte(max(end - 2, floor)) << 8 | load_byte(end - 1) << 16
    return (three == THREE_STOPS) | (three == ELLIPSIS)


@njit(cache=True, nogil=True)
def count_lines(
    data: Any, offsets: Any, starts: Any, num_bytes: Any, doc_lines: Any, word_offsets: Any, table: Any
) -> Any:
    """Return per document: lines with words, those that begin with a bullet, those that end in an ellipsis."""
    num_docs = len(offsets) - 1
    counts = np.zeros((num_docs, 3), np.int64)
    origin, table_at = address_of(data), address_of(table)
    limit = origin + len(data)
    for doc in range(num_docs):
        base = origin + offsets[doc]
        lines = bullets = cut_off = 0
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            first, past = word_offsets[line], word_offsets[line + 1]
            if first == past:
                continue
            lines += 1
            last = np.uintp(past - 1)
            code, _ = decode_at(base + starts[np.uintp(first)], limit)
            bullets += (load_byte(table_at + code) & BULLET) != 0
            size = num_bytes[last]
            cut_off += (size >= 3) & is_ellipsis(base + starts[last] + size, origin)
        counts[doc, 0], counts[doc, 1], counts[doc, 2] = lines, bullets, cut_off
    return counts[:, 0], counts[:, 1], counts[:, 2]
