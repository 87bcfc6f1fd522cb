"""Lines of a batch -> which of them C4's line rules drop, and which bytes are left.

`judge_lines` decides line by line, `kept_ranges` says which bytes stay. Most documents hold no marker or telling phrase
at all; `filters.heuristics.c4_phrases` finds that out before any line is searched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.heuristics.c4_phrases import (
    FIRST_POLICY,
    JAVASCRIPT_PHRASE,
    LEFT_BRACKET,
    find_signs,
    marker_end,
)
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import address_of, copy_bytes, load_byte, ones_in, range_mask
from pipeline.core.text.characters import CLOSER, SPACE
from pipeline.core.text.segment import ENDS_SENTENCE, ENDS_TERMINAL, character_start, decode, scan_word

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
def phrase_action(start: Any, end: Any, limit: Any, drop_javascript: Any, drop_policy: Any, tail: Any) -> Any:
    """Return JAVASCRIPT or POLICY for a line that says so, else KEPT."""
    found = find_signs(start, end, limit, tail)[0]
    if drop_javascript and (found >> JAVASCRIPT_PHRASE) & 1:
        return JAVASCRIPT
    return POLICY if drop_policy and found >> FIRST_POLICY else KEPT


@njit(cache=True, nogil=True)
def longest_of(num_chars: Any) -> Any:
    """Return the largest of these lengths, 0 for none."""
    longest = np.int32(0)
    for length in num_chars:
        longest = max(longest, length)
    return np.int64(longest)


@njit(cache=True, nogil=True, forceinline=True)
def ended_words(first: Any, past: Any, limit: Any) -> Any:
    """Return (how many of the words' flags, from address to address, say ENDS_SENTENCE; whether the last one does)."""
    bits = range_mask(first, past, limit, 0, ENDS_SENTENCE, 256 - ENDS_SENTENCE)
    count = ones_in(bits)
    at = first + 64
    while at < past:
        bits = range_mask(at, past, limit, 0, ENDS_SENTENCE, 256 - ENDS_SENTENCE)
        count += ones_in(bits)
        at += 64
    return count, np.int64(bits >> np.uint64((past - first - 1) & 63)) & 1


@njit(cache=True, nogil=True, forceinline=True)
def judge_by_words(span: Any, word_offsets: Any, flags: Any, fewest_words: Any, actions: Any, counts: Any) -> None:
    """Judge the lines of a document of which only the number of words is asked; nothing depends on a branch."""
    flags_at, flags_limit = flags
    kept = lines = sentences = np.int64(0)
    for index in range(span[0], span[1]):
        line = np.uintp(index)
        first, past = word_offsets[line], word_offsets[np.uintp(index + 1)]
        ends, ended = ended_words(flags_at + first, flags_at + past, flags_limit)
        full, long = np.int64(past > first), np.int64(past - first >= fewest_words)
        lines += full
        kept += full & long
        sentences += (ends + 1 - ended) * (full & long)
        actions[line] = FEW_WORDS * (full & ~long)
    counts[KEPT], counts[FEW_WORDS], counts[NUM_ACTIONS] = kept, lines - kept, sentences


@njit(cache=True, nogil=True)
def judge_by_all(
    text: Any, span: Any, words: Any, lines: Any, limits: Any, table: Any, actions: Any, counts: Any
) -> None:
    """Judge the lines of a document of which anything may be asked."""
    data, base, signs = text
    starts, num_bytes, num_chars, flags = words
    _, line_starts, line_ends, word_offsets = lines
    longest_word, terminal, fewest_words, drop_javascript, drop_policy, _ = limits
    phrases, cited = signs
    origin, flags_at = address_of(data), address_of(flags)
    limit, flags_limit = origin + len(data), flags_at + len(flags)
    scratch, tail = np.empty(256, np.uint8), np.empty(128, np.uint8)
    for line in range(span[0], span[1]):
        first, past = word_offsets[line], word_offsets[line + 1]
        if first == past:
            continue
        start, stop, stop_limit = origin + base + line_starts[line], origin + base + line_ends[line], limit
        markers = 0
        if cited and find_signs(start, stop, limit, tail)[3]:
            if len(scratch) < stop - start:
                scratch = np.empty(2 * (stop - start), np.uint8)
            bare_end, markers = copy_uncited(start, stop, address_of(scratch))
            start = address_of(scratch)
            stop, stop_limit = bare_end, start + len(scratch)
            size, longest, sentences, ended = read_line(scratch[: stop - start], table)
        else:
            size, longest, last = past - first, longest_of(num_chars[first:past]), past - 1
            sentences, well = ended_words(flags_at + first, flags_at + past, flags_limit)
            sentences += 1 - well
            ended = well != 0
            if terminal and not ended:
                at = base + starts[last]
                ended = ends_well(data, at, at + num_bytes[last], flags[last], table)
        action = KEPT
        if longest > longest_word:
            action = LONG_WORD
        elif terminal and not ended:
            action = NOT_ENDED
        elif size < fewest_words:
            action = FEW_WORDS
        elif phrases or markers:
            action = phrase_action(start, stop, stop_limit, drop_javascript, drop_policy, tail)
        counts[action] += 1
        if action == KEPT:
            counts[NUM_ACTIONS] += sentences
            counts[NUM_ACTIONS + 1] += markers
            action = CITED if markers else KEPT
        actions[line] = action


@njit(cache=True, nogil=True)
def judge_lines(data: Any, offsets: Any, words: Any, lines: Any, limits: Any, table: Any) -> Any:
    """Return (action of each line, counts int64[num_docs, 10]).

    Counts: lines by action (six columns), sentences kept, markers removed, `lorem ipsum`, left braces. Limits: longest
    word, terminal punctuation, fewest words, drop javascript, drop policy, remove citations.
    """
    _, _, num_chars, flags = words
    doc_lines, line_starts, _, word_offsets = lines
    longest_word, terminal, fewest_words, _, _, uncite = limits
    num_docs = len(offsets) - 1
    actions = np.zeros(len(line_starts), np.uint8)
    counts = np.zeros((num_docs, 10), np.int64)
    tail = np.empty(128, np.uint8)
    origin, flags_at = address_of(data), address_of(flags)
    limit, flags_limit = origin + len(data), flags_at + len(flags)
    some_long = longest_of(num_chars) > longest_word
    for doc in range(num_docs):
        phrases, lorem, braces, marked = find_signs(origin + offsets[doc], origin + offsets[doc + 1], limit, tail)
        counts[doc, 8], counts[doc, 9] = lorem, braces
        span = (doc_lines[doc], doc_lines[doc + 1])
        doc_chars = num_chars[word_offsets[span[0]] : word_offsets[span[1]]]
        all_short = not some_long or longest_of(doc_chars) <= longest_word
        if terminal or phrases or (uncite and marked) or not all_short:
            text = (data, offsets[doc], (phrases, uncite and marked))
            judge_by_all(text, span, words, lines, limits, table, actions, counts[doc])
        else:
            judge_by_words(span, word_offsets, (flags_at, flags_limit), fewest_words, actions, counts[doc])
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
