"""Text -> the lines that datatrove's C4QualityFilter keeps, written out, and why it drops the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.conformance.gopher_kernels import stripped
from filters.conformance.spacy.spacy_rules import DIGIT, SPACE
from filters.conformance.spacy.token_kernels import IS_PUNCT, IS_STOP
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import ONE_BIT, address_of, ones_in, range_mask, zeros_below
from pipeline.core.text.characters import LINE_END
from pipeline.core.text.segment import decode

KEPT, LONG_WORD, NOT_ENDED, FEW_WORDS, LOREM, JAVASCRIPT, CURLY, POLICY = range(8)
CITATIONS, FIRST_LOREM, FIRST_CURLY = 8, 9, 10  # rows behind the lines by action
NUM_COUNTS = 11
NEWLINE, DOT, LEFT_BRACKET, RIGHT_BRACKET, LEFT_BRACE = 0x0A, 0x2E, 0x5B, 0x5D, 0x7B
NO_PHRASE = np.uint8(0)
PHRASES = (
    (b"lorem ipsum", LOREM),
    (b"javascript", JAVASCRIPT),
    (b"terms of use", POLICY),
    (b"privacy policy", POLICY),
    (b"cookie policy", POLICY),
    (b"uses cookies", POLICY),
    (b"use of cookies", POLICY),
    (b"use cookies", POLICY),
)
PHRASE_BYTES = np.frombuffer(b"".join(phrase for phrase, _ in PHRASES), np.uint8)
PHRASE_STARTS = np.cumsum([0, *(len(phrase) for phrase, _ in PHRASES)])
PHRASE_KINDS = np.array([kind for _, kind in PHRASES])


def _bearers(place: int) -> np.ndarray:
    """Return the phrases, as bits, that may have each byte at this place, in either case."""
    table = np.zeros(256, np.uint8)
    for number, (phrase, _) in enumerate(PHRASES):
        table[[phrase[place], phrase[place] - 0x20]] |= 1 << number
    return table


FIRSTS, SECONDS = _bearers(0), _bearers(1)
EDIT = np.frombuffer(b"edit]", np.uint8)
CITATION_NEEDED = np.frombuffer(b"citation needed]", np.uint8)


@njit(cache=True, nogil=True)
def begins_with(data: Any, at: Any, end: Any, wanted: Any) -> Any:
    """Say whether data[at:end] begins with the wanted bytes."""
    if end - at < len(wanted):
        return False
    same = 0
    for offset in range(len(wanted)):
        same += data[at + offset] == wanted[offset]
    return same == len(wanted)


@njit(cache=True, nogil=True)
def marker_end(data: Any, at: Any, end: Any, bits: Any) -> Any:
    r"""Return where the `\[\d*]|\[edit]|\[citation needed]` that opens at `at` ends, or `at` itself."""
    past = at + 1
    while past < end:
        code, size = decode(data, past)
        if not bits[code] & DIGIT:
            break
        past += size
    if past < end and data[past] == RIGHT_BRACKET:
        return past + 1
    if begins_with(data, at + 1, end, EDIT):
        return at + 1 + len(EDIT)
    return at + 1 + len(CITATION_NEEDED) if begins_with(data, at + 1, end, CITATION_NEEDED) else at


@njit(cache=True, nogil=True)
def copy_line(data: Any, start: Any, end: Any, uncite: Any, bits: Any, out: Any, cursor: Any) -> Any:
    """Copy data[start:end] to `out`, without citation markers if so wanted; return (cursor, markers)."""
    markers = 0
    at = start
    while at < end:
        if uncite and data[at] == LEFT_BRACKET:
            past = marker_end(data, at, end, bits)
            if past > at:
                markers += 1
                at = past
                continue
        out[cursor] = data[at]
        cursor += 1
        at += 1
    return cursor, markers


@njit(cache=True, nogil=True)
def phrase_at(text: Any, at: Any, end: Any, phrase: Any) -> Any:
    """Say whether text[at:end].lower() begins with a phrase; the Kelvin sign's lower case is k."""
    for index in range(PHRASE_STARTS[phrase], PHRASE_STARTS[phrase + 1]):
        if at >= end:
            return False
        byte = text[at]
        wanted = PHRASE_BYTES[index]
        if byte == 0xE2 and wanted == 0x6B and at + 3 <= end and text[at + 1] == 0x84 and text[at + 2] == 0xAA:
            at += 3
            continue
        if 0x41 <= byte <= 0x5A:
            byte |= 0x20
        if byte != wanted:
            return False
        at += 1
    return True


