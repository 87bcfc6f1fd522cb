"""Lines of a batch -> which of them RefinedWeb's line rules remove, and why."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from filters.heuristics import definitions
from filters.words.byte_classes import CLASS, DIGIT, LOWER, UPPER, among, packed_letters
from pipeline.core.process.kernels import njit
from pipeline.core.text.characters import ALNUM, LETTER
from pipeline.core.text.segment import decode

KEPT, ONE_WORD, UPPERCASE, NUMERIC, COUNTER = range(5)
LAST_CASED = 0x20000  # above it no character has case up to Unicode 17, a few scripts out of use aside
COUNTED = packed_letters(definitions.COUNTED)  # the second word of a line such as `3 likes` or `1.2K views`
K, M, B = 0x4B, 0x4D, 0x42  # thousands, millions, billions behind a number, in either case


@cache
def uppercase_table() -> np.ndarray:
    """Return bool[LAST_CASED]: `str.isupper` of each character."""
    return np.fromiter((chr(code).isupper() for code in range(LAST_CASED)), np.bool_, LAST_CASED)


@njit(cache=True, nogil=True)
def count_cases(text: Any, start: Any, end: Any, table: Any, uppercase: Any) -> Any:
    """Return (letters, capitals, digits) of text[start:end]."""
    letters = capitals = digits = 0
    at = start
    while at < end:
        kind = CLASS[text[at]]
        if text[at] < 0x80:
            letters += kind & (UPPER | LOWER) != 0
            capitals += kind & UPPER != 0
            digits += kind & DIGIT != 0
            at += 1
            continue
        code, size = decode(text, at)
        letters += table[code] & LETTER != 0
        digits += table[code] & (LETTER | ALNUM) == ALNUM
        capitals += code < LAST_CASED and uppercase[code]
        at += size
    return letters, capitals, digits


@njit(cache=True, nogil=True)
def is_number(text: Any, start: Any, end: Any) -> Any:
    """Say whether a word is a number, signs around it aside: digits, points and commas, then perhaps K, M or B."""
    while start < end and not CLASS[text[start]] & DIGIT and text[start] < 0x80 and not CLASS[text[start]]:
        start += 1
    past = start
    while past < end and (CLASS[text[past]] & DIGIT or text[past] == 0x2E or text[past] == 0x2C):
        past += 1
    if past == start or not CLASS[text[start]] & DIGIT:
        return False
    if past < end and (text[past] & 0xDF) in (K, M, B):
        past += 1
    while past < end and text[past] < 0x80 and not CLASS[text[past]] & (UPPER | LOWER | DIGIT):
        past += 1
    return past == end


@njit(cache=True, nogil=True)
def is_counted(text: Any, start: Any, end: Any) -> Any:
    """Say whether a word is one of COUNTED, signs around it aside."""
    while start < end and not CLASS[text[start]] & (UPPER | LOWER):
        start += 1
    past = start
    value = np.uint64(0)
    while past < end and past - start <= 12 and CLASS[text[past]] & (UPPER | LOWER):
        value = value << np.uint64(5) | np.uint64(text[past] & 31)
        past += 1
    rest = past
    while rest < end and text[rest] < 0x80 and not CLASS[text[rest]] & DIGIT:
        rest += 1
    return past > start and past - start <= 12 and rest == end and among(value, COUNTED)


@njit(cache=True, nogil=True)
def judge_lines(data: Any, offsets: Any, words: Any, lines: Any, most_capitals: Any, table: Any, uppercase: Any) -> Any:
    """Return (action of each line, counts int64[5, num_docs] of lines by action)."""
    starts, num_bytes = words
    doc_lines, line_starts, line_ends, word_offsets = lines
    actions = np.zeros(len(line_starts), np.uint8)
    counts = np.zeros((5, len(offsets) - 1), np.int64)
    for doc in range(len(offsets) - 1):
        text = data[offsets[doc] : offsets[doc + 1]]
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            first, size = word_offsets[line], word_offsets[line + 1] - word_offsets[line]
            if size == 0:
                continue
            action = KEPT
            if size == 1:
                action = ONE_WORD
            else:
                letters, capitals, digits = count_cases(text, line_starts[line], line_ends[line], table, uppercase)
                if letters and capitals > most_capitals * letters:
                    action = UPPERCASE
                elif letters == 0 and digits > 0:
                    action = NUMERIC
                elif size == 2 and digits > 0:
                    number = is_number(text, starts[first], starts[first] + num_bytes[first])
                    unit = starts[first + 1]
                    if number and is_counted(text, unit, unit + num_bytes[first + 1]):
                        action = COUNTER
            actions[line] = action
            counts[action, doc] += 1
    return actions, counts
