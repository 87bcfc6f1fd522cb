"""One chunk of text without white space -> where spaCy cuts it into tokens, or the answer that spaCy must be asked.

spaCy strips prefixes and suffixes off a chunk, in turn, until a special case (`don't`) or nothing to strip is left,
takes what looks like a URL whole, splits the rest at infixes, and last joins sequences of tokens that spell a special
case (`:` and `)`). All of it is done here on code points, rule by rule, but for a few URLs, for characters marked HARD
and for joins that overlap: there the answer is ASK. tests/filters/conformance compares with spaCy. `codes`, `ends` and
`scratch` are addresses of int64 arrays, `tables` that of `Rules.tables` (pipeline.core.bits says why addresses).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from filters.conformance.affix_kernels import (
    DOT,
    FREE,
    code_at,
    find_key,
    hash_span,
    infix_size,
    prefix_size,
    put,
    special_row,
    special_size,
    suffix_size,
)
from filters.conformance.spacy_rules import FNV_PRIME, JOIN_ENDS_AT, JOINS_AT, MAX_SPECIAL
from filters.conformance.url_kernels import UNSURE, YES, matches_url
from pipeline.core.bits import load_half

ASK = -1
MAX_CHUNK = 160  # characters; longer chunks are rare, and spaCy's to cut


@njit(cache=True, nogil=True)
def split_chunk(codes: Any, length: Any, tables: Any, ends: Any, scratch: Any) -> Any:
    """Store where each token of codes[0:length] ends; return (their number or ASK, a join was made)."""
    start, end, last = 0, length, -1
    count = num_suffixes = 0
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
            if count < 0:
                return ASK, False
    for place in range(num_suffixes - 1, -1, -1):
        put(ends, count, code_at(scratch, place))
        count += 1
    return join_tokens(codes, ends, count, tables) if count > 1 else (count, False)


@njit(cache=True, nogil=True)
def split_infixes(codes: Any, start: Any, end: Any, tables: Any, ends: Any, count: Any) -> Any:
    """Store the tokens of what is left between prefixes and suffixes; return their number with those before, or ASK."""
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
    if count > first and dotted:
        answer = matches_url(codes, start, end)
        if answer == UNSURE:
            return ASK
        if answer == YES:
            cut, count = start, first
    if cut < end:
        put(ends, count, end)
        count += 1
    return count


@njit(cache=True, nogil=True)
def join_tokens(codes: Any, ends: Any, count: Any, tables: Any) -> Any:
    """Replace a token sequence that spells a special case; return (tokens or ASK, whether something changed)."""
    matches = 0
    match_first = match_last = 0
    start = 0
    for first in range(count - 1):
        state = np.uint64(0)
        token_start = start
        start = code_at(ends, first)
        place = first
        while place < count:
            token = (
                hash_span(codes, token_start, code_at(ends, place))
                if code_at(ends, place) - token_start <= MAX_SPECIAL
                else FREE
            )
            state = state * FNV_PRIME + token
            slot = find_key(tables + JOINS_AT, state)
            if slot < 0:
                break
            if load_half(tables + JOIN_ENDS_AT + 4 * slot):
                matches += 1
                match_first, match_last = first, place
            token_start = code_at(ends, place)
            place += 1
    if matches == 0:
        return count, False
    if matches > 1:
        return ASK, False
    begin = code_at(ends, match_first - 1) if match_first > 0 else 0
    special = special_row(codes, begin, code_at(ends, match_last), tables)
    size = 0
    for place in range(4):
        size += special_size(special, place, tables) > 0
    if size == match_last - match_first + 1:
        same = True
        at = begin
        for place in range(size):
            at += special_size(special, place, tables)
            same &= code_at(ends, match_first + place) == at
        return (count, False) if same else (ASK, False)
    if size != 1:
        return ASK, False
    kept = code_at(ends, match_last)
    removed = match_last - match_first
    put(ends, match_first, kept)
    for place in range(match_last + 1, count):
        put(ends, place - removed, code_at(ends, place))
    return count - removed, True