@njit(cache=True, nogil=True)
def said(text: Any, start: Any, end: Any) -> Any:
    """Return bit mask of the kinds of phrases in text[start:end], and of a left brace."""
    kinds = 0
    likely = NO_PHRASE
    for at in range(start, end):
        byte = text[at]
        kinds |= (byte == LEFT_BRACE) << CURLY
        likely &= SECONDS[byte]
        if likely:
            for phrase in range(len(PHRASE_KINDS)):
                if likely >> phrase & 1 and phrase_at(text, at - 1, end, phrase):
                    kinds |= 1 << PHRASE_KINDS[phrase]
        likely = FIRSTS[byte]
    return kinds


@njit(cache=True, nogil=True)
def measure_words(data: Any, start: Any, end: Any, bits: Any) -> Any:
    """Return (words, longest word in characters) of data[start:end].split()."""
    words = longest = length = 0
    at = start
    while at < end:
        code = np.int64(data[at])
        size = 1
        if code >= 0x80:
            code, size = decode(data, at)
        if bits[code] & SPACE:
            length = 0
        else:
            words += length == 0
            length += 1
            longest = max(longest, length)
        at += size
    return words, longest


@njit(cache=True, nogil=True)
def ends_well(text: Any, start: Any, end: Any) -> Any:
    """Say whether text[start:end] ends in one of . ? ! " ' and not in `...`."""
    if end == start:
        return False
    last = text[end - 1]
    if last == DOT:
        return not (end - start >= 3 and text[end - 2] == DOT and text[end - 3] == DOT)
    return last == 0x3F or last == 0x21 or last == 0x22 or last == 0x27


@njit(cache=True, nogil=True)
def line_action(text: Any, start: Any, end: Any, words: Any, limits: Any) -> Any:
    """Return what becomes of a line whose words are not too long: the first rule of datatrove's that it meets."""
    _, terminal, fewest, lorem, javascript, curly, policy, _ = limits
    if terminal and not ends_well(text, start, end):
        return NOT_ENDED
    if words < fewest:
        return FEW_WORDS
    kinds = said(text, start, end)
    if lorem and kinds >> LOREM & 1:
        return LOREM
    if javascript and kinds >> JAVASCRIPT & 1:
        return JAVASCRIPT
    if curly and kinds >> CURLY & 1:
        return CURLY
    return POLICY if policy and kinds >> POLICY & 1 else KEPT


@njit(cache=True, nogil=True)
def keep_lines(data: Any, offsets: Any, limits: Any, tables: Any, out: Any, lines: Any) -> Any:
    """Write the kept lines of every document to `out`, joined by line feeds.

    `limits` = (longest word or -1, terminal punctuation, fewest words, and as 0 or 1: lorem ipsum, javascript, curly,
    policy, remove citations); `tables` = (line ends, characters). Fills `lines` = (starts, ends) of the kept lines in
    `out`; returns (out offsets, lines of each document, counts int64[NUM_COUNTS, num_docs]).
    """
    line_ends, bits = tables
    starts, ends = lines
    num_docs = len(offsets) - 1
    out_offsets, doc_lines = np.zeros(num_docs + 1, np.int64), np.zeros(num_docs + 1, np.int64)
    counts = np.zeros((NUM_COUNTS, num_docs), np.int64)
    cursor = line = 0
    for doc in range(num_docs):
        at, end = offsets[doc], offsets[doc + 1]
        first = True
        while at < end:
            line_start = at
            line_end = end
            while at < end:
                code = np.int64(data[at])
                size = 1
                if code >= 0x80:
                    code, size = decode(data, at)
                at += size
                if line_ends[code] & LINE_END:
                    line_end = at - size
                    if code == 0x0D and at < end and data[at] == NEWLINE:
                        at += 1
                    break
            line_start, line_end = stripped(data, line_start, line_end, bits)
            words, longest = measure_words(data, line_start, line_end, bits)
            action = LONG_WORD
            if limits[0] < 0 or longest <= limits[0]:
                begin = cursor if first else cursor + 1
                past, markers = copy_line(data, line_start, line_end, limits[7], bits, out, begin)
                action = line_action(out, begin, past, words, limits)
            counts[action, doc] += 1
            if action == KEPT:
                if not first:
                    out[cursor] = NEWLINE
                first = False
                starts[line], ends[line] = begin, past
                line += 1
                cursor = past
                counts[CITATIONS, doc] += markers
            elif (action in (LOREM, CURLY)) and not counts[FIRST_LOREM, doc] | counts[FIRST_CURLY, doc]:
                counts[FIRST_LOREM if action == LOREM else FIRST_CURLY, doc] = 1
        out_offsets[doc + 1] = cursor
        doc_lines[doc + 1] = line
    return out_offsets, doc_lines, counts


