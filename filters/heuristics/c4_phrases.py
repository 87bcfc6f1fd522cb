"""Bytes -> which phrases, citation markers and braces C4's rules look for, 64 bytes at a time.

Each phrase holds two or three bytes that hardly occur elsewhere (`ips` in lorem ipsum, `kie` in cookies). Bit masks
of 64 places at once say where such bytes stand together; only there the phrase is compared. All by addresses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import ONE_BIT, first_bits, load_byte, ones_in, range_mask_64, readable, zeros_below

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
EDIT_LETTER, CITATION_LETTER = 0x65, 0x63  # their first
LEFT_BRACKET, RIGHT_BRACKET, LEFT_BRACE = 0x5B, 0x5D, 0x7B
READ_BYTES = 67  # from the first of 64 places on, to say whether an anchor begins there


@njit(cache=True, nogil=True, forceinline=True)
def anchors_at(at: Any) -> Any:
    """Return as bits where of the 64 bytes at `at` the rare bytes of a phrase begin; reads 67 bytes."""
    psu = letter_at(at, 0x70) & letter_at(at + 1, 0x73) & letter_at(at + 2, 0x75)
    jav = letter_at(at, 0x6A) & letter_at(at + 2, 0x76)
    f_u = letter_at(at, 0x66) & letter_at(at + 1, 0x20) & letter_at(at + 2, 0x75) & letter_at(at + 3, 0x73)
    vacy = letter_at(at, 0x76) & letter_at(at + 2, 0x63) & letter_at(at + 3, 0x79)
    kie = letter_at(at, 0x6B) & letter_at(at + 1, 0x69) & letter_at(at + 2, 0x65)
    return psu | jav | f_u | vacy | kie


@njit(cache=True, nogil=True, forceinline=True)
def letter_at(at: Any, letter: Any) -> Any:
    """Return as bits where of the 64 bytes at `at` a letter stands, in either case."""
    return range_mask_64(at, 0x20, letter, 1)


@njit(cache=True, nogil=True, forceinline=True)
def brackets_at(at: Any) -> Any:
    """Return as bits where of the 64 bytes at `at` a bracket stands that a marker may begin with; reads 65 bytes."""
    seconds = range_mask_64(at + 1, 0, 0x31, 9) | range_mask_64(at + 1, 0, EDIT_LETTER, 1)
    return range_mask_64(at, 0, LEFT_BRACKET, 1) & (seconds | range_mask_64(at + 1, 0, CITATION_LETTER, 1))


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
    """Return where the citation marker ends whose bracket is at `at`; `at` itself where it opens none.

    No citation is numbered from 0: `[0]` and `[007]` are code.
    """
    past = at + 1
    first = load_byte(past) if past < end else 0
    if not 0x31 <= first <= 0x39 and first != EDIT_LETTER and first != CITATION_LETTER:
        return at
    while past < end and past - at <= 3 and 0x30 <= load_byte(past) <= 0x39:
        past += 1
    if past > at + 1:
        return past + 1 if past < end and load_byte(past) == RIGHT_BRACKET else at
    if begins_with(at + 1, end, EDIT):
        return at + 1 + len(EDIT)
    return at + 1 + len(CITATION_NEEDED) if begins_with(at + 1, end, CITATION_NEEDED) else at


@njit(cache=True, nogil=True)
def find_signs(start: Any, end: Any, limit: Any, tail: Any) -> Any:
    """Return (which of PHRASES occur, as bits; how often `lorem ipsum` does; left braces; is there a marker).

    `tail` is uint8[128] to work in.
    """
    found = lorem = braces = 0
    marked = False
    at = start
    while at < end:
        block, within = readable(at, READ_BYTES, limit, tail), first_bits(end - at)
        braces += ones_in(range_mask_64(block, 0, LEFT_BRACE, 1) & within)
        anchors, brackets = anchors_at(block) & within, brackets_at(block) & within
        while anchors:
            anchor = at + zeros_below(anchors)
            anchors &= anchors - ONE_BIT
            for phrase in range(len(ANCHOR_OFFSETS)):
                first = anchor - ANCHOR_OFFSETS[phrase]
                if first >= start and is_phrase(first, end, phrase):
                    found |= 1 << phrase
                    lorem += phrase == LOREM_IPSUM
        while brackets and not marked:
            bracket = at + zeros_below(brackets)
            brackets &= brackets - ONE_BIT
            marked = marker_end(bracket, end) > bracket
        at += 64
    return found, lorem, braces, marked
