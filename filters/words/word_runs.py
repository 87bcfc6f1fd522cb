"""One run of word bytes -> the hashes of its words, byte by byte: what `words/shingles.py` cannot do by vectors.

Those are runs of more than 16 bytes and runs that hold other than ASCII, which are decoded, folded and split as
`filters/words/folding.py` says; a run may hold several words or none. In documentation they are one run in twenty and
take a quarter of the time (3 MB of text of which half is not ASCII: 550 MB/s on one Zen 5 core).
"""

from __future__ import annotations

import numpy as np

from filters.words.folding import ALONE, LAST_TABULATED, SKIPPED
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import (
    ALL_BITS,
    ONE_BIT,
    fold_product,
    load_byte,
    load_half,
    load_word,
    store_word,
)

WORD_SEED = np.uint64(0x9E3779B97F4A7C15)
WORD_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
LOWER = np.uint64(0x2020202020202020)  # sets the case bit; digits have it already
HIGH = np.uint64(0x8080808080808080)


@njit(cache=True, nogil=True)
def hash_run(start: int, end: int, limit: int) -> np.uint64:
    """Return the hash of one run of word bytes, or 0 if it holds a byte that is not ASCII."""
    position = start
    state = WORD_SEED
    seen = np.uint64(0)
    while end - position > 8:
        block = load_word(position)
        seen |= block
        state = fold_product(state ^ (block | LOWER), WORD_MULTIPLIER)
        position += 8
    size = end - position
    keep = ALL_BITS >> np.uint64(64 - 8 * size)
    if position + 8 <= limit:
        block = load_word(position) & keep
    else:
        block = np.uint64(0)
        for index in range(size):
            block |= np.uint64(load_byte(position + index)) << np.uint64(8 * index)
    if (seen | block) & HIGH:
        return np.uint64(0)
    return finish_word(state ^ (block | LOWER & keep))


@njit(cache=True, nogil=True)
def finish_word(state: np.uint64) -> np.uint64:
    """Mix the last block of a word in; never 0, which says that a run is not ASCII."""
    return max(fold_product(state, WORD_MULTIPLIER), ONE_BIT)


@njit(cache=True, nogil=True)
def put_word(places: tuple[int, int, int], out: int, value: np.uint64, start: int, end: int) -> int:
    """Write a hash, and its span if spans are wanted; return where the next hash goes.

    `places` are the addresses of the text, of the hashes and of the spans, the last 0 if they are not wanted.
    """
    text_at, hashes_at, spans_at = places
    store_word(out, value)
    if spans_at:
        span = spans_at + 2 * (out - hashes_at)
        store_word(span, np.uint64(start - text_at))
        store_word(span + 8, np.uint64(end - text_at))
    return out + 8


@njit(cache=True, nogil=True, forceinline=True)
def put_words(places: tuple[int, int, int], out: int, values_at: int, bounds_at: int, first: int, past: int) -> int:
    """Write the hashes of runs `first` to `past`, one word each, as `put_word` says."""
    for run in range(first, past):
        start, end = load_word(bounds_at + 16 * run), load_word(bounds_at + 16 * run + 8)
        out = put_word(places, out, load_word(values_at + 8 * run), np.int64(start), np.int64(end))
    return out


@njit(cache=True, nogil=True)
def put_folded(start: int, end: int, tables: tuple[int, int], places: tuple[int, int, int], out: int) -> int:
    """Decode, fold and split one run; hash the UTF-8 bytes of the folded characters as `put_word` says."""
    state, block = WORD_SEED, np.uint64(0)
    filled = 0  # bytes in `block`, 0 outside words; a word ends with 1 to 8 of them, so a full one waits
    word_start = position = start
    while position < end:
        here = position
        code, size = _decode(here, end)
        position += size
        value = _lookup(code, tables)
        if value == SKIPPED:
            continue
        alone = value >= ALONE
        if (value == 0 or alone) and filled > 0:
            out = put_word(places, out, finish_word(state ^ block), word_start, here)
            filled = 0
        if value == 0:
            continue
        packed, size = _encode(value & 0x1FFFFF)
        if alone:
            out = put_word(places, out, finish_word(WORD_SEED ^ packed), here, position)
            continue
        if filled == 0:
            state, block, word_start = WORD_SEED, np.uint64(0), here
        block |= packed << np.uint64(8 * filled & 63) if filled < 8 else np.uint64(0)
        filled += size
        if filled > 8:
            state = fold_product(state ^ block, WORD_MULTIPLIER)
            filled -= 8
            block = packed >> np.uint64(8 * (size - filled))
    if filled > 0:
        out = put_word(places, out, finish_word(state ^ block), word_start, end)
    return out


@njit(cache=True, nogil=True, forceinline=True)
def _lookup(code: int, tables: tuple[int, int]) -> int:
    """Return 0 for a separator, SKIPPED, or a code point, perhaps with ALONE."""
    if code < 0x80:
        return code | 0x20  # the run holds only letters and digits below 0x80
    if code <= LAST_TABULATED:
        page_at, folded_at = tables
        page = load_half(page_at + 4 * (code >> 8))
        return load_half(folded_at + 4 * (page << 8 | code & 0xFF))
    return SKIPPED if 0xE0100 <= code <= 0xE01EF else 0


@njit(cache=True, nogil=True, forceinline=True)
def _decode(at: int, end: int) -> tuple[int, int]:
    """Return (code point, number of bytes); a byte that begins no whole character counts as a separator."""
    first = load_byte(at)
    if first < 0x80:
        return first, 1
    if 0xC0 <= first < 0xE0 and at + 2 <= end:
        return (first & 0x1F) << 6 | (load_byte(at + 1) & 0x3F), 2
    if 0xE0 <= first < 0xF0 and at + 3 <= end:
        return (first & 0x0F) << 12 | (load_byte(at + 1) & 0x3F) << 6 | (load_byte(at + 2) & 0x3F), 3
    if first >= 0xF0 and at + 4 <= end:
        middle = (load_byte(at + 1) & 0x3F) << 12 | (load_byte(at + 2) & 0x3F) << 6
        return (first & 0x07) << 18 | middle | (load_byte(at + 3) & 0x3F), 4
    return 0x10FFFF, 1


@njit(cache=True, nogil=True)
def _encode(code: int) -> tuple[np.uint64, int]:
    """Return (UTF-8 bytes packed little-endian, their number)."""
    if code < 0x80:
        return np.uint64(code), 1
    if code < 0x800:
        return np.uint64((0xC0 | code >> 6) | (0x80 | code & 0x3F) << 8), 2
    if code < 0x10000:
        return np.uint64((0xE0 | code >> 12) | (0x80 | code >> 6 & 0x3F) << 8 | (0x80 | code & 0x3F) << 16), 3
    tail = (0x80 | code >> 6 & 0x3F) << 16 | (0x80 | code & 0x3F) << 24
    return np.uint64((0xF0 | code >> 18) | (0x80 | code >> 12 & 0x3F) << 8 | tail), 4
