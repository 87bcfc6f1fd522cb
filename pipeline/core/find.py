"""Text bytes -> where words and lines lie, 64 bytes at a time.

A word is a maximal run of characters that are not `str.isspace`; a line ends where `str.splitlines` ends it. Bit masks
of 64 bytes say where ASCII spaces and line ends are; only a run between such spaces that holds other than ASCII is read
character by character.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.core.bits import ALL_BITS, ONE_BIT, address_of, load_byte, ones_in, range_mask, zeros_below
from pipeline.core.characters import LINE_END, SPACE
from pipeline.core.segment import FILE_SEPARATOR, LINE_FEED, NO_BITS, RETURN, TAB, decode


@njit(cache=True, nogil=True)
def count_bounds(data: Any) -> Any:
    """Return (spaces, line_ends): upper bounds of how many of each the bytes can hold."""
    spaces = line_ends = 0
    at = address_of(data)
    end = at + len(data)
    while at < end:
        odd = range_mask(at, end, end, 0, 0xC2, 1) | range_mask(at, end, end, 0, 0xE1, 3)  # begin all other spaces
        breaks = range_mask(at, end, end, 0, LINE_FEED, 4) | range_mask(at, end, end, 0, FILE_SEPARATOR, 3)
        spaces += ones_in(range_mask(at, end, end, 0, 0, 0x21) | odd)
        line_ends += ones_in(breaks | odd)
        at += 64
    return spaces, line_ends


@njit(cache=True, nogil=True)
def has_high(start: Any, end: Any, limit: Any) -> Any:
    """Say whether a byte from `start` to `end` is not ASCII."""
    at = start
    while at < end:
        if range_mask(at, end, limit, 0, 0x80, 0x80) != NO_BITS:
            return True
        at += 64
    return False


@njit(cache=True, nogil=True)
def split_chunk(data: Any, base: Any, begin: Any, end: Any, table: Any, words: Any, lines: Any, at: Any) -> Any:
    """Split data[begin:end], which holds no ASCII space, at other spaces; return (words, lines, line start) so far."""
    starts, num_bytes = words
    line_starts, line_ends, line_words = lines
    word, line, line_start = at
    first = begin
    while begin < end:
        code, size = decode(data, begin)
        bits = table[code]
        if bits & SPACE:
            if begin > first:
                starts[word] = first - base
                num_bytes[word] = begin - first
                word += 1
            first = begin + size
            if bits & LINE_END:
                line_starts[line] = line_start - base
                line_ends[line] = begin - base
                line += 1
                line_words[line] = word
                line_start = first
        begin += size
    if end > first:
        starts[word] = first - base
        num_bytes[word] = end - first
        word += 1
    return word, line, line_start


@njit(cache=True, nogil=True)
def find_words(data: Any, offsets: Any, table: Any, words: Any, lines: Any, docs: Any) -> Any:
    """Fill where words and lines lie and where those of each document begin; return (number of words, of lines)."""
    starts, num_bytes = words
    line_starts, line_ends, line_words = lines
    doc_words, doc_lines, doc_breaks = docs
    origin = address_of(data)
    limit = origin + len(data)
    word = line = 0
    for doc in range(len(offsets) - 1):
        base, end = origin + offsets[doc], origin + offsets[doc + 1]
        doc_words[doc], doc_lines[doc], line_words[line] = word, line, word
        at = start = line_start = base
        inside = returned = NO_BITS  # the last bits of the block before: a word is open, a carriage return
        high = False
        while at <= end:  # a last block, empty where need be, closes the last word
            spaces = range_mask(at, end, limit, 0, TAB, 5) | range_mask(at, end, limit, 0, FILE_SEPARATOR, 5)
            solid = spaces ^ (ALL_BITS if end - at >= 64 else (ONE_BIT << np.uint64(end - at)) - ONE_BIT)
            breaks = range_mask(at, end, limit, 0, LINE_FEED, 4) | range_mask(at, end, limit, 0, FILE_SEPARATOR, 3)
            returns = range_mask(at, end, limit, 0, RETURN, 1)
            if returns | returned:
                feeds = range_mask(at, end, limit, 0, LINE_FEED, 1)
                breaks &= ~(feeds & (returns << ONE_BIT | returned))
                returned = returns >> np.uint64(63)
            high = (high and inside != NO_BITS) or range_mask(at, end, limit, 0, 0x80, 0x80) != NO_BITS
            before = solid << ONE_BIT | inside
            ends, begins = ~solid & before, solid & ~before
            events = ends | breaks
            while events:
                bit = zeros_below(events)
                events &= events - ONE_BIT
                here = at + bit
                if (ends >> np.uint64(bit)) & ONE_BIT:
                    if not inside:
                        start = at + zeros_below(begins)
                        begins &= begins - ONE_BIT
                    inside = NO_BITS
                    if high and has_high(start, here, limit):
                        found = (word, line, line_start - origin)
                        word, line, line_start = split_chunk(
                            data, base - origin, start - origin, here - origin, table, words, lines, found
                        )
                        line_start += origin
                    else:
                        starts[np.uintp(word)] = start - base  # unsigned: no index counts from the end
                        num_bytes[np.uintp(word)] = here - start
                        word += 1
                if (breaks >> np.uint64(bit)) & ONE_BIT:
                    line_starts[line] = line_start - base
                    line_ends[line] = here - base
                    line += 1
                    line_words[line] = word
                    line_start = here + 1
                    if load_byte(here) == RETURN and line_start < end and load_byte(line_start) == LINE_FEED:
                        line_start += 1
            if begins:
                inside = ONE_BIT
                start = at + zeros_below(begins)
            at += 64
        doc_breaks[doc] = line - doc_lines[doc]
        if line_start < end:
            line_starts[line] = line_start - base
            line_ends[line] = end - base
            line += 1
    doc_words[len(offsets) - 1], doc_lines[len(offsets) - 1], line_words[line] = word, line, word
    return word, line
