"""A stretch of ASCII characters -> whether spaCy's URL pattern matches it: it would then stay one token.

The pattern is an optional scheme, anything up to an `@`, labels with a lower-case top level, a port, and anything after
`/`, `?` or `#`. No backtracking is needed: what follows the labels is no character of a label, so they end where the
run of such characters ends. An address of numbers has rules of its own and is left to spaCy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.core.bits import load_word

NO, YES, UNSURE = 0, 1, -1
DOT, COLON, AT, MINUS, UNDERSCORE = 0x2E, 0x3A, 0x40, 0x2D, 0x5F


@njit(cache=True, nogil=True)
def code_at(codes: Any, index: Any) -> Any:
    """Return the number at `index` of an int64 array of this address."""
    return np.int64(load_word(codes + 8 * index))


@njit(cache=True, nogil=True)
def is_alnum(code: Any) -> Any:
    """Say whether this is an ASCII letter or digit."""
    return 0x30 <= code <= 0x39 or 0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A


@njit(cache=True, nogil=True)
def matches_url(codes: Any, start: Any, end: Any) -> Any:
    """Return YES, NO or UNSURE for codes[start:end]."""
    for at in range(start, end):
        if code_at(codes, at) >= 0x80:
            return UNSURE
    answer = matches_host(codes, start, end)
    scheme = start
    while scheme < end and (
        is_alnum(code_at(codes, scheme)) or code_at(codes, scheme) in (UNDERSCORE, MINUS, DOT, 0x2B)
    ):
        scheme += 1
    followed = scheme - start >= 2 and scheme + 3 <= end and code_at(codes, scheme) == COLON
    if answer == NO and followed and code_at(codes, scheme + 1) == 0x2F and code_at(codes, scheme + 2) == 0x2F:
        answer = matches_host(codes, scheme + 3, end)
    at = start + 1
    while answer == NO and at < end:
        if code_at(codes, at) == AT:
            answer = matches_host(codes, at + 1, end)
        at += 1
    return answer


@njit(cache=True, nogil=True)
def matches_host(codes: Any, start: Any, end: Any) -> Any:
    """Return whether codes[start:end] is a host, perhaps with a port and a path."""
    past = start
    dots = 0
    letters = False
    while past < end and (is_alnum(code_at(codes, past)) or code_at(codes, past) in (DOT, MINUS, UNDERSCORE)):
        dots += code_at(codes, past) == DOT
        letters |= code_at(codes, past) > 0x39
        past += 1
    if dots == 0:
        return NO
    if not letters:
        return UNSURE if dots == 3 else NO
    if not matches_labels(codes, start, past):
        return NO
    if past < end and code_at(codes, past) == COLON:
        past += 1
        digits = 0
        while past < end and 0x30 <= code_at(codes, past) <= 0x39:
            past += 1
            digits += 1
        if not 2 <= digits <= 5:
            return NO
    return YES if past == end or code_at(codes, past) in (0x2F, 0x3F, 0x23) else NO


@njit(cache=True, nogil=True)
def matches_labels(codes: Any, start: Any, end: Any) -> Any:
    """Say whether codes[start:end], of letters, digits, `.`, `-` and `_`, is labels and a lower-case top level."""
    label = start
    for at in range(start, end):
        if code_at(codes, at) == DOT:
            if (
                at == label
                or at - label > 64
                or not is_alnum(code_at(codes, label))
                or not is_alnum(code_at(codes, at - 1))
            ):
                return False
            label = at + 1
    if not 2 <= end - label <= 63:
        return False
    letters = 0
    for at in range(label, end):
        letters += 0x61 <= code_at(codes, at) <= 0x7A
    return letters == end - label
