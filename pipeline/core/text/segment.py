"""Single words and lines that `find_words.py` found -> their hashes, lengths and flags, character by character.

`describe_words.py` describes most words by the block and asks here about the others. A word's hash is of its bytes;
a line's hash is of the hashes of its words, so lines that differ only in indentation or spacing, or in CRLF against
LF, are the same line. Lengths are in Unicode characters, CRLF counting as one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import (
    ALL_BITS,
    ONE_BIT,
    absorb,
    address_of,
    finish,
    load_byte,
    load_half,
    load_word,
    ones_in,
    range_mask,
)
from pipeline.core.text.characters import ALNUM, CLOSER, LETTER, SPACE, TERMINAL

# Flags of a word. Bits 2 to 5 hold the number of the stop word that it is, 1 to 8, or 0.
HAS_LETTER = 1
HAS_ALNUM = 2
STOP_SHIFT = 2
STOP_MASK = 0x3C
ENDS_TERMINAL = 64  # last character, closing quotes, brackets and markup aside, ends a sentence in some script
ENDS_SENTENCE = 128  # the same, but not the full stop of an initial, an abbreviation like e.g. or an ellipsis
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher, appendix A.1.1
STOP_CODES = np.array([int.from_bytes(word.encode(), "little") for word in STOP_WORDS], np.int64)

NO_BITS = np.uint64(0)
WORD_SEED = np.uint64(0x2545F4914F6CDD1D)
LINE_SEED = np.uint64(0x27D4EB2F165667C5)
TAB, LINE_FEED, RETURN, FILE_SEPARATOR, FULL_STOP = 0x09, 0x0A, 0x0D, 0x1C, 0x2E


@njit(cache=True, nogil=True)
def decode(data: Any, at: Any) -> Any:
    """Return (code point, number of bytes) of the character that begins at `at`; the text is valid UTF-8."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
    second = np.int64(data[at + 1]) & 0x3F
    third = np.int64(data[at + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    return (first & 0x07) << 18 | second << 12 | third << 6 | (np.int64(data[at + 3]) & 0x3F), 4


@njit(cache=True, nogil=True)
def character_start(data: Any, at: Any, floor: Any) -> Any:
    """Return where the character begins that the byte before `at` belongs to."""
    at -= 1
    while at > floor and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@njit(cache=True, nogil=True, forceinline=True)
def decode_at(at: Any, limit: Any) -> Any:
    """Return `decode` of the character at an address, without a branch where four bytes can be read."""
    if at + 4 > limit:
        first, second = load_byte(at), load_byte(min(at + 1, limit - 1))
        third, fourth = load_byte(min(at + 2, limit - 1)), np.int64(0)
    else:
        group = load_half(at)
        first, second, third, fourth = group & 0xFF, group >> 8 & 0xFF, group >> 16 & 0xFF, group >> 24
    two = (first & 0x1F) << 6 | (second & 0x3F)
    three = (first & 0x0F) << 12 | (second & 0x3F) << 6 | (third & 0x3F)
    four = (three & 0x7FFF) << 6 | (fourth & 0x3F)
    code = first if first < 0x80 else two if first < 0xE0 else three if first < 0xF0 else four
    return code, 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)


@njit(cache=True, nogil=True, forceinline=True)
def full_stop_flags(start: Any, at: Any, table_at: Any) -> Any:
    """Return what the full stop at `at` says of the word from `start` on that ends with it."""
    if at == start:
        return ENDS_TERMINAL | ENDS_SENTENCE
    before = load_byte(at - 1)
    other = load_byte(max(at - 2, start))
    lone = at - 1 == start or (other < 0x80 and not load_byte(table_at + other) & ALNUM)
    if before == FULL_STOP or (lone and before < 0x80 and load_byte(table_at + before) & ALNUM):
        return ENDS_TERMINAL
    return ENDS_TERMINAL | ENDS_SENTENCE


@njit(cache=True, nogil=True)
def scan_word(start: Any, end: Any, limit: Any, table_at: Any) -> Any:
    """Return (end, characters, flags) of the word at the address `start`, character by character: the general way."""
    at = start
    characters = seen = ending = 0
    first_alnum, past_alnum = end, start
    while at < end:
        code, size = decode_at(at, limit)
        bits = load_byte(table_at + code)
        if bits & SPACE:
            break
        seen |= bits
        first_alnum = min(first_alnum, at) if bits & ALNUM else first_alnum
        past_alnum = at + size if bits & ALNUM else past_alnum
        if code == FULL_STOP:
            ending = full_stop_flags(start, at, table_at)
        else:
            ending = ENDS_TERMINAL | ENDS_SENTENCE if bits & TERMINAL else ending if bits & CLOSER else 0
        characters += 1
        at += size
    flags = ((seen & LETTER) != 0) * HAS_LETTER + ((seen & ALNUM) != 0) * HAS_ALNUM + ending
    if 0 < past_alnum - first_alnum <= 4:
        core = 0
        for offset in range(past_alnum - first_alnum):
            core |= (load_byte(first_alnum + offset) | 0x20) << (8 * offset)
        for number in range(len(STOP_CODES)):
            flags |= (core == STOP_CODES[number]) * (number + 1) << STOP_SHIFT
    return at, characters, flags


@njit(cache=True, nogil=True)
def ending_flags(start: Any, end: Any, limit: Any, table_at: Any) -> Any:
    """Return ENDS_TERMINAL and ENDS_SENTENCE of a word, by its addresses: of its last characters only."""
    while end > start:
        begin = end - 1
        code = load_byte(begin)
        if code == FULL_STOP:
            return full_stop_flags(start, begin, table_at)
        if code >= 0x80:
            while load_byte(begin) & 0xC0 == 0x80:
                begin -= 1
            code, _ = decode_at(begin, limit)
        bits = load_byte(table_at + code)
        if not bits & CLOSER:
            return (bits & TERMINAL != 0) * (ENDS_TERMINAL | ENDS_SENTENCE)
        end = begin
    return 0


@njit(cache=True, nogil=True)
def hash_bytes(start: Any, end: Any, limit: Any) -> Any:
    """Return the 64-bit hash of the bytes from `start` to `end`: eight at a time, the last group filled with zeros."""
    state = WORD_SEED
    at = start
    while at + 8 <= end:
        state = absorb(state, load_word(at))
        at += 8
    if at < end:
        group = NO_BITS
        if at + 8 <= limit:
            group = load_word(at) & (ALL_BITS >> np.uint64(64 - 8 * (end - at)))
        else:
            for offset in range(end - at):
                group |= np.uint64(load_byte(at + offset)) << np.uint64(8 * offset)
        state = absorb(state, group)
    return finish(state, end - start)


@njit(cache=True, nogil=True)
def silent_bytes(at: Any, end: Any, limit: Any) -> Any:
    """Return how many bytes from `at` to `end` are no characters of their own: continuations, line feeds of CRLF."""
    count = 0
    returned = NO_BITS
    while at < end:
        count += ones_in(range_mask(at, end, limit, 0, 0x80, 0x40))
        returns = range_mask(at, end, limit, 0, RETURN, 1)
        if returns | returned:
            count += ones_in(range_mask(at, end, limit, 0, LINE_FEED, 1) & (returns << ONE_BIT | returned))
            returned = returns >> np.uint64(63)
        at += 64
    return count


@njit(cache=True, nogil=True)
def describe_lines(
    data: Any, offsets: Any, doc_lines: Any, line_words: Any, words: Any, lines: Any, doc_chars: Any
) -> None:
    """Fill positions and lengths in characters and hashes of all lines, and the characters of each document."""
    starts, num_bytes, hashes = words
    char_starts, num_chars, line_hashes = lines
    origin = address_of(data)
    limit = origin + len(data)
    for doc in range(len(offsets) - 1):
        base, end = origin + offsets[doc], origin + offsets[doc + 1]
        all_silent = silent_bytes(base, end, limit)
        doc_chars[doc] = end - base - all_silent
        silent = 0  # up to `at`
        at = base
        for index in range(doc_lines[doc], doc_lines[doc + 1]):
            line = np.uintp(index)  # unsigned: no index counts from the end
            first, past = np.uintp(line_words[line]), np.uintp(line_words[np.uintp(index + 1)])
            state = LINE_SEED
            for word in range(first, past):
                state = absorb(state, hashes[word])
            line_hashes[line] = state
            first_char = last_char = np.int64(0)
            if first < past:
                last = past - np.uintp(1)
                begin, stop = np.int64(starts[first]), np.int64(starts[last]) + num_bytes[last]
                if all_silent:
                    silent += silent_bytes(at, base + begin, limit)
                    first_char = begin - silent
                    silent += silent_bytes(base + begin, base + stop, limit)
                    last_char = stop - silent
                    at = base + stop
                else:
                    first_char, last_char = begin, stop
            char_starts[line] = first_char
            num_chars[line] = last_char - first_char
