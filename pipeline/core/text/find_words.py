"""Text bytes -> where words and lines lie, 64 bytes at a time.

A word is a maximal run of characters that are not `str.isspace`; a line ends where `str.splitlines` ends it. Bit masks
of 64 bytes say where spaces and line ends are, those beyond ASCII too; where words begin and end follows by shifts, and
is written down a dozen at a time, so that no branch depends on how many words 64 bytes hold.
"""

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
from pipeline.core.text.characters import LINE_END, SPACE
from pipeline.core.text.segment import FILE_SEPARATOR, LINE_FEED, NO_BITS, RETURN, TAB, decode_at

AT_ONCE = 12  # words written down without asking how many there are; 64 bytes of English hold 11
ROOM = 64  # elements that arrays of words must be longer than there are words


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
def wide_spaces(at: Any, limit: Any, leads: Any, table_at: Any) -> Any:
    """Return as bits (bytes of spaces, those in the 64 bytes that follow, first bytes of line ends) beyond ASCII.

    The spaces are looked for where `leads` says.
    """
    spaces = spill = breaks = NO_BITS
    while leads:
        bit = np.uint64(zeros_below(leads))
        leads &= leads - ONE_BIT
        code, size = decode_at(at + np.int64(bit), limit)
        bits = load_byte(table_at + code)
        if bits & SPACE:
            whole = (ONE_BIT << np.uint64(size)) - ONE_BIT
            spaces |= whole << bit
            spill |= whole >> min(np.uint64(64) - bit, np.uint64(63))
            if bits & LINE_END:
                breaks |= ONE_BIT << bit
    return spaces, spill, breaks


@njit(cache=True, nogil=True, forceinline=True)
def after_break(here: Any, end: Any, limit: Any) -> Any:
    """Return where the line begins that follows the line end at `here`."""
    code, size = decode_at(here, limit)
    here += size
    return here + (code == RETURN and here < end and load_byte(here) == LINE_FEED)


@njit(cache=True, nogil=True)
def find_words(data: Any, offsets: Any, table: Any, words: Any, lines: Any, docs: Any) -> Any:
    """Fill where words and lines lie and where those of each document begin; return (number of words, of lines).

    The arrays of words must have ROOM elements more than there are words.
    """
    starts, num_bytes = words
    line_starts, line_ends, line_words = lines
    doc_words, doc_lines, doc_breaks = docs
    origin, table_at = address_of(data), address_of(table)
    limit = origin + len(data)
    tail = np.zeros(64, np.uint8)  # the last bytes of all, if less than 64
    word = line = 0
    for doc in range(len(offsets) - 1):
        base, end = origin + offsets[doc], origin + offsets[doc + 1]
        doc_words[doc], doc_lines[doc], line_words[line] = word, line, word
        at = line_start = base
        closed = word  # words whose end is known
        inside = returned = spill = NO_BITS  # the last bits of the block before: a word is open, a carriage return
        while at <= end:  # a last block, empty where need be, closes the last word
            block, within = readable(at, 64, limit, tail), first_bits(end - at)
            spaces = range_mask_64(block, 0, TAB, 5) | range_mask_64(block, 0, FILE_SEPARATOR, 5) | spill
            breaks = range_mask_64(block, 0, LINE_FEED, 4) | range_mask_64(block, 0, FILE_SEPARATOR, 3)
            breaks &= within
            returns = range_mask_64(block, 0, RETURN, 1) & within
            leads = (range_mask_64(block, 0, 0xC2, 1) | range_mask_64(block, 0, 0xE1, 3)) & within
            spill = NO_BITS
            odd = leads | returns | returned
            if odd:
                breaks &= ~(range_mask_64(block, 0, LINE_FEED, 1) & (returns << ONE_BIT | returned))
                returned = returns >> np.uint64(63)
                wide, spill, wide_breaks = wide_spaces(at, limit, leads, table_at)
                spaces |= wide
                breaks |= wide_breaks
            solid = within & ~spaces
            before = solid << ONE_BIT | inside
            ends, begins = ~solid & before, solid & ~before
            inside = solid >> np.uint64(63)
            while breaks:
                bit = np.uint64(zeros_below(breaks))
                breaks &= breaks - ONE_BIT
                here = at + np.int64(bit)
                line_starts[np.uintp(line)] = line_start - base  # unsigned: no index counts from the end
                line_ends[np.uintp(line)] = here - base
                line += 1
                line_words[np.uintp(line)] = word + ones_in(begins & ((ONE_BIT << bit) - ONE_BIT))
                line_start = after_break(here, end, limit) if odd else here + 1
            num_begins, num_ends, place = ones_in(begins), ones_in(ends), at - base
            for index in range(AT_ONCE):
                starts[np.uintp(word + index)] = place + zeros_below(begins)
                num_bytes[np.uintp(closed + index)] = place + zeros_below(ends)
                begins &= begins - ONE_BIT
                ends &= ends - ONE_BIT
            index = AT_ONCE
            while begins | ends:
                starts[np.uintp(word + index)] = place + zeros_below(begins)
                num_bytes[np.uintp(closed + index)] = place + zeros_below(ends)
                begins &= begins - ONE_BIT
                ends &= ends - ONE_BIT
                index += 1
            word += num_begins
            closed += num_ends
            at += 64
        for index in range(doc_words[doc], word):
            num_bytes[np.uintp(index)] -= starts[np.uintp(index)]  # so far where the word ends
        doc_breaks[doc] = line - doc_lines[doc]
        if line_start < end:
            line_starts[line] = line_start - base
            line_ends[line] = end - base
            line += 1
    doc_words[len(offsets) - 1], doc_lines[len(offsets) - 1], line_words[line] = word, line, word
    return word, line
