"""Words and lines of a batch, and which lines stay -> words and lines of the text that is left, without reading it.

A line that stays keeps its words, hashes and lengths; only its place moves. So the rules after C4's pay for copying a
line and a byte per word instead of finding and hashing it all again, a twentieth of the time; the other 20 bytes of a
word follow if a rule asks for them. Only lines that lose a citation marker are read afresh, each alone, and documents
in which a line feed comes to follow the carriage return of an earlier line, as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from filters.heuristics.c4_kernels import CITED, copy_uncited
from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch, Lines, Segmentation, WordPlaces, Words, text_array
from pipeline.core.text.bits import address_of, copy_bytes, load_byte
from pipeline.core.text.segment import LINE_FEED, LINE_SEED, RETURN, silent_bytes


def words_left(batch: Batch, whole: pa.Array, kept: Any, edited: np.ndarray, cited: np.ndarray) -> Segmentation:
    """Return the segmentation of `batch` after its edit to `whole`.

    `kept` is (actions, runs, ends, ranges) of c4_kernels, `cited` says which documents lose markers.
    """
    actions, runs, ends, ranges = kept
    old = batch.segmentation
    hard = joined_line_ends(batch.data, batch.offsets, ends, ranges, edited)
    new = Batch(ids=batch.ids, text=whole)
    shape = (old.lines.starts, old.lines.ends)
    pieces, offsets = gather_pieces(
        (batch.data, batch.offsets), (new.data, new.offsets), shape, runs, actions, hard, cited
    )
    fresh = Batch(ids=batch.ids, text=text_array(pieces, offsets)).segmentation
    num_docs = len(batch)
    num_words = len(old.words.flags) + len(fresh.words.flags)
    num_lines = len(old.lines.starts) + len(fresh.lines.starts)
    flags = np.empty(num_words, np.uint8)
    kinds = (np.int32, np.int32, np.int64, np.int32, np.int32, np.uint64)
    lines = tuple(np.empty(num_lines + 1, kind) for kind in kinds)
    docs = tuple(np.empty(num_docs + more, np.int64) for more in (1, 1, 0, 0))
    num_words, num_lines = carry_over(
        (batch.data, batch.offsets), (runs, actions, edited, hard, cited), old.words.places.starts, _arrays(old),
        _arrays(fresh), offsets, (flags, lines, docs),
    )  # fmt: skip
    line_starts, ends, _, char_starts, line_chars, line_hashes = (array[:num_lines] for array in lines)

    def places() -> WordPlaces:
        found = tuple(np.empty(num_words, kind) for kind in (np.int32, np.int32, np.int32, np.uint64))
        shape = (old.lines.starts, old.lines.word_offsets), fresh.words.doc_offsets
        carry_words((runs, actions, hard, cited), (docs[1], line_starts), shape, _places(old), _places(fresh), found)
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
def joined_line_ends(data: Any, offsets: Any, ends: Any, ranges: Any, edited: Any) -> Any:
    """Say of each document whether between two of its ranges a line feed comes to follow a carriage return."""
    found = np.zeros(len(offsets) - 1, np.bool_)
    origin = address_of(data)
    for doc in range(len(found)):
        if edited[doc]:
            base = origin + offsets[doc]
            for at in range(ends[doc] + 3, ends[doc + 1], 2):  # behind the size and the first range
                last, first = load_byte(base + ranges[at - 1] - 1), load_byte(base + ranges[at])
                found[doc] |= (last == RETURN) & (first == LINE_FEED)
    return found


@njit(cache=True, nogil=True)
def gather_pieces(old: Any, new: Any, lines: Any, runs: Any, actions: Any, hard: Any, cited: Any) -> Any:
    """Return (uint8[...], int64[num_pieces + 1]): what is read afresh, in the order of the text that is left.

    That is the new text of documents that are `hard`, and of all others each line that loses a marker.
    """
    (data, offsets), (new_data, new_offsets) = old, new
    line_starts, line_ends = lines
    doc_runs, firsts, pasts = runs
    room, num_pieces = np.int64(0), 0
    for doc in range(len(hard)):
        if hard[doc]:
            room += new_offsets[doc + 1] - new_offsets[doc]
            num_pieces += 1
        for run in range(doc_runs[doc], doc_runs[doc + 1] if cited[doc] and not hard[doc] else doc_runs[doc]):
            for line in range(firsts[run], pasts[run]):
                if actions[line] == CITED:
                    room += np.int64(line_ends[line]) - line_starts[line]
                    num_pieces += 1
    out, bounds = np.empty(room, np.uint8), np.zeros(num_pieces + 1, np.int64)
    if num_pieces == 0:
        return out, bounds
    origin, new_origin, start = address_of(data), address_of(new_data), address_of(out)
    cursor, piece = start, 0
    for doc in range(len(hard)):
        base = origin + offsets[doc]
        if hard[doc]:
            size = new_offsets[doc + 1] - new_offsets[doc]
            copy_bytes(cursor, new_origin + new_offsets[doc], size)
            cursor += size
            piece += 1
            bounds[piece] = cursor - start
        for run in range(doc_runs[doc], doc_runs[doc + 1] if cited[doc] and not hard[doc] else doc_runs[doc]):
            for line in range(firsts[run], pasts[run]):
                if actions[line] == CITED:
                    cursor, _ = copy_uncited(base + line_starts[line], base + line_ends[line], cursor)
                    piece += 1
                    bounds[piece] = cursor - start
    return out[: cursor - start], bounds


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


@njit(cache=True, nogil=True, forceinline=True)
def uncited(actions: Any, line: Any, past: Any) -> Any:
    """Return the first line from `line` on that loses a marker, or `past`."""
    while line < past and actions[np.uintp(line)] != CITED:
        line += 1
    return line


@njit(cache=True, nogil=True)
def carry_words(kept: Any, new: Any, shape: Any, old: Any, fresh: Any, target: Any) -> None:
    """Fill the places of all words, in the order in which `carry_over` filled the lines that they stand in."""
    (doc_runs, firsts, pasts), actions, hard, cited = kept
    doc_lines, new_starts = new
    (old_starts, old_words), fresh_words = shape
    word = np.int64(0)
    piece = 0
    for doc in range(len(hard)):
        if hard[doc]:
            word = copy_places(fresh, target, fresh_words[piece], fresh_words[piece + 1], word, 0)
            piece += 1
            continue
        line = doc_lines[doc]  # in the new text
        for run in range(doc_runs[doc], doc_runs[doc + 1]):
            at = firsts[run]
            while at < pasts[run]:
                stop = uncited(actions, at, pasts[run]) if cited[doc] else pasts[run]
                if stop > at:
                    shift = new_starts[line] - old_starts[at]
                    word = copy_places(old, target, old_words[at], old_words[stop], word, shift)
                    line += stop - at
                    at = stop
                if at < pasts[run]:
                    first, past = fresh_words[piece], fresh_words[piece + 1]
                    if first < past:  # else the line may be none
                        word = copy_places(fresh, target, first, past, word, new_starts[line])
                    piece += 1
                    line += 1
                    at += 1


@njit(cache=True, nogil=True, forceinline=True)
def put_line(fresh: Any, target: Any, piece: Any, bounds: Any, at: Any, place: Any) -> Any:
    """Write one line that is read afresh, at (byte, character) `place` of its document; return (word, line) behind."""
    from_flags, (_, _, _, from_first, from_chars, from_hashes), (from_words, from_lines, _, _) = fresh
    to_flags, (to_starts, to_ends, to_words, to_first, to_chars, to_hashes), _ = target
    word, line = at
    first, past = from_words[piece], from_words[piece + 1]
    to_starts[line], to_ends[line] = place[0], place[0] + bounds[piece + 1] - bounds[piece]
    to_words[line] = word
    to_first[line], to_chars[line], to_hashes[line] = 0, 0, LINE_SEED
    if first < past:
        found = from_lines[piece]
        to_first[line] = place[1] + from_first[found]
        to_chars[line], to_hashes[line] = from_chars[found], from_hashes[found]
    for index in range(first, past):
        to_flags[word + index - first] = from_flags[index]
    return word + past - first, line + 1


@njit(cache=True, nogil=True)
def carry_over(text: Any, kept: Any, word_starts: Any, old: Any, fresh: Any, bounds: Any, target: Any) -> Any:
    """Fill the target's arrays; return (number of words, number of lines)."""
    (data, offsets), ((doc_runs, firsts, pasts), actions, edited, hard, cited) = text, kept
    doc_words, doc_lines, doc_chars, doc_breaks = target[2]
    _, (line_starts, line_ends, line_words, line_first, _, _), (_, _, old_chars, old_breaks) = old
    _, _, (_, fresh_lines, fresh_chars, fresh_breaks) = fresh
    origin = address_of(data)
    limit = origin + len(data)
    word, line = np.int64(0), np.int64(0)
    piece = 0
    for doc in range(len(offsets) - 1):
        doc_words[doc], doc_lines[doc] = word, line
        if hard[doc]:
            span = (fresh_lines[piece], fresh_lines[piece + 1])
            word, line = copy_lines(fresh, target, span, (word, line), 0, 0)
            doc_chars[doc], doc_breaks[doc] = fresh_chars[piece], fresh_breaks[piece]
            piece += 1
            continue
        base, size = origin + offsets[doc], offsets[doc + 1] - offsets[doc]
        silent = size != old_chars[doc]
        written = read = np.int64(0)  # bytes of the new text and of the old
        dropped_silent = np.int64(0)  # bytes of dropped text that are no characters
        for run in range(doc_runs[doc], doc_runs[doc + 1]):
            at, past = firsts[run], pasts[run]
            start = np.int64(line_starts[at])
            if silent:
                dropped_silent += silent_bytes(base + read, base + start, limit)
            shift = written - start
            while at < past:
                stop = uncited(actions, at, past) if cited[doc] else past
                if stop > at:
                    word, line = copy_lines(old, target, (at, stop), (word, line), shift, shift + dropped_silent)
                    at = stop
                if at < past:
                    here, first = np.int64(line_starts[at]), np.int64(word_starts[line_words[at]])
                    begin = np.int64(line_first[at]) - (first - here)  # characters before the line
                    if silent:
                        begin += silent_bytes(base + here, base + first, limit)
                    place = (here + shift, begin + shift + dropped_silent)
                    word, line = put_line(fresh, target, piece, bounds, (word, line), place)
                    shift -= line_ends[at] - here - (bounds[piece + 1] - bounds[piece])
                    piece += 1
                    at += 1
            if run + 1 < doc_runs[doc + 1]:
                read = np.int64(line_starts[past])
            else:
                read = np.int64(line_ends[past - 1]) if edited[doc] else size
            written = read + shift
        if edited[doc]:
            if silent:
                dropped_silent += silent_bytes(base + read, base + size, limit)
            doc_chars[doc] = written - (size - old_chars[doc] - dropped_silent)
            doc_breaks[doc] = max(line - doc_lines[doc] - 1, 0)
            if line > doc_lines[doc] and target[1][0][line - 1] == written:  # nothing is left of the last line
                line -= 1
        else:
            doc_chars[doc], doc_breaks[doc] = old_chars[doc], old_breaks[doc]
    doc_words[len(offsets) - 1], doc_lines[len(offsets) - 1] = word, line
    target[1][2][line] = word
    return word, line