@njit(cache=True, nogil=True)
def count_sentences(text: Any, doc_lines: Any, lines: Any, words: Any) -> Any:
    """Return int64[num_docs]: sentences as spaCy's sentencizer starts them in each line, at least one a line.

    Behind an end of sentence, the next token that is no punctuation begins one; white space is a token, but for a
    single space between two others.
    """
    starts, ends, flags, doc_words = words
    line_starts, line_ends = lines
    counts = np.zeros(len(doc_lines) - 1, np.int64)
    for doc in range(len(doc_lines) - 1):
        word = doc_words[doc]
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            counts[doc] += 1
            seen = False
            cursor = line_starts[line]
            while word < doc_words[doc + 1] and starts[word] < line_ends[line]:
                if seen and has_space_token(text, cursor, starts[word]):
                    counts[doc] += 1
                    seen = False
                if seen and not flags[word] & (IS_PUNCT | IS_STOP):
                    counts[doc] += 1
                    seen = False
                elif flags[word] & IS_STOP:
                    seen = True
                cursor = ends[word]
                word += 1
            counts[doc] += seen and has_space_token(text, cursor, line_ends[line])
    return counts


@njit(cache=True, nogil=True)
def has_space_token(text: Any, start: Any, end: Any) -> Any:
    """Say whether white space behind a token makes a token of its own."""
    return end > start + 1 or (end == start + 1 and text[start] != 0x20)


@njit(cache=True, nogil=True)
def strip_documents(data: Any, offsets: Any, bits: Any) -> Any:
    """Return (bytes, offsets) of the documents without white space at both ends."""
    out = np.empty(len(data), np.uint8)
    out_offsets = np.zeros(len(offsets), np.int64)
    cursor = 0
    for doc in range(len(offsets) - 1):
        start, end = stripped(data, offsets[doc], offsets[doc + 1], bits)
        out[cursor : cursor + end - start] = data[start:end]
        cursor += end - start
        out_offsets[doc + 1] = cursor
    return out[:cursor], out_offsets


@njit(cache=True, nogil=True, forceinline=True)
def among_longest(start: Any, stop: Any, limit: Any, longest: Any) -> Any:
    """Return the three greatest of `longest` and the characters between two addresses, counted only if they matter."""
    first, second, third = longest
    length = stop - start
    if length > third:
        for at in range(start, stop, 64):
            length -= ones_in(range_mask(at, stop, limit, 0, 0x80, 0x40))
        third = max(third, min(second, length))
        second = max(second, min(first, length))
        first = max(first, length)
    return first, second, third


@njit(cache=True, nogil=True)
def third_longest(data: Any, offsets: Any) -> Any:
    """Return int64[num_docs]: characters of the third-longest stretch between line feeds, -1 with fewer than three."""
    lengths = np.empty(len(offsets) - 1, np.int64)
    base = address_of(data)
    limit = base + len(data)
    for doc in range(len(offsets) - 1):
        longest = -1, -1, -1
        start, end = base + offsets[doc], base + offsets[doc + 1]
        for at in range(start, end, 64):
            feeds = range_mask(at, end, limit, 0, NEWLINE, 1)
            while feeds:
                stop = at + zeros_below(feeds)
                longest = among_longest(start, stop, limit, longest)
                start = stop + 1
                feeds &= feeds - ONE_BIT
        lengths[doc] = among_longest(start, end, limit, longest)[2]
    return lengths
