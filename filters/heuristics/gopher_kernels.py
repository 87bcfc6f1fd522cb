"""Words, lines and bytes of a batch -> the counts per document behind Gopher's quality rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import (
    ONE_BIT,
    address_of,
    first_bits,
    load_byte,
    ones_in,
    range_mask,
    range_mask_64,
    readable,
    zeros_below,
)
from pipeline.core.text.characters import BULLET
from pipeline.core.text.segment import HAS_ALNUM, HAS_LETTER, NO_BITS, STOP_MASK, STOP_SHIFT, STOP_WORDS, decode_at

HASH_SIGN, FULL_STOP = 0x23, 0x2E
THREE_STOPS, ELLIPSIS = 0x2E2E2E, 0xA680E2  # three bytes, the first lowest
READ_BYTES = 66  # from the first of 64 places on, to say whether an ellipsis begins there
NUM_STOP_WORDS = len(STOP_WORDS)


@njit(cache=True, nogil=True)
def count_words(doc_words: Any, num_chars: Any, flags: Any) -> Any:
    """Return int64[num_docs] each: words with a letter or digit, their characters, words with a letter, stop words."""
    num_docs = len(doc_words) - 1
    shape = np.zeros((4, num_docs), np.int64)
    flags_at = address_of(flags)
    limit = flags_at + len(flags)
    for doc in range(num_docs):
        words = with_letter = seen = 0
        characters = np.int64(0)
        at, end = flags_at + doc_words[doc], flags_at + doc_words[doc + 1]
        while at < end:
            words += ones_in(range_mask(at, end, limit, 0xFF - HAS_ALNUM, 0xFF, 1))
            with_letter += ones_in(range_mask(at, end, limit, 0xFF - HAS_LETTER, 0xFF, 1))
            for number in range(NUM_STOP_WORDS):
                code = (number + 1) << STOP_SHIFT | (0xFF - STOP_MASK)
                seen |= (range_mask(at, end, limit, 0xFF - STOP_MASK, code, 1) != NO_BITS) << number
            at += 64
        stop_words = ones_in(np.uint64(seen))
        first, past = np.uintp(doc_words[doc]), np.uintp(doc_words[doc + 1])
        for word in range(first, past):  # unsigned: no index counts from the end
            characters += np.int64(num_chars[word]) * np.int64((flags[word] & HAS_ALNUM) != 0)
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
    counts = np.zeros((3, num_docs), np.int64)
    origin, table_at = address_of(data), address_of(table)
    limit = origin + len(data)
    for doc in range(num_docs):
        base = origin + offsets[doc]
        lines = bullets = cut_off = 0
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            first, past = word_offsets[np.uintp(line)], word_offsets[np.uintp(line + 1)]
            if first == past:
                continue
            lines += 1
            last = np.uintp(past - 1)
            code, _ = decode_at(base + starts[np.uintp(first)], limit)
            bullets += (load_byte(table_at + code) & BULLET) != 0
            size = num_bytes[last]
            cut_off += (size >= 3) & is_ellipsis(base + starts[last] + size, origin)
        counts[0, doc], counts[1, doc], counts[2, doc] = lines, bullets, cut_off
    return counts[0], counts[1], counts[2]
