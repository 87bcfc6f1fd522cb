"""One chunk of text without white space -> where spaCy cuts it into tokens, or the answer that spaCy must be asked.

spaCy strips prefixes and suffixes off a chunk, in turn, until a special case (`don't`) or nothing to strip is left,
takes what looks like a URL whole, splits the rest at infixes, and last joins sequences of tokens that spell a special
case (`:` and `)`). All of it is done here on code points, rule by rule, but for a few URLs, for characters marked HARD
and for joins that overlap: there the answer is ASK. tests/filters/conformance compares
with spaCy. 30 ns for a word with a comma (one Zen 5 core).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from filters.conformance.spacy_rules import (
    ALPHA,
    DOT_BEFORE,
    FNV_PRIME,
    FNV_START,
    ICON,
    LOWER,
    MAX_SPECIAL,
    PREFIX,
    QUOTE,
    SUFFIX,
    UPPER,
)
from filters.conformance.url_kernels import UNSURE, YES, matches_url

ASK = -1
MAX_CHUNK = 160  # characters; longer chunks are rare, and spaCy's to cut
SHIFT_32 = np.uint64(32)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FREE = np.uint64(0)
DOT, COMMA, PLUS, MINUS, DOLLAR, PERCENT = 0x2E, 0x2C, 0x2B, 0x2D, 0x24, 0x25
EN_DASH, EM_DASH, APOSTROPHE, RIGHT_QUOTE = 0x2013, 0x2014, 0x27, 0x2019


@njit(cache=True, nogil=True, forceinline=True)
def find_key(keys: Any, key: Any) -> Any:
    """Return the slot of a key in a `hash_table`, or -1."""
    mask = len(keys) - 1
    shift = np.uint64(64)
    size = len(keys)
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    slot = np.int64((key * GOLDEN) >> shift)
    while keys[slot] != FREE:
        if keys[slot] == key:
            return slot
        slot = (slot + 1) & mask
    return -1


@njit(cache=True, nogil=True, forceinline=True)
def hash_span(codes: Any, start: Any, end: Any) -> Any:
    """Return the hash of codes[start:end], as `spacy_rules.span_hash`."""
    state = FNV_START
    for at in range(start, end):
        state = (state ^ np.uint64(codes[at])) * FNV_PRIME
    return state ^ (state >> SHIFT_32)


@njit(cache=True, nogil=True, forceinline=True)
def special_row(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Return the number of the special case that codes[start:end] is, or -1."""
    if end - start > MAX_SPECIAL or end <= start:
        return -1
    slot = find_key(tables[1], hash_span(codes, start, end))
    return np.int64(tables[2][slot]) if slot >= 0 else -1


@njit(cache=True, nogil=True, forceinline=True)
def is_digit(code: Any) -> Any:
    """Say whether this is one of 0 to 9."""
    return 0x30 <= code <= 0x39


@njit(cache=True, nogil=True, forceinline=True)
def prefix_size(codes: Any, start: Any, end: Any, bits: Any) -> Any:
    """Return how many characters come off the front of codes[start:end]."""
    first = codes[start]
    if bits[first] & PREFIX:
        return 1
    following = codes[start + 1] if start + 1 < end else 0
    if first == PLUS:
        return 0 if is_digit(following) else 1
    if first == DOT:
        size = 1
        while start + size < end and codes[start + size] == DOT:
            size += 1
        return size if size > 1 else 0
    if first == 0x55:
        return 3 if following == 0x53 and start + 2 < end and codes[start + 2] == DOLLAR else 0  # US$
    return 2 if (first == 0x41 or first == 0x43) and following == DOLLAR else 0  # A$ C$


