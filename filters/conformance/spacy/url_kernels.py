"""A stretch of characters -> whether spaCy's URL pattern matches it: it would then stay one token.

The pattern is an optional scheme, anything up to an `@`, four numbers or labels with a lower-case top level, a port,
and anything after `/`, `?` or `#`. No backtracking is needed: what follows the labels is no character of a label, so
they end where the run of such characters ends, and no run reaches over an `@`. The time is linear, where that of the
expression is quadratic: 1.3 s for 32 kB of letters, full stops and colons.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.conformance.spacy.spacy_rules import BITS_AT, DIGIT, LOWER, WORD
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import load_half, load_word

DOT, COLON, AT, MINUS, PLUS, UNDERSCORE, SLASH, QUESTION, HASH = 0x2E, 0x3A, 0x40, 0x2D, 0x2B, 0x5F, 0x2F, 0x3F, 0x23
ZERO, ONE, TWO, FIVE = 0x30, 0x31, 0x32, 0x35
MAX_LABEL, MAX_TOP = 64, 63  # characters


@njit(cache=True, nogil=True)
def code_at(codes: Any, index: Any) -> Any:
    """Return the number at `index` of an int64 array of this address."""
    return np.int64(load_word(codes + 8 * index))


@njit(cache=True, nogil=True)
def kind_of(code: Any, tables: Any) -> Any:
    """Return the bits of a character."""
    return load_half(tables + BITS_AT + 4 * code)


@njit(cache=True, nogil=True)
def is_alnum(code: Any) -> Any:
    """Say whether this is an ASCII letter or digit."""
    return 0x30 <= code <= 0x39 or 0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A


@njit(cache=True, nogil=True)
def ends_label(code: Any) -> Any:
    """Say whether a label may begin and end with this character."""
    return is_alnum(code) or 0xA1 <= code <= 0xFFFF


@njit(cache=True, nogil=True)
def matches_url(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Say whether the pattern matches all of codes[start:end], which holds no white space."""
    found = matches_host(codes, start, end, tables)
    scheme = start
    while scheme < end and (
        kind_of(code_at(codes, scheme), tables) & WORD or code_at(codes, scheme) in (MINUS, DOT, PLUS)
    ):
        scheme += 1
    followed = scheme - start >= 2 and scheme + 3 <= end and code_at(codes, scheme) == COLON
    if followed and code_at(codes, scheme + 1) == SLASH and code_at(codes, scheme + 2) == SLASH:
        found = found or matches_host(codes, scheme + 3, end, tables)
    at = start + 1
    while not found and at < end:
        found = code_at(codes, at) == AT and matches_host(codes, at + 1, end, tables)
        at += 1
    return found


@njit(cache=True, nogil=True)
def matches_host(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Say whether codes[start:end] is a host, perhaps with a port and a path."""
    past = start
    dot = -1  # the last
    while past < end:
        code = code_at(codes, past)
        if code == DOT:
            dot = past
        elif not (ends_label(code) or code in (MINUS, UNDERSCORE) or kind_of(code, tables) & LOWER):
            break
        past += 1
    if dot < 0:
        return False
    if not matches_labels(codes, start, dot, past, tables):
        past = number_end(codes, start, end, tables)
        if past < 0:
            return False
    if past < end and code_at(codes, past) == COLON:
        digits = 0
        past += 1
        while past < end and kind_of(code_at(codes, past), tables) & DIGIT:
            past += 1
            digits += 1
        if not 2 <= digits <= 5:
            return False
    return past == end or code_at(codes, past) in (SLASH, QUESTION, HASH)


@njit(cache=True, nogil=True)
def matches_labels(codes: Any, start: Any, dot: Any, end: Any, tables: Any) -> Any:
    """Say whether codes[start:dot] is labels with full stops between them, and what follows the stop a top level."""
    if not 2 <= end - dot - 1 <= MAX_TOP:
        return False
    for at in range(dot + 1, end):
        if not kind_of(code_at(codes, at), tables) & LOWER:
            return False
    label = start
    for at in range(start, dot + 1):
        code = code_at(codes, at)
        if code == DOT:
            if (
                at == label
                or at - label > MAX_LABEL
                or not ends_label(code_at(codes, label))
                or not ends_label(code_at(codes, at - 1))
            ):
                return False
            label = at + 1
        elif not (ends_label(code) or code in (MINUS, UNDERSCORE)):
            return False
    return True


@njit(cache=True, nogil=True)
def number_end(codes: Any, start: Any, end: Any, tables: Any) -> Any:
    """Return where an address of four numbers ends that is no private one, or -1.

    A digit of any script counts as one, but where the pattern names the digits that may stand there.
    """
    at = start
    first = second = 0
    for octet in range(4):
        begin = at
        size = 0
        while at < end and size < 4 and kind_of(code_at(codes, at), tables) & DIGIT:
            at += 1
            size += 1
        a = code_at(codes, begin) if size > 0 else 0
        b = code_at(codes, begin + 1) if size > 1 else 0
        c = code_at(codes, begin + 2) if size > 2 else 0
        if not fits_octet(a, b, c, size, octet):
            return -1
        if octet == 0:
            first = packed(a, b, c)
        if octet == 1:
            second = packed(a, b, c)
            if is_private(first, second):
                return -1
        if octet < 3:
            if at >= end or code_at(codes, at) != DOT:
                return -1
            at += 1
    return at


@njit(cache=True, nogil=True)
def fits_octet(a: Any, b: Any, c: Any, size: Any, octet: Any) -> Any:
    """Say whether up to three digits may be the number at place `octet` of an address."""
    if not 1 <= size <= 3:
        return False
    if (octet == 0 or octet == 3) and size < 3:
        return ONE <= a <= 0x39
    if size < 3 or a == ONE:
        return True
    if a != TWO:
        return False
    if octet == 0:
        return b in (ZERO, ONE) or (b == TWO and ZERO <= c <= 0x33)
    return ZERO <= b <= 0x34 or (b == FIVE and ZERO <= c <= (0x34 if octet == 3 else FIVE))


@njit(cache=True, nogil=True)
def is_private(first: Any, second: Any) -> Any:
    """Say whether an address with these first two numbers, packed, is one that the pattern leaves out."""
    ten, loopback = packed(ONE, ZERO, 0), packed(ONE, TWO, 0x37)
    if first in (ten, loopback):
        return True
    if first == packed(ONE, 0x36, 0x39):
        return second == packed(TWO, FIVE, 0x34)
    if first == packed(ONE, 0x39, TWO):
        return second == packed(ONE, 0x36, 0x38)
    if first != packed(ONE, 0x37, TWO) or second & 0x1FFFFF:
        return False
    a, b = second >> 42, (second >> 21) & 0x1FFFFF
    return (a == ONE and 0x36 <= b <= 0x39) or (a == TWO and b != 0) or (a == 0x33 and ZERO <= b <= ONE)


@njit(cache=True, nogil=True)
def packed(a: Any, b: Any, c: Any) -> Any:
    """Return three characters as one number."""
    return (a << 42) | (b << 21) | c
