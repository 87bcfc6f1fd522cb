"""Text and tokens -> the counts behind datatrove's two Gopher filters, character for character as it counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.conformance.spacy.spacy_rules import SPACE
from filters.conformance.spacy.token_kernels import HAS_LETTER, HAS_WORD, STOP_SHIFT, glue
from filters.heuristics.repetition import find_slot, most_elements, new_tables, repeated_elements, table_bits
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import absorb, address_of, ones_in, range_mask
from pipeline.core.text.characters import LINE_END
from pipeline.core.text.segment import character_start, decode, hash_bytes

NEWLINE, DOT, HYPHEN = 0x0A, 0x2E, 0x2D
BULLET, ELLIPSIS = 0x2022, 0x2026
SEED = np.uint64(0x165667B19E3779F9)


@njit(cache=True, nogil=True)
def count_words(doc_words: Any, num_chars: Any, flags: Any) -> Any:
    """Return int64[4, num_docs]: words with more than marks, their characters, words with a letter, stop words."""
    counts = np.zeros((4, len(doc_words) - 1), np.int64)
    for doc in range(len(doc_words) - 1):
        stops: Any = 0
        for word in range(doc_words[doc], doc_words[doc + 1]):
            flag = np.int64(flags[word])
            if flag & HAS_WORD:
                counts[0, doc] += 1
                counts[1, doc] += num_chars[word]
            counts[2, doc] += flag & HAS_LETTER
            stops |= 1 << (flag >> STOP_SHIFT)
        for number in range(1, 9):
            counts[3, doc] += (stops >> number) & 1
    return counts


@njit(cache=True, nogil=True)
def count_lines(data: Any, offsets: Any, lines: Any, bits: Any) -> Any:
    """Return int64[3, num_docs]: lines as str.splitlines makes them, those that begin with a bullet or `-` after white
    space, those that end with an ellipsis before white space. `lines` tells where lines end, `bits` what is space."""
    counts = np.zeros((3, len(offsets) - 1), np.int64)
    for doc in range(len(offsets) - 1):
        at, end = offsets[doc], offsets[doc + 1]
        while at < end:
            first: Any = -1  # first character that is not white space
            last_end = at  # behind the last one
            while at < end:
                code = np.int64(data[at])
                size = 1
                if code >= 0x80:
                    code, size = decode(data, at)
                if lines[code] & LINE_END:
                    at += size
                    if code == 0x0D and at < end and data[at] == NEWLINE:
                        at += 1
                    break
                if not bits[code] & SPACE:
                    first = code if first < 0 else first
                    last_end = at + size
                at += size
            counts[0, doc] += 1
            counts[1, doc] += first in (BULLET, HYPHEN)
            if first >= 0:
                counts[2, doc] += ends_in_ellipsis(data, offsets[doc], last_end)
    return counts


@njit(cache=True, nogil=True)
def ends_in_ellipsis(data: Any, start: Any, end: Any) -> Any:
    """Say whether data[start:end] ends in `...` or U+2026."""
    if end - start < 3:
        return False
    if data[end - 1] == DOT:
        return data[end - 2] == DOT and data[end - 3] == DOT
    return data[end - 1] == 0xA6 and data[end - 2] == 0x80 and data[end - 3] == 0xE2


@njit(cache=True, nogil=True)
def stripped(data: Any, start: Any, end: Any, bits: Any) -> Any:
    """Return (start, end) of data[start:end] without white space at both ends."""
    while start < end:
        code, size = decode(data, start)
        if not bits[code] & SPACE:
            break
        start += size
    while end > start:
        before = character_start(data, end, start)
        code, _ = decode(data, before)
        if not bits[code] & SPACE:
            break
        end = before
    return start, end


@njit(cache=True, nogil=True)
def hash_text(data: Any, start: Any, end: Any) -> Any:
    """Return (hash of the bytes, number of characters) of data[start:end]."""
    base = address_of(data)
    limit = base + len(data)
    return hash_bytes(base + start, base + end, limit), count_characters(base + start, base + end, limit)


@njit(cache=True, nogil=True)
def count_characters(at: Any, end: Any, limit: Any) -> Any:
    """Return the characters between two addresses; reads nothing at or beyond `limit`."""
    characters = end - at
    while at < end:
        characters -= ones_in(range_mask(at, end, limit, 0, 0x80, 0x40))
        at += 64
    return characters


@njit(cache=True, nogil=True)
def count_feeds(at: Any, end: Any, limit: Any) -> Any:
    """Return the line feeds between two addresses."""
    feeds = 0
    while at < end:
        feeds += ones_in(range_mask(at, end, limit, 0, NEWLINE, 1))
        at += 64
    return feeds


@njit(cache=True, nogil=True)
def split_elements(data: Any, start: Any, end: Any, fewest: Any, keys: Any, lengths: Any) -> Any:
    """Store hash and characters of each piece of data[start:end] between runs of at least `fewest` line feeds."""
    count = 0
    begin = at = start
    while at < end:
        if data[at] != NEWLINE:
            at += 1
            continue
        run = at
        while run < end and data[run] == NEWLINE:
            run += 1
        if run - at >= fewest:
            keys[count], lengths[count] = hash_text(data, begin, at)
            count += 1
            begin = run
        at = run
    keys[count], lengths[count] = hash_text(data, begin, end)
    return count + 1


@njit(cache=True, nogil=True)
def repeated_pieces(data: Any, offsets: Any, bits: Any) -> Any:
    """Return int64[7, num_docs]: characters; paragraphs, repeated ones, their characters; the same of lines."""
    counts = np.zeros((7, len(offsets) - 1), np.int64)
    base = address_of(data)
    limit = base + len(data)
    most = 0
    for doc in range(len(offsets) - 1):
        most = max(most, count_feeds(base + offsets[doc], base + offsets[doc + 1], limit) + 1)
    tables = new_tables(most)
    keys, lengths = np.empty(most, np.uint64), np.empty(most, np.int64)
    for doc in range(len(offsets) - 1):
        start, end = offsets[doc], offsets[doc + 1]
        counts[0, doc] = count_characters(base + start, base + end, limit)
        begin, past = stripped(data, start, end, bits)
        counts[1, doc] = split_elements(data, begin, past, 2, keys, lengths)
        counts[2, doc], counts[3, doc] = repeated_elements(keys[: counts[1, doc]], lengths, tables, 2 * doc + 1)
        counts[4, doc] = split_elements(data, start, end, 1, keys, lengths)
        counts[5, doc], counts[6, doc] = repeated_elements(keys[: counts[4, doc]], lengths, tables, 2 * doc + 2)
    return counts


@njit(cache=True, nogil=True)
def top_gram(grams: Any, chars: Any, size: Any, tables: Any, stamp: Any) -> Any:
    """Return characters and spaces, times count, of the most frequent n-gram, the first to appear on a tie."""
    keys, stamps, counts = tables
    bits = table_bits(len(grams))
    most = 0
    for index in range(len(grams)):
        slot = find_slot(keys, stamps, stamp, bits, grams[index])
        if stamps[slot] != stamp:
            stamps[slot] = stamp
            keys[slot] = grams[index]
            counts[slot] = 0
        counts[slot] += 1
        most = max(most, counts[slot])
    for index in range(len(grams)):
        if most == 1 or counts[find_slot(keys, stamps, stamp, bits, grams[index])] == most:
            return (chars[index] + size - 1) * most
    return 0


@njit(cache=True, nogil=True)
def again_chars(grams: Any, chars: Any, size: Any, tables: Any, stamp: Any) -> Any:
    """Return the characters of keys met before, walking left to right and jumping over each that counts."""
    keys, stamps, _ = tables
    bits = table_bits(len(grams))
    total = 0
    index = 0
    while index < len(grams):
        slot = find_slot(keys, stamps, stamp, bits, grams[index])
        if stamps[slot] == stamp:
            total += chars[index]
            index += size
        else:
            stamps[slot] = stamp
            keys[slot] = grams[index]
            index += 1
    return total


@njit(cache=True, nogil=True)
def repeated_grams(doc_words: Any, hashes: Any, powers: Any, num_chars: Any) -> Any:
    """Return int64[9, num_docs]: characters of the top 2-, 3-, 4-gram times its count, of repeated 5- to 10-grams.

    Top n-grams are told apart by their words and joined by spaces; repeated ones by their glued letters.
    """
    most = most_elements(doc_words)
    tables = new_tables(most)
    glued, ordered, chars = np.empty(most, np.uint64), np.empty(most, np.uint64), np.empty(most, np.int64)
    counts = np.zeros((9, len(doc_words) - 1), np.int64)
    stamp = 0
    for doc in range(len(doc_words) - 1):
        first, words = doc_words[doc], doc_words[doc + 1] - doc_words[doc]
        for index in range(words):
            glued[index] = hashes[first + index]
            ordered[index] = absorb(SEED, hashes[first + index])
            chars[index] = num_chars[first + index]
        for size in range(2, 11):
            grams = words - size + 1
            if grams < 1:
                break
            for index in range(grams):
                last = first + index + size - 1
                glued[index] = glue(glued[index], hashes[last], powers[last])
                if size <= 4:
                    ordered[index] = absorb(ordered[index], hashes[last])
                chars[index] += num_chars[last]
            stamp += 1
            if size <= 4:
                counts[size - 2, doc] = top_gram(ordered[:grams], chars, size, tables, stamp)
            else:
                counts[size - 2, doc] = again_chars(glued[:grams], chars, size, tables, stamp)
    return counts
