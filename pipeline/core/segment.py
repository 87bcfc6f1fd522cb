"""Words and lines that `pipeline.core.find` found -> their hashes, lengths and flags, once for all rules.

A word of up to 16 ASCII bytes, 97 in a hundred, is classified and hashed without a loop; words that hold other than
ASCII are read character by character. A word's hash is of its bytes; a line's hash is of the hashes of its words, so
lines that differ only in indentation or spacing, or in CRLF against LF, are the same line. Lengths are in Unicode
characters, CRLF counting as one. Finding and describing together: 450 MB/s of documentation text, one Zen 5 core.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.core.bits import (
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
    range_mask_16,
    zeros_above,
    zeros_below,
)
from pipeline.core.characters import ALNUM, CLOSER, LETTER, SPACE, TERMINAL

# Flags of a word. Bits 2 to 5 hold the number of the stop word that it is, 1 to 8, or 0.
HAS_LETTER = 1
HAS_ALNUM = 2
STOP_SHIFT = 2
STOP_MASK = 0x3C
ENDS_TERMINAL = 64  # last character, closing quotes, brackets and markup aside, ends a sentence in some script
ENDS_SENTENCE = 128  # the same, but not the full stop of an initial, an abbreviation like e.g. or an ellipsis
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher, appendix A.1.1

NO_BITS = np.uint64(0)
WORD_SEED = np.uint64(0x2545F4914F6CDD1D)
LINE_SEED = np.uint64(0x27D4EB2F165667C5)
TAB, LINE_FEED, RETURN, FILE_SEPARATOR, FULL_STOP = 0x09, 0x0A, 0x0D, 0x1C, 0x2E


def _stop_table() -> tuple[np.ndarray, np.ndarray]:
    cores, numbers = np.full(16, -1, np.int64), np.zeros(16, np.int64)
    for number, word in enumerate(STOP_WORDS, start=1):
        core = int.from_bytes(word.encode(), "little")
        slot = (core * STOP_FACTOR & 0xFFFFFFFF) >> 28
        cores[slot], numbers[slot] = core, number
    return cores, numbers


STOP_FACTOR = 0xA5D2F35  # found by trying: it gives each stop word a slot of its own
STOP_CORES, STOP_NUMBERS = _stop_table()


@njit(cache=True, nogil=True, forceinline=True)
def stop_number(core: Any) -> Any:
    """Return 1 to 8 for a stop word in lower case, its ASCII letters packed with the first lowest, else 0."""
    slot = (core * STOP_FACTOR & 0xFFFFFFFF) >> 28
    return (STOP_CORES[slot] == core) * STOP_NUMBERS[slot]


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


@njit(cache=True, nogil=True)
def ending_flags(data: Any, start: Any, end: Any, table: Any) -> Any:
    """Return ENDS_TERMINAL and ENDS_SENTENCE for the text data[start:end], which has no space at its end."""
    while end > start:
        begin = character_start(data, end, start)
        code, _ = decode(data, begin)
        bits = table[code]
        if bits & TERMINAL:
            if code != 0x2E or begin == start:
                return ENDS_TERMINAL | ENDS_SENTENCE
            before = data[begin - 1]
            if before == 0x2E:
                return ENDS_TERMINAL
            lone = begin - 2 < start or not (data[begin - 2] >= 0x80 or table[data[begin - 2]] & ALNUM)
            if lone and before < 0x80 and table[before] & ALNUM:
                return ENDS_TERMINAL
            return ENDS_TERMINAL | ENDS_SENTENCE
        if not bits & CLOSER:
            return 0
        end = begin
    return 0


@njit(cache=True, nogil=True)
def scan_word(data: Any, start: Any, end: Any, table: Any) -> Any:
    """Return (end, characters, flags) of the word that begins at `start`, character by character: the general way."""
    at = start
    characters = 0
    flags = 0
    first_alnum = -1
    past_alnum = -1
    while at < end:
        code, size = decode(data, at)
        bits = table[code]
        if bits & SPACE:
            break
        if bits & LETTER:
            flags |= HAS_LETTER
        if bits & ALNUM:
            flags |= HAS_ALNUM
            first_alnum = at if first_alnum < 0 else first_alnum
            past_alnum = at + size
        characters += 1
        at += size
    length = past_alnum - first_alnum
    if first_alnum >= 0 and length <= 4:
        core = 0
        for offset in range(length):
            core |= (int(data[first_alnum + offset]) | 0x20) << (8 * offset)
        flags |= stop_number(core) << STOP_SHIFT
    return at, characters, flags | ending_flags(data, start, at, table)


@njit(cache=True, nogil=True)
def ascii_ending(start: Any, end: Any, table_at: Any) -> Any:
    """Return `ending_flags` of an ASCII word, by addresses."""
    while end > start:
        last = load_byte(end - 1)
        bits = load_byte(table_at + last)
        if bits & TERMINAL:
            if last != FULL_STOP or end - 1 == start:
                return ENDS_TERMINAL | ENDS_SENTENCE
            before = load_byte(end - 2)
            lone = end - 2 == start or not load_byte(table_at + load_byte(end - 3)) & ALNUM
            if before == FULL_STOP or (lone and load_byte(table_at + before) & ALNUM):
                return ENDS_TERMINAL
            return ENDS_TERMINAL | ENDS_SENTENCE
        if not bits & CLOSER:
            return 0
        end -= 1
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


@njit(cache=True, nogil=True, forceinline=True)
def short_word(start: Any, size: Any, table_at: Any) -> Any:
    """Return (flags, hash) of a word of at most 16 bytes, flags -1 where it is not ASCII; reads 24 bytes."""
    keep = (1 << size) - 1
    letters = range_mask_16(start, 0x20, 0x61, 26) & keep
    alnum = letters | (range_mask_16(start, 0, 0x30, 10) & keep)
    if range_mask_16(start, 0, 0x80, 0x80) & keep:
        return -1, NO_BITS
    flags = (letters != 0) * HAS_LETTER + (alnum != 0) * HAS_ALNUM
    first = zeros_below(np.uint64(alnum)) & 15
    length = 64 - zeros_above(np.uint64(alnum)) - first
    ones = (1 << (8 * min(max(length, 0), 4))) - 1
    core = (load_half(start + first) | 0x20202020) & ones
    flags |= (length <= 4) * stop_number(core) << STOP_SHIFT
    last = load_byte(start + size - 1)
    bits = load_byte(table_at + last)
    before = load_byte(start + max(size - 2, 0))
    lone = (
        ((alnum << 2) >> size) & ~((alnum << 3) >> size) & 1
    )  # a letter or digit before the last byte, none before it
    weak = (last == FULL_STOP) & (size > 1) & ((before == FULL_STOP) | (lone != 0))
    flags |= ((bits & TERMINAL) != 0) * (ENDS_TERMINAL + (1 - weak) * ENDS_SENTENCE)
    if bits & CLOSER:
        flags |= ascii_ending(start, start + size, table_at)
    state = absorb(WORD_SEED, load_word(start) & (ALL_BITS >> np.uint64(64 - 8 * min(size, 8))))
    rest = absorb(state, load_word(start + 8) & (ALL_BITS >> np.uint64((128 - 8 * size) & 63)))
    return flags, finish(rest if size > 8 else state, size)


@njit(cache=True, nogil=True)
def long_word(start: Any, end: Any, limit: Any, table_at: Any) -> Any:
    """Return the flags of an ASCII word of any length, or -1 where only `scan_word` can tell."""
    letters = alnum = NO_BITS
    num_alnum = 0
    at = start
    while at < end:
        if range_mask(at, end, limit, 0, 0x80, 0x80):
            return -1
        found = range_mask(at, end, limit, 0x20, 0x61, 26)
        letters |= found
        alnum = found | range_mask(at, end, limit, 0, 0x30, 10)
        num_alnum += ones_in(alnum)
        at += 64
    if 0 < num_alnum <= 4:
        return -1  # mostly punctuation: a stop word may hide in it
    return (letters != NO_BITS) * HAS_LETTER + (num_alnum > 0) * HAS_ALNUM + ascii_ending(start, end, table_at)


@njit(cache=True, nogil=True)
def describe_words(
    data: Any, offsets: Any, table: Any, doc_words: Any, starts: Any, num_bytes: Any, num_chars: Any, described: Any
) -> None:
    """Fill characters, hashes and flags of all words."""
    hashes, flags = described
    origin, table_at = address_of(data), address_of(table)
    limit = origin + len(data)
    for doc in range(len(offsets) - 1):
        base = origin + offsets[doc]
        for index in range(doc_words[doc], doc_words[doc + 1]):
            word = np.uintp(index)  # unsigned: no index counts from the end
            start, size = base + starts[word], np.int64(num_bytes[word])
            characters = size
            flag = np.int64(-1)
            if size <= 16 and start + 24 <= limit:
                flag, word_hash = short_word(start, size, table_at)
            else:
                flag, word_hash = (
                    long_word(start, start + size, limit, table_at),
                    hash_bytes(start, start + size, limit),
                )
            if flag < 0:
                _, characters, flag = scan_word(data, start - origin, start - origin + size, table)
                word_hash = hash_bytes(start, start + size, limit)
            num_chars[word], hashes[word], flags[word] = characters, word_hash, flag


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
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            first, past = line_words[line], line_words[line + 1]
            state = LINE_SEED
            for word in range(first, past):
                state = absorb(state, hashes[np.uintp(word)])
            line_hashes[line] = state
            first_char = last_char = np.int64(0)
            if first < past:
                begin, stop = np.int64(starts[first]), np.int64(starts[past - 1]) + num_bytes[past - 1]
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
