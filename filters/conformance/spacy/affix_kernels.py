"""What spaCy's tokenizer rules say of one place in a chunk: a prefix, a suffix, an infix, or a whole special case.

`codes` and `ends` are addresses of int64 arrays, `tables` that of `Rules.tables` (pipeline.core.text.bits says why).
The orders of alternatives are those of spaCy's regular expressions: the first prefix, the longest suffix, the first
infix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.conformance.spacy.spacy_rules import (
    ALPHA,
    DOT_BEFORE,
    FNV_PRIME,
    FNV_START,
    ICON,
    LOWER,
    MAX_SPECIAL,
    PREFIX,
    QUOTE,
    SPECIAL_ROWS_AT,
    SPECIAL_SIZES_AT,
    SPECIALS_AT,
    SUFFIX,
    TABLE_BITS,
    UNIT,
    UNITS_AT,
    UPPER,
    WIDE_UNITS_AT,
)
from filters.conformance.spacy.url_kernels import code_at, kind_of
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import load_half, load_word, store_word

SHIFT_32 = np.uint64(32)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FREE = np.uint64(0)
TABLE_SHIFT, TABLE_MASK = np.uint64(64 - TABLE_BITS), (1 << TABLE_BITS) - 1
DOT, COMMA, PLUS, MINUS, STAR, CARET, DOLLAR, PERCENT = 0x2E, 0x2C, 0x2B, 0x2D, 0x2A, 0x5E, 0x24, 0x25
EN_DASH, EM_DASH, APOSTROPHE, RIGHT_QUOTE = 0x2013, 0x2014, 0x27, 0x2019
ELLIPSIS, DEGREE = 0x2026, 0xB0
MAX_UNIT = 5  # characters


@njit(cache=True, nogil=True)
def put(array: Any, index: Any, value: Any) -> None:
    """Store a number at `index` of an int64 array of this address."""
    store_word(array + 8 * index, np.uint64(value))


@njit(cache=True, nogil=True)
def find_key(keys: Any, key: Any) -> Any:
    """Return the slot of a key in the `hash_table` of this address, or -1."""
    slot = np.int64((key * GOLDEN) >> TABLE_SHIFT)
    found = load_word(keys + 8 * slot)
    while found != FREE:
        if found == key:
            return slot
        slot = (slot + 1) & TABLE_MASK
        found = load_word(keys + 8 * slot)
    return -1


@njit(cache=True, nogil=True)
def hash_span(codes: Any, start: Any, end: Any) -> Any:
    """Return the hash of codes[start:end], as `spacy_rules.span_hash`."""
    state = FNV_START
    for at in range(start, end):
        state = (state ^ np.uint64(code_at(codes, at))) * FNV_PRIME
    return state ^ (state >> SHIFT_32)


@njit(cache=True, nogil=True)
def special_row(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Return the number of the special case that codes[start:end] is, or -1."""
    if end - start > MAX_SPECIAL or end <= start:
        return -1
    slot = find_key(tables + SPECIALS_AT, hash_span(codes, start, end))
    return load_half(tables + SPECIAL_ROWS_AT + 4 * slot) if slot >= 0 else -1


@njit(cache=True, nogil=True)
def special_size(row: Any, place: Any, tables: Any) -> Any:
    """Return how many characters a token of a special case has; 0 behind its last."""
    return load_half(tables + SPECIAL_SIZES_AT + 16 * row + 4 * place)


@njit(cache=True, nogil=True)
def is_digit(code: Any) -> Any:
    """Say whether this is one of 0 to 9."""
    return 0x30 <= code <= 0x39