@njit(cache=True, nogil=True, forceinline=True)
def suffix_size(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Return how many characters come off the end of codes[start:end]: the longest of all suffixes that fit."""
    bits, units = tables[0], tables[7]
    if end <= start:
        return 0
    last = codes[end - 1]
    before = codes[end - 2] if end - 2 >= start else 0
    if last == DOT:
        if before == DOT:
            size = 2
            while end - size > start and codes[end - size - 1] == DOT:
                size += 1
            return size
        if before == 0:
            return 0
        two_upper = end - 3 >= start and bits[before] & UPPER and bits[codes[end - 3]] & UPPER
        return 1 if bits[before] & DOT_BEFORE or two_upper else 0
    if (last == 0x73 or last == 0x53) and (before == APOSTROPHE or before == RIGHT_QUOTE):
        return 2
    if bits[last] & SUFFIX:
        return 1
    if last == PLUS:
        return 1 if is_digit(before) else 0
    if not (bits[last] & ALPHA or last == DOLLAR or last == PERCENT) or last >= 0x80:
        return 0
    packed = size = 0
    while size < 5 and end - size > start and not is_digit(codes[end - size - 1]):
        size += 1
        if codes[end - size] >= 0x80:
            return 0
        packed = packed << 8 | codes[end - size]
    if size > 4 or end - size == start:
        return 0
    if last == DOLLAR:
        return size if packed == 0x24 or packed == 0x245355 or packed == 0x2441 or packed == 0x2443 else 0
    for unit in units:
        if unit == packed:
            return size
    return 0


@njit(cache=True, nogil=True, forceinline=True)
def infix_size(codes: Any, at: Any, start: Any, end: Any, bits: Any) -> Any:
    """Return how many characters at `at` are an infix of codes[start:end]; 0 for none."""
    code = codes[at]
    if code >= 0x80:
        if bits[code] & ICON:
            return 1
        if code != EN_DASH and code != EM_DASH:
            return 0
    elif is_digit(code) or bits[code] & ALPHA:
        return 0
    before = codes[at - 1] if at > start else 0
    after = codes[at + 1] if at + 1 < end else 0
    if code == DOT:
        if after == DOT:
            size = 2
            while at + size < end and codes[at + size] == DOT:
                size += 1
            return size
        return 1 if bits[before] & (LOWER | QUOTE) and bits[after] & (UPPER | QUOTE) else 0
    if (code == PLUS or code == MINUS or code == 0x2A or code == 0x5E) and is_digit(before):
        if is_digit(after) or after == MINUS:
            return 1
    if code == COMMA:
        return 1 if bits[before] & ALPHA and bits[after] & ALPHA else 0
    if not (bits[before] & ALPHA or is_digit(before)):
        return 0
    if code == 0x3A or code == 0x3C or code == 0x3E or code == 0x3D or code == 0x2F:  # : < > = /
        return 1 if bits[after] & ALPHA else 0
    if code == MINUS or code == 0x7E or code == EN_DASH or code == EM_DASH:
        if bits[after] & ALPHA:
            return 1
        size = 1
        limit = 3 if code == MINUS else 2 if code == EM_DASH else 1
        while size < limit and at + size < end and codes[at + size] == code:
            size += 1
            if at + size < end and bits[codes[at + size]] & ALPHA:
                return size
    return 0


@njit(cache=True, nogil=True, forceinline=True)
def split_chunk(codes: Any, length: Any, tables: Any, ends: Any, scratch: Any) -> Any:
    """Store where each token of codes[0:length] ends; return (their number or ASK, a join was made)."""
    bits, sizes = tables[0], tables[3]
    start, end, last = 0, length, -1
    count = num_suffixes = 0
    special = -1
    while end > start and end - start != last:
        special = special_row(codes, start, end, tables)
        if special >= 0:
            break
        last = end - start
        front = prefix_size(codes, start, end, bits)
        if front > 0:
            start += front
            ends[count] = start
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
                scratch[num_suffixes] = end
                num_suffixes += 1
                end -= back
                break
            scratch[num_suffixes] = end
            num_suffixes += 1
            end -= back
    if end > start:
        special = special_row(codes, start, end, tables)
        if special >= 0:
            at = start
            for place in range(sizes.shape[1]):
                if sizes[special, place] > 0:
                    at += sizes[special, place]
                    ends[count] = at
                    count += 1
        else:
            count = split_infixes(codes, start, end, bits, ends, count)
            if count < 0:
                return ASK, False
    for place in range(num_suffixes - 1, -1, -1):
        ends[count] = scratch[place]
        count += 1
    return join_tokens(codes, ends, count, tables) if count > 1 else (count, False)


@njit(cache=True, nogil=True, forceinline=True)
def split_infixes(codes: Any, start: Any, end: Any, bits: Any, ends: Any, count: Any) -> Any:
    """Store the tokens of what is left between prefixes and suffixes; return their number with those before, or ASK."""
    cut = start
    first = count
    dotted = False
    at = start
    while at < end:
        size = infix_size(codes, at, start, end, bits)
        dotted |= codes[at] == DOT
        if size == 0:
            at += 1
            continue
        if at > start:
            if at > cut:
                ends[count] = at
                count += 1
            ends[count] = at + size
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
        ends[count] = end
        count += 1
    return count


@njit(cache=True, nogil=True, forceinline=True)
def join_tokens(codes: Any, ends: Any, count: Any, tables: Any) -> Any:
    """Replace a token sequence that spells a special case; return (tokens or ASK, whether something changed)."""
    keys, whole, sizes = tables[4], tables[5], tables[3]
    matches = 0
    match_first = match_last = 0
    start = 0
    for first in range(count - 1):
        state = np.uint64(0)
        token_start = start
        start = ends[first]
        place = first
        while place < count:
            token = hash_span(codes, token_start, ends[place]) if ends[place] - token_start <= MAX_SPECIAL else FREE
            state = state * FNV_PRIME + token
            slot = find_key(keys, state)
            if slot < 0:
                break
            if whole[slot]:
                matches += 1
                match_first, match_last = first, place
            token_start = ends[place]
            place += 1
    if matches == 0:
        return count, False
    if matches > 1:
        return ASK, False
    begin = ends[match_first - 1] if match_first > 0 else 0
    special = special_row(codes, begin, ends[match_last], tables)
    size = 0
    for place in range(sizes.shape[1]):
        size += sizes[special, place] > 0
    if size == match_last - match_first + 1:
        same = True
        at = begin
        for place in range(size):
            at += sizes[special, place]
            same &= ends[match_first + place] == at
        return (count, False) if same else (ASK, False)
    if size != 1:
        return ASK, False
    kept = ends[match_last]
    removed = match_last - match_first
    ends[match_first] = kept
    for place in range(match_last + 1, count):
        ends[place - removed] = ends[place]
    return count - removed, True
