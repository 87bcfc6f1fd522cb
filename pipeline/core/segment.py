"""Text bytes -> words and lines of every document, in one pass that eleven rules share.

A word is a maximal run of characters that are not `str.isspace`; a line ends where `str.splitlines` ends it. The pass
reads eight bytes at a time while the text is ASCII and one character at a time elsewhere. A word's hash is of its
bytes; a line's hash is of the hashes of its words, so lines that differ only in indentation or spacing, or in CRLF
against LF, are the same line. Lengths are in Unicode characters, CRLF counting as one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.core.bits import absorb, finish, load_eight, ones_in, zeros_above, zeros_below
from pipeline.core.characters import ALNUM, CLOSER, LETTER, LINE_END, SPACE, TERMINAL

# Flags of a word. Bits 2 to 5 hold the number of the stop word that it is, 1 to 8, or 0.
HAS_LETTER = 1
HAS_ALNUM = 2
STOP_SHIFT = 2
STOP_MASK = 0x3C
ENDS_TERMINAL = 64  # last character, closing quotes, brackets and markup aside, ends a sentence in some script
ENDS_SENTENCE = 128  # the same, but not the full stop of an initial, an abbreviation like e.g. or an ellipsis
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher, appendix A.1.1

ONES = np.uint64(0x0101010101010101)
HIGH = np.uint64(0x8080808080808080)
ABOVE_SPACE = ONES * np.uint64(0x21)
LOWER_BIT = ONES * np.uint64(0x20)
FROM_A, PAST_Z = ONES * np.uint64(0x80 - 0x61), ONES * np.uint64(0x80 - 0x7B)
FROM_0, PAST_9 = ONES * np.uint64(0x80 - 0x30), ONES * np.uint64(0x80 - 0x3A)
NO_BITS, ONE_BIT, ALL_BITS = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)
WORD_SEED = np.uint64(0x2545F4914F6CDD1D)
LINE_SEED = np.uint64(0x27D4EB2F165667C5)


@njit(cache=True, nogil=True)
def count_bounds(data: Any) -> Any:
    """Return (spaces, line_ends): upper bounds of how many of each the bytes can hold."""
    spaces = 0
    line_ends = 0
    for byte in data:
        odd = (byte == 0xC2) | (byte == 0xE1) | (byte == 0xE2) | (byte == 0xE3)
        spaces += (byte <= 0x20) | odd
        line_ends += ((byte >= 0x0A) & (byte <= 0x0D)) | ((byte >= 0x1C) & (byte <= 0x1E)) | odd
    return spaces, line_ends


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
def stop_number(core: Any, length: Any) -> Any:
    """Return 1 to 8 for a stop word in lower case, its ASCII letters packed with the first lowest, else 0."""
    if length == 2:
        return 2 * (core == 0x6562) + 3 * (core == 0x6F74) + 4 * (core == 0x666F)
    if length == 3:
        return 1 * (core == 0x656874) + 5 * (core == 0x646E61)
    if length == 4:
        return 6 * (core == 0x74616874) + 7 * (core == 0x65766168) + 8 * (core == 0x68746977)
    return 0


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
        flags |= stop_number(core, length) << STOP_SHIFT
    return at, characters, flags | ending_flags(data, start, at, table)


@njit(cache=True, nogil=True)
def hash_bytes(data: Any, start: Any, end: Any) -> Any:
    """Return the 64-bit hash of data[start:end]: eight bytes at a time, the last group filled with zeros."""
    state = WORD_SEED
    at = start
    while at < end:
        state = absorb(state, load_up_to_eight(data, at, end))
        at += 8
    return finish(state, end - start)


@njit(cache=True, nogil=True, forceinline=True)
def load_up_to_eight(data: Any, at: Any, end: Any) -> Any:
    """Return data[at:min(at + 8, end)] as a uint64, zeros above."""
    if at + 8 <= len(data):
        value = load_eight(data, at)
        return value if at + 8 <= end else value & ((ONE_BIT << np.uint64(8 * (end - at))) - ONE_BIT)
    value = NO_BITS
    for offset in range(min(8, end - at)):
        value |= np.uint64(data[at + offset]) << np.uint64(8 * offset)
    return value


@njit(inline="always")
def ascii_letters(group: Any) -> Any:
    """Return the high bit of each of eight ASCII bytes that is a letter."""
    lower = group | LOWER_BIT
    return (lower + FROM_A) & ~(lower + PAST_Z) & HIGH


@njit(inline="always")
def ascii_digits(group: Any) -> Any:
    """Return the high bit of each of eight ASCII bytes that is a digit."""
    return (group + FROM_0) & ~(group + PAST_9) & HIGH


@njit(cache=True, nogil=True, forceinline=True)
def fast_word(data: Any, start: Any, end: Any, table: Any) -> Any:
    """Return (end, flags, hash) of an ASCII word, or end -1 where the word needs `scan_word`."""
    at = start
    state = WORD_SEED
    any_letter = NO_BITS
    num_alnum = 0
    while True:
        group = load_up_to_eight(data, at, end)
        stops = (((group - ABOVE_SPACE) & ~group) | group) & HIGH  # bytes <= space or >= 0x80; the lowest is exact
        if stops == NO_BITS:
            letters = ascii_letters(group)
            alnum = letters | ascii_digits(group)
            any_letter |= letters
            num_alnum += ones_in(alnum)
            state = absorb(state, group)
            at += 8
            continue
        used = zeros_below(stops) >> 3
        past = at + used
        if past < end:
            stop = data[past]
            if stop >= 0x80 or not table[stop] & SPACE:
                return -1, 0, NO_BITS
        group &= (ONE_BIT << np.uint64(8 * used)) - ONE_BIT
        letters = ascii_letters(group)
        alnum = letters | ascii_digits(group)
        any_letter |= letters
        num_alnum += ones_in(alnum)
        if used > 0:
            state = absorb(state, group)
        flags = (any_letter != NO_BITS) * HAS_LETTER + (num_alnum > 0) * HAS_ALNUM
        if num_alnum <= 4 and past - start >= 8 and num_alnum > 0:
            return -1, 0, NO_BITS  # mostly punctuation: a stop word may hide in it
        if used == 0 or (zeros_above(alnum) >> 3) + used != 8:  # the last byte is, or may be, punctuation
            flags |= ending_flags(data, start, past, table)
        if letters != NO_BITS and past - start <= 8:
            first = zeros_below(alnum) >> 3
            length = 8 - (zeros_above(alnum) >> 3) - first
            if 2 <= length <= 4:
                core = (group >> np.uint64(8 * first)) & ((ONE_BIT << np.uint64(8 * length)) - ONE_BIT)
                lower = np.int64(core) | (0x20202020 & ((1 << (8 * length)) - 1))
                flags |= stop_number(lower, length) << STOP_SHIFT
        return past, flags, finish(state, past - start)


@njit(cache=True, nogil=True)
def segment(data: Any, offsets: Any, table: Any, words: Any, lines: Any, docs: Any) -> Any:
    """Fill the preallocated arrays (see pipeline.core.text) and return (number of words, number of lines)."""
    word_starts, word_bytes, word_chars, word_hashes, word_flags = words
    line_starts, line_ends, line_words, line_char_starts, line_chars, line_hashes = lines
    doc_words, doc_lines, doc_chars, doc_breaks = docs
    word = 0
    line = 0
    for doc in range(len(offsets) - 1):
        base, end = offsets[doc], offsets[doc + 1]
        at = base
        extra = 0  # bytes so far that are no characters of their own
        breaks = 0
        doc_words[doc] = word
        doc_lines[doc] = line
        while at < end:
            line_start = at
            line_end = end
            line_words[line] = word
            line_hash = LINE_SEED
            first_char = 0
            last_char = 0
            while at < end:
                byte = data[at]
                if byte == 0x20:
                    at += 1
                    continue
                if byte < 0x20 or byte >= 0x80:
                    code, size = decode(data, at)
                    bits = table[code]
                    if bits & LINE_END:
                        line_end = at
                        at += size
                        extra += size - 1
                        breaks += 1
                        if code == 0x0D and at < end and data[at] == 0x0A:
                            at += 1
                            extra += 1
                        break
                    if bits & SPACE:
                        at += size
                        extra += size - 1
                        continue
                past, flags, word_hash = fast_word(data, at, end, table)
                if past >= 0:
                    characters = past - at
                else:
                    past, characters, flags = scan_word(data, at, end, table)
                    word_hash = hash_bytes(data, at, past)
                if line_words[line] == word:
                    first_char = at - base - extra
                word_starts[word] = at - base
                word_bytes[word] = past - at
                word_chars[word] = characters
                word_hashes[word] = word_hash
                word_flags[word] = flags
                word += 1
                line_hash = absorb(line_hash, word_hash)
                extra += past - at - characters
                at = past
                last_char = at - base - extra
            line_starts[line] = line_start - base
            line_ends[line] = line_end - base
            line_char_starts[line] = first_char
            line_chars[line] = last_char - first_char
            line_hashes[line] = line_hash
            line += 1
        doc_chars[doc] = end - base - extra
        doc_breaks[doc] = breaks
    doc_words[len(offsets) - 1] = word
    doc_lines[len(offsets) - 1] = line
    line_words[line] = word
    return word, line