@njit(cache=True, nogil=True)
def prefix_size(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Return how many characters come off the front of codes[start:end]."""
    first = code_at(codes, start)
    if kind_of(first, tables) & PREFIX:
        return 1
    following = code_at(codes, start + 1) if start + 1 < end else 0
    if first == PLUS:
        return 0 if is_digit(following) else 1
    if first == DOT:
        size = 1
        while start + size < end and code_at(codes, start + size) == DOT:
            size += 1
        return size if size > 1 else 0
    if first == 0x55:
        return 3 if following == 0x53 and start + 2 < end and code_at(codes, start + 2) == DOLLAR else 0  # US$
    return 2 if (first == 0x41 or first == 0x43) and following == DOLLAR else 0  # A$ C$


@njit(cache=True, nogil=True)
def suffix_size(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Return how many characters come off the end of codes[start:end]: the longest of all suffixes that fit."""
    if end <= start:
        return 0
    last = code_at(codes, end - 1)
    before = code_at(codes, end - 2) if end - 2 >= start else 0
    if last == DOT:
        if before == DOT:
            size = 2
            while end - size > start and code_at(codes, end - size - 1) == DOT:
                size += 1
            return size
        if before == 0:
            return 0
        if kind_of(before, tables) & DOT_BEFORE:
            return 1
        third = code_at(codes, end - 3) if end - 3 >= start else 0
        two_upper = kind_of(before, tables) & UPPER and kind_of(third, tables) & UPPER
        return 1 if two_upper or (third == DEGREE and before in (0x43, 0x46, 0x4B)) else 0  # C F K
    if (last == 0x73 or last == 0x53) and (before in (APOSTROPHE, RIGHT_QUOTE)):
        return 2
    if kind_of(last, tables) & SUFFIX:
        return 2 if last == ELLIPSIS and before == ELLIPSIS else 1
    if last == PLUS:
        return 1 if is_digit(before) else 0
    if last >= 0x80:
        return unit_size(codes, start, end, tables) if kind_of(last, tables) & UNIT else 0
    return unit_size(codes, start, end, tables) if kind_of(last, tables) & ALPHA or last in (DOLLAR, PERCENT) else 0


@njit(cache=True, nogil=True)
def unit_size(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Return the length of the unit or currency that ends codes[start:end] right behind one of 0 to 9, or 0."""
    packed = size = 0
    wide = False
    while size <= MAX_UNIT and end - size > start and not is_digit(code_at(codes, end - size - 1)):
        size += 1
        code = code_at(codes, end - size)
        wide |= code >= 0x80
        packed = packed << 8 | code & 0xFF
    if size > MAX_UNIT or end - size == start or size == 0:
        return 0
    if wide:
        return size if is_listed(tables + WIDE_UNITS_AT, hash_span(codes, end - size, end)) else 0
    if code_at(codes, end - 1) == DOLLAR:
        return size if packed == 0x24 or packed == 0x245355 or packed == 0x2441 or packed == 0x2443 else 0
    return size if is_listed(tables + UNITS_AT, np.uint64(packed)) else 0


@njit(cache=True, nogil=True)
def is_listed(words: Any, wanted: Any) -> Any:
    """Say whether a number stands in the list of this address, which ends with a 0."""
    place = 0
    word = load_word(words)
    while word != FREE:
        if word == wanted:
            return True
        place += 1
        word = load_word(words + 8 * place)
    return False


@njit(cache=True, nogil=True)
def infix_size(codes: Any, at: Any, start: Any, end: Any, tables: Any) -> Any:
    """Return how many characters at `at` are an infix of codes[start:end]; 0 for none."""
    code = code_at(codes, at)
    if code >= 0x80:
        if code == ELLIPSIS or kind_of(code, tables) & ICON:
            return 1
        if code != EN_DASH and code != EM_DASH:
            return 0
    elif is_digit(code) or kind_of(code, tables) & ALPHA:
        return 0
    before = code_at(codes, at - 1) if at > start else 0
    after = code_at(codes, at + 1) if at + 1 < end else 0
    if code == DOT:
        if after == DOT:
            size = 2
            while at + size < end and code_at(codes, at + size) == DOT:
                size += 1
            return size
        return 1 if kind_of(before, tables) & (LOWER | QUOTE) and kind_of(after, tables) & (UPPER | QUOTE) else 0
    arithmetic = code in (PLUS, MINUS, STAR, CARET)
    if arithmetic and is_digit(before) and (is_digit(after) or after == MINUS):
        return 1
    if code == COMMA:
        return 1 if kind_of(before, tables) & ALPHA and kind_of(after, tables) & ALPHA else 0
    if not (kind_of(before, tables) & ALPHA or is_digit(before)):
        return 0
    if code == 0x3A or code == 0x3C or code == 0x3E or code == 0x3D or code == 0x2F:  # : < > = /
        return 1 if kind_of(after, tables) & ALPHA else 0
    if code in (MINUS, EN_DASH, EM_DASH) or code == 126:
        if kind_of(after, tables) & ALPHA:
            return 1
        size = 1
        limit = 3 if code == MINUS else 2 if code == EM_DASH else 1
        while size < limit and at + size < end and code_at(codes, at + size) == code:
            size += 1
            if at + size < end and kind_of(code_at(codes, at + size), tables) & ALPHA:
                return size
    return 0
