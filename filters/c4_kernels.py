"""Lines of a batch -> which of them C4's line rules drop, and the text that is left.

`judge_lines` decides line by line, `rewrite` copies what stays. Most documents hold no marker, brace or telling phrase
at all; one vector loop over the bytes finds that out before any line is searched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.core.characters import CLOSER, SPACE
from pipeline.core.segment import ENDS_SENTENCE, ENDS_TERMINAL, character_start, decode, scan_word

KEPT, LONG_WORD, NOT_ENDED, FEW_WORDS, JAVASCRIPT, POLICY = 0, 1, 2, 3, 4, 5
NUM_ACTIONS = 6
CITED = 8  # added to an action where the line holds a marker to remove
PHRASES = (
    b"lorem ipsum", b"javascript", b"terms of use", b"privacy policy", b"cookie policy", b"uses cookies",
    b"use of cookies", b"use cookies",
)  # fmt: skip
PHRASE_BYTES = np.frombuffer(b"".join(PHRASES), np.uint8)
PHRASE_STARTS = np.cumsum([0, *map(len, PHRASES)])
LOREM_IPSUM, FIRST_POLICY = 0, 2
EDIT = np.frombuffer(b"edit]", np.uint8)
CITATION_NEEDED = np.frombuffer(b"citation needed]", np.uint8)
LEFT_BRACKET, RIGHT_BRACKET, LEFT_BRACE, FULL_STOP = 0x5B, 0x5D, 0x7B, 0x2E


@njit(inline="always")
def anchor(a: Any, b: Any, c: Any, d: Any, text: Any) -> Any:
    """Say whether four lower-cased bytes are the four of `text`."""
    return (a == text[0]) & (b == text[1]) & (c == text[2]) & (d == text[3])


@njit(cache=True, nogil=True)
def has_phrase_anchor(text: Any) -> Any:
    """Say whether four letters occur without which none of PHRASES can."""
    found = 0
    for at in range(len(text) - 3):
        a, b, c, d = text[at] | 0x20, text[at + 1] | 0x20, text[at + 2] | 0x20, text[at + 3] | 0x20
        found |= (
            anchor(a, b, c, d, (0x69, 0x70, 0x73, 0x75))  # ipsu
            | anchor(a, b, c, d, (0x6A, 0x61, 0x76, 0x61))  # java
            | anchor(a, b, c, d, (0x65, 0x72, 0x6D, 0x73))  # erms
            | anchor(a, b, c, d, (0x6F, 0x6C, 0x69, 0x63))  # olic
            | anchor(a, b, c, d, (0x6F, 0x6F, 0x6B, 0x69))  # ooki
        )
    return found != 0


@njit(cache=True, nogil=True)
def count_byte(text: Any, wanted: Any) -> Any:
    """Return how often a byte occurs."""
    count = 0
    for byte in text:
        count += byte == wanted
    return count


@njit(cache=True, nogil=True)
def count_phrase(text: Any, phrase: Any) -> Any:
    """Return how often one of PHRASES occurs in bytes, in any ASCII case."""
    begin, size = PHRASE_STARTS[phrase], PHRASE_STARTS[phrase + 1] - PHRASE_STARTS[phrase]
    count = 0
    for at in range(len(text) - size + 1):
        matched = 0
        while matched < size:
            byte = text[at + matched]
            if (byte | 0x20 if 0x41 <= byte <= 0x5A else byte) != PHRASE_BYTES[begin + matched]:
                break
            matched += 1
        count += matched == size
    return count


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
def marker_end(data: Any, at: Any, end: Any) -> Any:
    """Return where the citation marker that opens at `at` ends; `at` itself where there is none."""
    if data[at] != LEFT_BRACKET:
        return at
    past = at + 1
    while past < end and past - at <= 3 and 0x30 <= data[past] <= 0x39:
        past += 1
    if past > at + 1:
        return past + 1 if past < end and data[past] == RIGHT_BRACKET else at
    if begins_with(data, at + 1, end, EDIT):
        return at + 1 + len(EDIT)
    return at + 1 + len(CITATION_NEEDED) if begins_with(data, at + 1, end, CITATION_NEEDED) else at


@njit(cache=True, nogil=True)
def has_marker(text: Any) -> Any:
    """Say whether a citation marker occurs; the count of brackets, a vector loop, settles most documents."""
    if count_byte(text, LEFT_BRACKET) == 0:
        return False
    at = 0
    while at < len(text) and (text[at] != LEFT_BRACKET or marker_end(text, at, len(text)) == at):
        at += 1
    return at < len(text)


@njit(cache=True, nogil=True)
def copy_uncited(data: Any, start: Any, end: Any, out: Any, cursor: Any) -> Any:
    """Copy data[start:end] without citation markers to `out` from `cursor` on; return (cursor, markers)."""
    markers = 0
    at = start
    while at < end:
        past = marker_end(data, at, end)
        if past > at:
            markers += 1
            at = past
        else:
            out[cursor] = data[at]
            cursor += 1
            at += 1
    return cursor, markers


@njit(cache=True, nogil=True)
def ends_well(data: Any, start: Any, end: Any, flags: Any, table: Any) -> Any:
    """Say whether data[start:end], a word, ends in terminal punctuation or a quotation mark, but not in `...`."""
    if flags & ENDS_SENTENCE:
        return True
    last, _ = decode(data, character_start(data, end, start))
    if last == 0x22 or last == 0x27 or last == 0x201D or last == 0x2019:
        return True
    if not flags & ENDS_TERMINAL:
        return False
    while end > start:  # a full stop behind closers: of an initial (well), of an ellipsis (not)
        begin = character_start(data, end, start)
        code, _ = decode(data, begin)
        if not table[code] & CLOSER:
            break
        end = begin
    return end - start < 3 or data[end - 2] != FULL_STOP or data[end - 3] != FULL_STOP


@njit(cache=True, nogil=True)
def read_line(text: Any, table: Any) -> Any:
    """Return (words, longest word, sentences, ends well) of one line read afresh."""
    words = longest = sentences = 0
    ended = False
    flags = 0
    at = 0
    while at < len(text):
        code, size = decode(text, at)
        if table[code] & SPACE:
            at += size
            continue
        past, characters, flags = scan_word(text, at, len(text), table)
        words += 1
        longest = max(longest, characters)
        sentences += (flags & ENDS_SENTENCE) != 0
        ended = ends_well(text, at, past, flags, table)
        at = past
    return words, longest, sentences + (words > 0 and not flags & ENDS_SENTENCE), ended


@njit(cache=True, nogil=True)
def phrase_action(text: Any, drop_javascript: Any, drop_policy: Any) -> Any:
    """Return JAVASCRIPT or POLICY for a line that says so, else KEPT."""
    if drop_javascript and count_phrase(text, 1):
        return JAVASCRIPT
    if drop_policy:
        for phrase in range(FIRST_POLICY, len(PHRASE_STARTS) - 1):
            if count_phrase(text, phrase):
                return POLICY
    return KEPT


@njit(cache=True, nogil=True)
def judge_lines(data: Any, offsets: Any, words: Any, lines: Any, limits: Any, table: Any) -> Any:
    """Return (action of each line, counts int64[10, num_docs]).

    Counts: lines by action (six rows), sentences kept, markers removed, `lorem ipsum`, left braces. Limits: longest
    word, terminal punctuation, fewest words, drop javascript, drop policy, remove citations.
    """
    starts, num_bytes, num_chars, flags = words
    doc_lines, line_starts, line_ends, word_offsets = lines
    longest_word, terminal, fewest_words, drop_javascript, drop_policy, uncite = limits
    num_docs = len(offsets) - 1
    actions = np.zeros(len(line_starts), np.uint8)
    counts = np.zeros((10, num_docs), np.int64)
    scratch = np.empty(256, np.uint8)
    for doc in range(num_docs):
        base = offsets[doc]
        text = data[base : offsets[doc + 1]]
        phrases = has_phrase_anchor(text)
        cited = uncite and has_marker(text)
        counts[8, doc] = count_phrase(text, LOREM_IPSUM) if phrases else 0
        counts[9, doc] = count_byte(text, LEFT_BRACE)
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            first, past = word_offsets[line], word_offsets[line + 1]
            if first == past:
                continue
            bare = text[line_starts[line] : line_ends[line]]
            markers = 0
            if cited and has_marker(bare):
                if len(scratch) < len(bare):
                    scratch = np.empty(2 * len(bare), np.uint8)
                length, markers = copy_uncited(bare, 0, len(bare), scratch, 0)
                bare = scratch[:length]
            if markers:
                size, longest, sentences, ended = read_line(bare, table)
            else:
                size = past - first
                longest = sentences = 0
                for word in range(first, past):
                    longest = max(longest, num_chars[word])
                    sentences += (flags[word] & ENDS_SENTENCE) // ENDS_SENTENCE
                last = past - 1
                sentences += (flags[last] & ENDS_SENTENCE) == 0
                ended = not terminal or ends_well(
                    text, starts[last], starts[last] + num_bytes[last], flags[last], table
                )
            action = KEPT
            if longest > longest_word:
                action = LONG_WORD
            elif terminal and not ended:
                action = NOT_ENDED
            elif size < fewest_words:
                action = FEW_WORDS
            elif phrases:
                action = phrase_action(bare, drop_javascript, drop_policy)
            counts[action, doc] += 1
            if action == KEPT:
                counts[6, doc] += sentences
                counts[7, doc] += markers
                actions[line] = CITED if markers else KEPT
            else:
                actions[line] = action
    return actions, counts


@njit(cache=True, nogil=True)
def copy_bytes(data: Any, start: Any, end: Any, out: Any, cursor: Any) -> Any:
    """Copy data[start:end] to `out` from `cursor` on; return the new cursor."""
    out[cursor : cursor + end - start] = data[start:end]
    return cursor + end - start


@njit(cache=True, nogil=True)
def rewrite(data: Any, offsets: Any, lines: Any, actions: Any, edited: Any) -> Any:
    """Return (bytes, offsets) of the edited documents, nothing for the others.

    Kept lines keep their indentation and line ends. Of the blank lines between two kept lines stay those right before
    the second; an edited document begins and ends with a kept line, without its line end.
    """
    doc_lines, line_starts, line_ends, word_offsets = lines
    num_docs = len(offsets) - 1
    size = 0
    for doc in range(num_docs):
        size += (offsets[doc + 1] - offsets[doc]) * edited[doc]
    out = np.empty(size, np.uint8)
    out_offsets = np.zeros(num_docs + 1, np.int64)
    cursor = 0
    for doc in range(num_docs):
        base, last = offsets[doc], doc_lines[doc + 1]
        begun = False
        gap_start = gap_end = base  # blank lines since the last line with words
        tail = cursor  # where the last kept line's content ends
        for line in range(doc_lines[doc], last if edited[doc] else doc_lines[doc]):
            start, end = base + line_starts[line], base + line_ends[line]
            next_start = base + line_starts[line + 1] if line + 1 < last else offsets[doc + 1]
            if word_offsets[line] == word_offsets[line + 1]:
                gap_start = start if gap_end != start else gap_start
                gap_end = next_start
                continue
            if actions[line] == KEPT or actions[line] == CITED:
                if begun and gap_end == start:
                    cursor = copy_bytes(data, gap_start, gap_end, out, cursor)
                if actions[line] == CITED:
                    cursor, _ = copy_uncited(data, start, end, out, cursor)
                else:
                    cursor = copy_bytes(data, start, end, out, cursor)
                tail = cursor
                cursor = copy_bytes(data, end, next_start, out, cursor)
                begun = True
        cursor = tail
        out_offsets[doc + 1] = cursor
    return out[:cursor], out_offsets
