"""Bytes -> which phrases, citation markers and braces C4's rules look for, 64 bytes at a time.

Each phrase holds two or three bytes that hardly occur elsewhere (`ips` in lorem ipsum, `kie` in cookies). Bit masks
of 64 places at once say where such bytes stand together; only there the phrase is compared. All by addresses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.core.bits import ONE_BIT, load_byte, ones_in, range_mask, zeros_below

PHRASES = (
    b"lorem ipsum", b"javascript", b"terms of use", b"privacy policy", b"cookie policy", b"uses cookies",
    b"use of cookies", b"use cookies",
)  # fmt: skip
LOREM_IPSUM, JAVASCRIPT_PHRASE, FIRST_POLICY = 0, 1, 2
ANCHORS = (7, 0, 7, 3, 3, 8, 10, 7)  # where in each phrase its rare bytes begin: psu, j_v, f us, v_cy, kie
PHRASE_BYTES = np.frombuffer(b"".join(PHRASES), np.uint8)
PHRASE_STARTS = np.cumsum([0, *map(len, PHRASES)])
ANCHOR_OFFSETS = np.array(ANCHORS, np.int64)
EDIT = np.frombuffer(b"edit]", np.uint8)
CITATION_NEEDED = np.frombuffer(b"citation needed]", np.uint8)
LEFT_BRACKET, RIGHT_BRACKET, LEFT_BRACE = 0x5B, 0x5D, 0x7B


@njit(cache=True, nogil=True, forceinline=True)
def letter_at(at: Any, end: Any, limit: Any, letter: Any) -> Any:
    """Return as bits where of the 64 bytes from `at` on a letter stands, in either case; at may lie beyond `end`."""
    return range_mask(at, max(end, at), limit, 0x20, letter, 1)


@njit(cache=True, nogil=True, forceinline=True)
def anchors_at(at: Any, end: Any, limit: Any) -> Any:
    """Return as bits where of the 64 bytes from `at` on the rare bytes of a phrase begin."""
    psu = letter_at(at, end, limit, 0x70) & letter_at(at + 1, end, limit, 0x73) & letter_at(at + 2, end, limit, 0x75)
    jav = letter_at(at, end, limit, 0x6A) & letter_at(at + 2, end, limit, 0x76)
    f_u = letter_at(at, end, limit, 0x66) & letter_at(at + 2, end, limit, 0x75)
    f_u &= range_mask(at + 1, max(end, at + 1), limit, 0, 0x20, 1) & letter_at(at + 3, end, limit, 0x73)
    vacy = letter_at(at, end, limit, 0x76) & letter_at(at + 2, end, limit, 0x63) & letter_at(at + 3, end, limit, 0x79)
    kie = letter_at(at, end, limit, 0x6B) & letter_at(at + 1, end, limit, 0x69) & letter_at(at + 2, end, limit, 0x65)
    return psu | jav | f_u | vacy | kie


@njit(cache=True, nogil=True)
def is_phrase(at: Any, end: Any, phrase: Any) -> Any:
    """Say whether one of PHRASES stands at `at`, in any ASCII case."""
    begin, size = PHRASE_STARTS[phrase], PHRASE_STARTS[phrase + 1] - PHRASE_STARTS[phrase]
    if at + size > end:
        return False
    for offset in range(size):
        byte = load_byte(at + offset)
        if (byte | 0x20 if 0x41 <= byte <= 0x5A else byte) != PHRASE_BYTES[begin + offset]:
            return False
    return True


@njit(cache=True, nogil=True)
def find_phrases(start: Any, end: Any, limit: Any) -> Any:
    """Return (which of PHRASES occur, as bits; how often `lorem ipsum` does)."""
    found = 0
    count = 0
    at = start
    while at < end:
        anchors = anchors_at(at, end, limit)
        while anchors:
            anchor = at + zeros_below(anchors)
            anchors &= anchors - ONE_BIT
            for phrase in range(len(ANCHOR_OFFSETS)):
                first = anchor - ANCHOR_OFFSETS[phrase]
                if first >= start and is_phrase(first, end, phrase):
                    found |= 1 << phrase
                    count += phrase == LOREM_IPSUM
        at += 64
    return found, count


@njit(cache=True, nogil=True)
def begins_with(at: Any, end: Any, wanted: Any) -> Any:
    """Say whether the bytes from `at` to `end` begin with the wanted ones."""
    if end - at < len(wanted):
        return False
    same = 0
    for offset in range(len(wanted)):
        same += load_byte(at + offset) == wanted[offset]
    return same == len(wanted)


@njit(cache=True, nogil=True)
def marker_end(at: Any, end: Any) -> Any:
    """Return where the citation marker ends whose bracket is at `at`; `at` itself where it opens none."""
    past = at + 1
    first = load_byte(past) if past < end else 0
    if not 0x30 <= first <= 0x39 and first != EDIT[0] and first != CITATION_NEEDED[0]:
        return at
    while past < end and past - at <= 3 and 0x30 <= load_byte(past) <= 0x39:
        past += 1
    if past > at + 1:
        return past + 1 if past < end and load_byte(past) == RIGHT_BRACKET else at
    if begins_with(at + 1, end, EDIT):
        return at + 1 + len(EDIT)
    return at + 1 + len(CITATION_NEEDED) if begins_with(at + 1, end, CITATION_NEEDED) else at


@njit(cache=True, nogil=True)
def has_marker(start: Any, end: Any, limit: Any) -> Any:
    """Say whether a citation marker occurs."""
    at = start
    while at < end:
        brackets = range_mask(at, end, limit, 0, LEFT_BRACKET, 1)
        while brackets:
            bracket = at + zeros_below(brackets)
            brackets &= brackets - ONE_BIT
            if marker_end(bracket, end) > bracket:
                return True
        at += 64
    return False


@njit(cache=True, nogil=True)
def count_braces(start: Any, end: Any, limit: Any) -> Any:
    """Return how many left braces occur."""
    count = 0
    at = start
    while at < end:
        count += ones_in(range_mask(at, end, limit, 0, LEFT_BRACE, 1))
        at += 64
    return count
