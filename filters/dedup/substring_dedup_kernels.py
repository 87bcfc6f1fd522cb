"""Word hashes -> the few places of a text at which a repeated span can be found, and the text without spans.

A *window* is `span` consecutive words of a document. Its *anchor* is the run of `gram` words in it whose hash is the
smallest, the last of several (winnowing: Schleimer, Wilkerson and Aiken, SIGMOD 2003): it depends on the window's words
alone, so equal windows have equal anchors, and a new anchor comes once in (span - gram + 2) / 2 words. The windows of
one anchor follow one another and are its *reach*. Where one word is repeated, every window has an anchor of its own
and all are the same: they are one reach that is marked as a run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import ALL_BITS, MIX_1, MIX_2, fold_product

_BASE = np.uint64(0x9FB21C651E98DF25)  # odd and 5 modulo 8, so that its powers stay far apart
_ORDER_SEED = np.uint64(0xA24BAED4963EE407)
_LINE_FEED, _RETURN = 0x0A, 0x0D


@njit(cache=True, nogil=True)
def powers_to(count: Any) -> Any:
    """Return uint64[count + 1]: the powers of the base."""
    powers = np.ones(count + 1, np.uint64)
    for index in range(count):
        powers[index + 1] = powers[index] * _BASE
    return powers


@njit(cache=True, nogil=True)
def find_reaches(hashes: Any, doc_words: Any, span: Any, gram: Any) -> Any:
    """Return (anchors uint64[n], contents uint64[n], places int64[n]) of all reaches, in the order of the text.

    The content hashes all words of the reach, those of its last window included; a run's is that of one window. A
    place is twice the first window of the reach, counted in words of the batch, plus 1 for a run. Linear, but
    a text made to defeat it can take `span` times as long.
    """
    size = 1
    while size <= 2 * span:
        size *= 2
    mask = size - 1
    prefixes, orders = np.zeros(size, np.uint64), np.zeros(size, np.uint64)  # of the last words, in rings
    powers = powers_to(2 * span)
    anchors, contents = np.empty(len(hashes), np.uint64), np.empty(len(hashes), np.uint64)
    places = np.empty(len(hashes), np.int64)
    count = 0
    for doc in range(len(doc_words) - 1):
        first, end = doc_words[doc], doc_words[doc + 1]
        if end - first < span:
            continue
        prefix = np.uint64(0)
        prefixes[first & mask] = prefix
        least = name = ALL_BITS
        at = anchor = begun = first - 1
        alone = False  # the reach before this one is a single window or a run
        for index in range(first, end + 1):
            window = index + 1 - span
            if index < end:
                prefix = prefix * _BASE + hashes[index]
                prefixes[(index + 1) & mask] = prefix
                begin = index + 1 - gram
                if begin < first:
                    continue
                rolled = prefix - prefixes[begin & mask] * powers[gram]
                order = fold_product(rolled ^ _ORDER_SEED, MIX_2)
                orders[begin & mask] = order
                if order <= least:
                    least, at = order, begin
                elif at < window:
                    least, at = orders[window & mask], window
                    for other in range(window + 1, begin + 1):
                        if orders[other & mask] <= least:
                            least, at = orders[other & mask], other
                if window < first or at == anchor:
                    continue
            if anchor >= first:
                num_words = window - begun + span - 1
                content = prefixes[index & mask] - prefixes[begun & mask] * powers[num_words]
                content += np.uint64(num_words) * MIX_2
                single = num_words == span
                if alone and single and contents[count - 1] == content:
                    places[count - 1] |= 1
                else:
                    anchors[count] = name * MIX_1  # small hashes are what anchors have; spread them again
                    contents[count] = content
                    places[count] = 2 * begun
                    count += 1
                alone = single
            begun, anchor, name = window, at, least
    return anchors[:count], contents[:count], places[:count]


@njit(cache=True, nogil=True)
def window_hashes(hashes: Any, begins: Any, counts: Any, span: Any) -> Any:
    """Return uint64[counts.sum()]: the hashes of `counts[i]` windows from word `begins[i]` on, one after the other."""
    out = np.empty(counts.sum(), np.uint64)
    power = powers_to(span)[span]
    cursor = 0
    for place in range(len(begins)):
        begin = begins[place]
        rolled = np.uint64(0)
        for index in range(begin, begin + span):
            rolled = rolled * _BASE + hashes[index]
        out[cursor] = rolled
        for index in range(begin, begin + counts[place] - 1):
            rolled = rolled * _BASE + hashes[index + span] - hashes[index] * power
            out[cursor + index - begin + 1] = rolled
        cursor += counts[place]
    return out


@njit(cache=True, nogil=True)
def join_pieces(begins: Any, ends: Any, sources: Any, doc_words: Any, span: Any) -> Any:
    """Return (docs, first words, words past the last) of maximal spans, and int64[num_docs] sources, -1 for none.

    Pieces are runs of windows, sorted by where they begin; they may overlap. A document's source is that of the piece
    that holds the window in the middle of its longest span, or of the last one before.
    """
    docs, firsts, pasts = np.empty(len(begins), np.int64), np.empty(len(begins), np.int64), np.empty_like(begins)
    found = np.full(len(doc_words) - 1, -1, np.int64)
    longest = 0
    count = piece = doc = 0
    while piece < len(begins):
        opened, first, past = piece, begins[piece], ends[piece] - 1 + span
        while first >= doc_words[doc + 1]:
            doc += 1
            longest = 0
        while piece < len(begins) and begins[piece] <= past and begins[piece] < doc_words[doc + 1]:
            past = max(past, ends[piece] - 1 + span)
            piece += 1
        docs[count], firsts[count], pasts[count] = doc, first, past
        count += 1
        if past - first > longest:
            longest = past - first
            middle, nearest = (first + past - span) // 2, first
            for inner in range(opened, piece):
                if begins[inner] <= middle and min(ends[inner] - 1, middle) >= nearest:
                    nearest, found[doc] = min(ends[inner] - 1, middle), sources[inner]
    return docs[:count], firsts[:count], pasts[:count], found


@njit(cache=True, nogil=True)
def line_ends(data: Any, start: Any, end: Any) -> Any:
    """Return how many bytes from `start` to `end` are line feeds or carriage returns."""
    count = 0
    for index in range(start, end):
        count += (data[index] == _LINE_FEED) | (data[index] == _RETURN)
    return count


@njit(cache=True, nogil=True)
def cut_words(data: Any, offsets: Any, words: Any, spans: Any) -> Any:
    """Return (bytes, offsets) of the documents without the words of `spans`.

    Of the white space before and behind a span the one with more line ends stays, the latter if none has; a span at
    an end of the text takes the white space there with it.
    """
    doc_words, starts, num_bytes = words
    docs, firsts, pasts = spans
    num_docs = len(offsets) - 1
    out = np.empty(offsets[num_docs] - offsets[0], np.uint8)
    out_offsets = np.zeros(num_docs + 1, np.int64)
    cursor = next_span = 0
    for doc in range(num_docs):
        base, first_word, past_word = offsets[doc], doc_words[doc], doc_words[doc + 1]
        kept = base  # where the text begins that has not been copied
        while next_span < len(docs) and docs[next_span] == doc:
            first, past = firsts[next_span], pasts[next_span]
            after = base + starts[past] if past < past_word else offsets[doc + 1]
            if first > first_word:
                before = base + starts[first - 1] + num_bytes[first - 1]
                out[cursor : cursor + before - kept] = data[kept:before]
                cursor += before - kept
                if past < past_word:
                    left, left_end = before, base + starts[first]
                    right = base + starts[past - 1] + num_bytes[past - 1]
                    if line_ends(data, left, left_end) <= line_ends(data, right, after):
                        left, left_end = right, after
                    out[cursor : cursor + left_end - left] = data[left:left_end]
                    cursor += left_end - left
            kept = after
            next_span += 1
        out[cursor : cursor + offsets[doc + 1] - kept] = data[kept : offsets[doc + 1]]
        cursor += offsets[doc + 1] - kept
        out_offsets[doc + 1] = cursor
    return out[:cursor], out_offsets
