"""Lines of a batch -> which of them C4's line rules drop, and which bytes are left.

`judge_lines` decides line by line, `kept_ranges` says which bytes stay. Most documents hold no marker or telling phrase
at all; `filters.c4_phrases` finds that out before any line is searched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from filters.c4_phrases import (
    FIRST_POLICY,
    JAVASCRIPT_PHRASE,
    LEFT_BRACKET,
    count_braces,
    find_phrases,
    has_marker,
    marker_end,
)
from pipeline.core.bits import address_of, copy_bytes, load_byte
from pipeline.core.characters import CLOSER, SPACE
from pipeline.core.segment import ENDS_SENTENCE, ENDS_TERMINAL, character_start, decode, scan_word

KEPT, LONG_WORD, NOT_ENDED, FEW_WORDS, JAVASCRIPT, POLICY = 0, 1, 2, 3, 4, 5
NUM_ACTIONS = 6
CITED = 8  # added to an action where the line holds a marker to remove
FULL_STOP = 0x2E


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
    base = address_of(text)
    limit = base + len(text)
    at = 0
    while at < len(text):
        code, size = decode(text, at)
        if table[code] & SPACE:
            at += size
            continue
        past, characters, flags = scan_word(base + at, limit, limit, address_of(table))
        past -= base
        words += 1
        longest = max(longest, characters)
        sentences += (flags & ENDS_SENTENCE) != 0
        ended = ends_well(text, at, past, flags, table)
        at = past
    return words, longest, sentences + (words > 0 and not flags & ENDS_SENTENCE), ended


@njit(cache=True, nogil=True)
def copy_uncited(start: Any, end: Any, out: Any) -> Any:
    """Copy bytes without citation markers to the address `out`; return (where they end there, markers)."""
    markers = 0
    at = kept = start
    while at < end:
        past = marker_end(at, end) if load_byte(at) == LEFT_BRACKET else at
        if past > at:
            copy_bytes(out, kept, at - kept)
            out += at - kept
            markers += 1
            at = kept = past
        else:
            at += 1
    copy_bytes(out, kept, end - kept)
    return out + end - kept, markers


@njit(cache=True, nogil=True)
def phrase_action(start: Any, end: Any, limit: Any, drop_javascript: Any, drop_policy: Any) -> Any:
    """Return JAVASCRIPT or POLICY for a line that says so, else KEPT."""
    found, _ = find_phrases(start, end, limit)
    if drop_javascript and (found >> JAVASCRIPT_PHRASE) & 1:
        return JAVASCRIPT
    return POLICY if drop_policy and found >> FIRST_POLICY else KEPT


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
    origin = address_of(data)
    limit = origin + len(data)
    for doc in range(num_docs):
        base, end = origin + offsets[doc], origin + offsets[doc + 1]
        phrases, counts[8, doc] = find_phrases(base, end, limit)
        cited = uncite and has_marker(base, end, limit)
        counts[9, doc] = count_braces(base, end, limit)
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            first, past = word_offsets[line], word_offsets[line + 1]
            if first == past:
                continue
            start, stop, stop_limit = base + line_starts[line], base + line_ends[line], limit
            markers = 0
            if cited and has_marker(start, stop, limit):
                if len(scratch) < stop - start:
                    scratch = np.empty(2 * (stop - start), np.uint8)
                bare_end, markers = copy_uncited(start, stop, address_of(scratch))
                start = address_of(scratch)
                stop, stop_limit = bare_end, start + len(scratch)
                size, longest, sentences, ended = read_line(scratch[: stop - start], table)
            else:
                size = past - first
                longest = sentences = 0
                for word in range(first, past):
                    longest = max(longest, num_chars[word])
                    sentences += (flags[word] & ENDS_SENTENCE) // ENDS_SENTENCE
                last = past - 1
                well = (flags[last] & ENDS_SENTENCE) != 0
                sentences += not well
                if terminal and not well:
                    at = offsets[doc] + starts[last]
                    well = ends_well(data, at, at + num_bytes[last], flags[last], table)
                ended = well
            action = KEPT
            if longest > longest_word:
                action = LONG_WORD
            elif terminal and not ended:
                action = NOT_ENDED
            elif size < fewest_words:
                action = FEW_WORDS
            elif phrases or markers:
                action = phrase_action(start, stop, stop_limit, drop_javascript, drop_policy)
            counts[action, doc] += 1
            if action == KEPT:
                counts[6, doc] += sentences
                counts[7, doc] += markers
                actions[line] = CITED if markers else KEPT
            else:
                actions[line] = action
    return actions, counts


@njit(cache=True, nogil=True)
def kept_runs(doc_lines: Any, word_offsets: Any, actions: Any, edited: Any) -> Any:
    """Return (doc_runs int64[num_docs + 1], firsts, pasts): runs of lines that stay, all lines where nothing is edited.

    Of the blank lines between two kept lines stay those right before the second.
    """
    num_docs = len(doc_lines) - 1
    doc_runs = np.zeros(num_docs + 1, np.int64)
    firsts, pasts = np.empty(len(actions), np.int64), np.empty(len(actions), np.int64)
    run = 0
    for doc in range(num_docs):
        begin, end = doc_lines[doc], doc_lines[doc + 1]
        if edited[doc]:
            gap = blank = -1  # the first of the blank lines that reach to `blank`
            begun = False
            for line in range(begin, end):
                if word_offsets[line] == word_offsets[line + 1]:
                    gap = gap if blank == line - 1 and blank >= begin else line
                    blank = line
                elif actions[line] == KEPT or actions[line] == CITED:
                    wanted = gap if begun and blank == line - 1 else line
                    if not begun or pasts[run - 1] != wanted:
                        firsts[run] = wanted
                        run += 1
                    pasts[run - 1] = line + 1
                    begun = True
        elif end > begin:
            firsts[run], pasts[run] = begin, end
            run += 1
        doc_runs[doc + 1] = run
    return doc_runs, firsts[:run], pasts[:run]


@njit(cache=True, nogil=True)
def kept_ranges(data: Any, offsets: Any, lines: Any, actions: Any, edited: Any, runs: Any, num_markers: Any) -> Any:
    """Return (int32[num_docs + 1] ends, int32[...] ranges): what stays of each edited document, as `core.cut` wants it.

    Kept lines keep their indentation and line ends; the last one loses its line end, and citation markers go.
    """
    line_starts, line_ends = lines
    doc_runs, firsts, pasts = runs
    num_docs = len(offsets) - 1
    ranges = np.empty(2 * (len(firsts) + num_markers) + num_docs, np.int32)
    ends = np.zeros(num_docs + 1, np.int32)
    origin = address_of(data)
    count = 0
    for doc in range(num_docs):
        base = origin + offsets[doc]
        if edited[doc]:
            ranges[count] = offsets[doc + 1] - offsets[doc]
            count += 1
        for run in range(doc_runs[doc], doc_runs[doc + 1] if edited[doc] else doc_runs[doc]):
            at, past = np.int64(line_starts[firsts[run]]), pasts[run]
            for line in range(firsts[run], past):
                here = np.int64(line_starts[line]) if actions[line] == CITED else np.int64(line_ends[line])
                while here < line_ends[line]:
                    marker = marker_end(base + here, base + line_ends[line]) - base
                    if load_byte(base + here) != LEFT_BRACKET or marker <= here:
                        here += 1
                        continue
                    if here > at:
                        ranges[count], ranges[count + 1] = at, here
                        count += 2
                    at = here = marker
            end = np.int64(line_starts[past] if run + 1 < doc_runs[doc + 1] else line_ends[past - 1])
            if end > at:
                ranges[count], ranges[count + 1] = at, end
                count += 2
        ends[doc + 1] = count
    return ends, ranges[:count]
