"""One chunk of text without white space -> where spaCy cuts it into tokens.

spaCy strips prefixes and suffixes off a chunk, in turn, until a special case (`don't`) or nothing to strip is left,
takes what looks like a URL whole, splits the rest at infixes, and last joins sequences of tokens that spell a special
case (`:` and `)`). All of it is done here on code points, rule by rule; tests/filters/conformance compares with spaCy.
`codes`, `ends` and `scratch` are addresses of int64 arrays, `tables` that of `Rules.tables` (pipeline.core.text.bits
says why addresses). The time is linear in the chunk's length, where spaCy's is quadratic: 7.7 s for 8 kB that end in
`)))`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.conformance.spacy.affix_kernels import (
    DOT,
    FREE,
    find_key,
    hash_span,
    infix_size,
    prefix_size,
    put,
    special_row,
    special_size,
    suffix_size,
)
from filters.conformance.spacy.spacy_rules import FNV_PRIME, JOIN_ENDS_AT, JOINS_AT, MAX_SPECIAL
from filters.conformance.spacy.url_kernels import code_at, matches_url
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import load_half

BLANK = 0x20  # between two chunks whose tokens are joined together
TAKEN = 1 << 20  # of a mark: the token belongs to a sequence; below it a bit for each length of sequence
SIZE_SHIFT = 21  # above it the length of the sequence that is replaced


@njit(cache=True, nogil=True)
def split_chunk(codes: Any, start: Any, end: Any, tables: Any, ends: Any, count: Any, scratch: Any) -> Any:
    """Store where each token of codes[start:end] ends, behind `count` that are there; return their number."""
    last = -1
    num_suffixes = 0
    special = -1
    while end > start and end - start != last:
        special = special_row(codes, start, end, tables)
        if special >= 0:
            break
        last = end - start
        front = prefix_size(codes, start, end, tables)
        if front > 0:
            start += front
            put(ends, count, start)
            count += 1
            special = special_row(codes, start, end, tables)
            if special >= 0:
                break
        back = suffix_size(codes, start, end, tables)
        if back > 0:
            whole = start - front
            if special_row(codes, whole, end - back, tables) >= 0:
                start = whole
                count -= front > 0
                special = special_row(codes, whole, end - back, tables)
                put(scratch, num_suffixes, end)
                num_suffixes += 1
                end -= back
                break
            put(scratch, num_suffixes, end)
            num_suffixes += 1
            end -= back
    if end > start:
        special = special_row(codes, start, end, tables)
        if special >= 0:
            at = start
            for place in range(4):
                if special_size(special, place, tables) > 0:
                    at += special_size(special, place, tables)
                    put(ends, count, at)
                    count += 1
        else:
            count = split_infixes(codes, start, end, tables, ends, count)
    for place in range(num_suffixes - 1, -1, -1):
        put(ends, count, code_at(scratch, place))
        count += 1
    return count


@njit(cache=True, nogil=True)
def split_infixes(codes: Any, start: Any, end: Any, tables: Any, ends: Any, count: Any) -> Any:
    """Store the tokens of what is left between prefixes and suffixes; return their number with those before."""
    cut = start
    first = count
    dotted = False
    at = start
    while at < end:
        size = infix_size(codes, at, start, end, tables)
        dotted |= code_at(codes, at) == DOT
        if size == 0:
            at += 1
            continue
        if at > start:
            if at > cut:
                put(ends, count, at)
                count += 1
            put(ends, count, at + size)
            count += 1
            cut = at + size
        at += size
    if count > first and dotted and matches_url(codes, start, end, tables):
        cut, count = start, first
    if cut < end:
        put(ends, count, end)
        count += 1
    return count


@njit(cache=True, nogil=True)
def join_tokens(codes: Any, ends: Any, count: Any, tables: Any, marks: Any) -> Any:
    """Replace token sequences that spell a special case; return (tokens, whether something changed).

    The longest go first, of equals the leftmost, and each takes its tokens from those after it, be it replaced or not.
    A sequence may reach over a BLANK; it is then not replaced.
    """
    longest = mark_sequences(codes, ends, count, tables, marks)
    for size in range(longest, 1, -1):
        for first in range(count - size + 1):
            if not code_at(marks, first) >> size & 1:
                continue
            last = first + size - 1
            if not (code_at(marks, first) | code_at(marks, last)) & TAKEN:
                put(marks, first, code_at(marks, first) | size << SIZE_SHIFT)
            for place in range(first, last + 1):
                put(marks, place, code_at(marks, place) | TAKEN)
    return replace_sequences(codes, ends, count, tables, marks) if longest > 0 else (count, False)


@njit(cache=True, nogil=True)
def mark_sequences(codes: Any, ends: Any, count: Any, tables: Any, marks: Any) -> Any:
    """Set bit n of a token's mark if a sequence of n tokens begins with it; return the longest n, or 0."""
    longest = 0
    start = 0
    for first in range(count):
        put(marks, first, 0)
        state = np.uint64(0)
        token_start = behind_blank(codes, start)
        start = code_at(ends, first)
        place = first
        while place < count:
            end = code_at(ends, place)
            token = hash_span(codes, token_start, end) if end - token_start <= MAX_SPECIAL else FREE
            state = state * FNV_PRIME + token
            slot = find_key(tables + JOINS_AT, state)
            if slot < 0:
                break
            place += 1
            if load_half(tables + JOIN_ENDS_AT + 4 * slot):
                put(marks, first, code_at(marks, first) | 1 << (place - first))
                longest = max(longest, place - first)
            token_start = behind_blank(codes, end) if place < count else end
    return longest


@njit(cache=True, nogil=True)
def behind_blank(codes: Any, at: Any) -> Any:
    """Return where the token begins that follows the end of another."""
    return at + (code_at(codes, at) == BLANK)


@njit(cache=True, nogil=True)
def replace_sequences(codes: Any, ends: Any, count: Any, tables: Any, marks: Any) -> Any:
    """Write the special cases' tokens over the sequences that were chosen; return (tokens, whether something changed).

    A special case may have more tokens than the sequence (`C.` becomes `C` and `.`), so all move up by that many first.
    """
    room = first = 0
    start = 0
    while first < count:
        size = max(code_at(marks, first) >> SIZE_SHIFT, 1)
        past = code_at(ends, first + size - 1)
        if size > 1:
            room += max(num_joined(codes, behind_blank(codes, start), past, tables) - size, 0)
        start = past
        first += size
    for place in range(count - 1, -1, -1):
        put(ends, place + room, code_at(ends, place))
        put(marks, place + room, code_at(marks, place))
    changed = False
    out, first, count = 0, room, count + room
    start = 0
    while first < count:
        size = max(code_at(marks, first) >> SIZE_SHIFT, 1)
        past = code_at(ends, first + size - 1)
        at = behind_blank(codes, start)
        kept = num_joined(codes, at, past, tables) if size > 1 else 0
        changed |= kept > 0 and kept != size
        for place in range(kept if kept > 0 else size):
            if kept > 0:
                at += special_size(special_row(codes, behind_blank(codes, start), past, tables), place, tables)
                changed |= place < size and code_at(ends, first + place) != at
            else:
                at = code_at(ends, first + place)
            put(ends, out, at)
            out += 1
        start = past
        first += size
    return out, changed


@njit(cache=True, nogil=True)
def num_joined(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Return how many tokens the special case codes[start:end] has; 0 if it is none, as over a BLANK."""
    special = special_row(codes, start, end, tables)
    kept = 0
    for place in range(4 if special >= 0 else 0):
        kept += special_size(special, place, tables) > 0
    return kept
