"""Words and lines of a batch, and which lines stay -> words and lines of the text that is left, without reading it.

A line that stays keeps its words, hashes and lengths; only its place moves. So the rules after C4's pay for copying a
line and a byte per word instead of finding and hashing it all again, a twentieth of the time; the other 20 bytes of a
word follow if a rule asks for them. Documents that lost a citation marker,
or hold a carriage return that a line feed may come to follow, are read afresh.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from pipeline.core.text.batch import Batch, Lines, Segmentation, WordPlaces, Words
from pipeline.core.text.bits import address_of, load_byte, range_mask, zeros_below
from pipeline.core.text.segment import LINE_FEED, RETURN, silent_bytes


def words_left(batch: Batch, text: pa.Array, runs: Any, cited: np.ndarray) -> Segmentation:
    """Return the segmentation of `batch` after its edit; `text` is null where a document stays as it is."""
    old = batch.segmentation
    hard = np.asarray(text.is_valid()) & (cited | lone_returns(batch.data, batch.offsets))
    fresh = Batch(ids=batch.ids.filter(hard), text=text.filter(hard)).segmentation
    num_docs = len(batch)
    num_words = len(old.words.flags) + len(fresh.words.flags)
    num_lines = len(old.lines.starts) + len(fresh.lines.starts)
    flags = np.empty(num_words, np.uint8)
    kinds = (np.int32, np.int32, np.int64, np.int32, np.int32, np.uint64)
    lines = tuple(np.empty(num_lines + 1, kind) for kind in kinds)
    docs = tuple(np.empty(num_docs + more, np.int64) for more in (1, 1, 0, 0))
    num_words, num_lines = carry_over(
        batch.data, batch.offsets, runs, np.asarray(text.is_valid()), hard, _arrays(old), _arrays(fresh),
        (flags, lines, docs),
    )  # fmt: skip
    line_starts, ends, _, char_starts, line_chars, line_hashes = (array[:num_lines] for array in lines)

    def places() -> WordPlaces:
        found = tuple(np.empty(num_words, kind) for kind in (np.int32, np.int32, np.int32, np.uint64))
        shape = (old.lines.starts, old.lines.word_offsets), (fresh.lines.doc_offsets, fresh.lines.word_offsets)
        carry_words(runs, hard, (docs[1], line_starts), shape, _places(old), _places(fresh), found)
        return WordPlaces(*found)

    return Segmentation(
        words=Words(docs[0], flags[:num_words], places),
        lines=Lines(docs[1], line_starts, ends, lines[2][: num_lines + 1], char_starts, line_chars, line_hashes),
        num_chars=docs[2],
        num_line_ends=docs[3],
    )


def _places(found: Segmentation) -> Any:
    places = found.words.places
    return places.starts, places.num_bytes, places.num_chars, places.hashes


def _arrays(found: Segmentation) -> Any:
    w, n = found.words, found.lines
    return (
        w.flags,
        (n.starts, n.ends, n.word_offsets, n.char_starts, n.num_chars, n.hashes),
        (w.doc_offsets, n.doc_offsets, found.num_chars, found.num_line_ends),
    )


@njit(cache=True, nogil=True)
def lone_returns(data: Any, offsets: Any) -> Any:
    """Say of each document whether it holds a carriage return that no line feed follows."""
    found = np.zeros(len(offsets) - 1, np.bool_)
    origin = address_of(data)
    limit = origin + len(data)
    for doc in range(len(found)):
        at, end = origin + offsets[doc], origin + offsets[doc + 1]
        while at < end:
            returns = range_mask(at, end, limit, 0, RETURN, 1)
            while returns:
                past = at + zeros_below(returns) + 1
                returns &= returns - np.uint64(1)
                found[doc] |= past >= end or load_byte(past) != LINE_FEED
            at += 64
    return found


@njit(cache=True, nogil=True, forceinline=True)
def copy_lines(source: Any, target: Any, span: Any, at: Any, shift: Any, char_shift: Any) -> Any:
    """Copy lines span[0] to span[1] to (word, line) on, moved, with their words' flags; return (word, line) behind."""
    from_flags, from_lines, _ = source
    to_flags, to_lines, _ = target
    from_line_starts, from_ends, from_words, from_first, from_line_chars, from_line_hashes = from_lines
    to_line_starts, to_ends, to_words, to_first, to_line_chars, to_line_hashes = to_lines
    word, line = at
    first, past = from_words[span[0]], from_words[span[1]]
    word_shift, line_shift = word - first, line - span[0]
    for index in range(first, past):
        to_flags[np.uintp(index + word_shift)] = from_flags[np.uintp(index)]  # unsigned: none counts from the end
    for index in range(span[0], span[1]):
        here, there = np.uintp(index), np.uintp(index + line_shift)
        to_line_starts[there] = from_line_starts[here] + shift
        to_ends[there] = from_ends[here] + shift
        to_words[there] = from_words[here] + word_shift
        blank = from_words[here] == from_words[np.uintp(index + 1)]
        to_first[there] = from_first[here] + (0 if blank else char_shift)
        to_line_chars[there] = from_line_chars[here]
        to_line_hashes[there] = from_line_hashes[here]
    return past + word_shift, span[1] + line_shift


@njit(cache=True, nogil=True, forceinline=True)
def copy_places(source: Any, target: Any, first: Any, past: Any, word: Any, shift: Any) -> Any:
    """Copy words `first` to `past` to `word` on, moved by bytes; return the word behind them."""
    from_starts, from_bytes, from_chars, from_hashes = source
    to_starts, to_bytes, to_chars, to_hashes = target
    word_shift = word - first
    for index in range(first, past):
        here, there = np.uintp(index), np.uintp(index + word_shift)
        to_starts[there] = from_starts[here] + shift
        to_bytes[there] = from_bytes[here]
        to_chars[there] = from_chars[here]
        to_hashes[there] = from_hashes[here]
    return past + word_shift


@njit(cache=True, nogil=True)
def carry_words(runs: Any, hard: Any, new: Any, shape: Any, old: Any, fresh: Any, target: Any) -> None:
    """Fill the places of all words, in the order in which `carry_over` filled the lines that they stand in."""
    doc_runs, firsts, pasts = runs
    doc_lines, new_starts = new
    (old_starts, old_words), (fresh_lines, fresh_words) = shape
    word = np.int64(0)
    afresh = 0
    for doc in range(len(hard)):
        if hard[doc]:
            first, past = fresh_words[fresh_lines[afresh]], fresh_words[fresh_lines[afresh + 1]]
            word = copy_places(fresh, target, first, past, word, 0)
            afresh += 1
            continue
        line = doc_lines[doc]
        for run in range(doc_runs[doc], doc_runs[doc + 1]):
            shift = new_starts[line] - old_starts[firsts[run]]
            word = copy_places(old, target, old_words[firsts[run]], old_words[pasts[run]], word, shift)
            line += pasts[run] - firsts[run]


@njit(cache=True, nogil=True)
def carry_over(data: Any, offsets: Any, runs: Any, edited: Any, hard: Any, old: Any, fresh: Any, target: Any) -> Any:
    """Fill the target's arrays; return (number of words, number of lines)."""
    doc_runs, firsts, pasts = runs
    doc_words, doc_lines, doc_chars, doc_breaks = target[2]
    _, (line_starts, line_ends, _, _, _, _), (_, _, old_chars, old_breaks) = old
    _, _, (_, fresh_lines, fresh_chars, fresh_breaks) = fresh
    origin = address_of(data)
    limit = origin + len(data)
    word = line = afresh = 0
    for doc in range(len(offsets) - 1):
        doc_words[doc], doc_lines[doc] = word, line
        if hard[doc]:
            span = (fresh_lines[afresh], fresh_lines[afresh + 1])
            word, line = copy_lines(fresh, target, span, (word, line), 0, 0)
            doc_chars[doc], doc_breaks[doc] = fresh_chars[afresh], fresh_breaks[afresh]
            afresh += 1
            continue
        base, size = offsets[doc], offsets[doc + 1] - offsets[doc]
        silent = size != old_chars[doc]
        written = read = np.int64(0)  # bytes of the new text and of the old
        dropped_silent = np.int64(0)  # bytes of dropped text that are no characters
        for run in range(doc_runs[doc], doc_runs[doc + 1]):
            first, past = firsts[run], pasts[run]
            start = line_starts[first]
            if silent:
                dropped_silent += silent_bytes(origin + base + read, origin + base + start, limit)
            span, shift = (first, past), written - start
            word, line = copy_lines(old, target, span, (word, line), shift, shift + dropped_silent)
            if run + 1 < doc_runs[doc + 1]:
                read = np.int64(line_starts[past])
            else:
                read = np.int64(line_ends[past - 1]) if edited[doc] else size
            written += read - start
        if edited[doc]:
            if silent:
                dropped_silent += silent_bytes(origin + base + read, origin + base + size, limit)
                doc_chars[doc] = written - (size - old_chars[doc] - dropped_silent)
            else:
                doc_chars[doc] = written
            doc_breaks[doc] = max(line - doc_lines[doc] - 1, 0)
        else:
            doc_chars[doc], doc_breaks[doc] = old_chars[doc], old_breaks[doc]
    doc_words[len(offsets) - 1], doc_lines[len(offsets) - 1] = word, line
    target[1][2][line] = word
    return word, line
