"""Text to normalised words to 64-bit hashes of n consecutive words: what MinHash and decontamination compare.

A *word* is a maximal run of letters, digits and marks, lower-cased and folded as `filters/folding.py` says; all else
separates. ASCII words never touch the table: runs are found 64 bytes at a time and hashed 8 bytes at a time, 1.4 GB/s
on documentation text (one Zen 5 core, batches of a few MB). A word's hash mixes its folded UTF-8 bytes; a shingle's
mixes a polynomial of its word hashes with their number, so `ab c` and `a bc` differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from filters.folding import ALONE, LAST_TABULATED, SKIPPED, fold_table
from pipeline.core.bits import (
    ALL_BITS,
    ONE_BIT,
    address_of,
    fold_product,
    fold_product_wide,
    load_byte,
    load_half,
    load_word,
    range_mask,
    store_word,
    zeros_below,
)
from pipeline.core.text import Batch

_LOWER = np.uint64(0x2020202020202020)  # sets the case bit; digits have it already
_HIGH = np.uint64(0x8080808080808080)
_WORD_SEED = np.uint64(0x9E3779B97F4A7C15)
_WORD_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_ROLL_BASE = np.uint64(0x2545F4914F6CDD1D)
_SHINGLE_SEED = np.uint64(0xA0761D6478BD642F)
_SHINGLE_MULTIPLIER = np.uint64(0xE7037ED1A0B428DB)


@dataclass(frozen=True, slots=True)
class Words:
    """The word hashes of a batch: document d has hashes[offsets[d]:offsets[d + 1]]."""

    hashes: np.ndarray  # uint64[num_words]
    offsets: np.ndarray  # int64[num_docs + 1]
    spans: np.ndarray  # int64[num_words, 2], byte start and end in the batch's data; empty if not asked for


def words_of(batch: Batch, *, spans: bool = False) -> Words:
    """Hash every word of every document."""
    table = fold_table()
    hashes, offsets, found = hash_words(batch.data, batch.offsets, table.page, table.folded, spans)
    return Words(hashes=hashes, offsets=offsets, spans=found)


@njit(cache=True, nogil=True)
def hash_words(
    data: np.ndarray, offsets: np.ndarray, page: np.ndarray, folded: np.ndarray, with_spans: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (uint64[num_words] hashes, int64[num_docs + 1] offsets, int64[num_words or 0, 2] byte spans)."""
    num_docs = len(offsets) - 1
    limit = (offsets[num_docs] - offsets[0]) // 2 + num_docs + 1  # a word and its separator take two bytes
    hashes = np.empty(limit, np.uint64)
    spans = np.empty((limit if with_spans else 0, 2), np.int64)
    word_offsets = np.zeros(num_docs + 1, np.int64)
    base, page_at, folded_at = address_of(data), address_of(page), address_of(folded)
    hashes_at, spans_at = address_of(hashes), address_of(spans) if with_spans else 0
    limit_at = base + len(data)
    out = hashes_at
    for doc in range(num_docs):
        position, end = base + offsets[doc], base + offsets[doc + 1]
        start = position
        inside = np.uint64(0)
        while position <= end:  # a last block, empty where need be, closes the last word
            mask = _mask(position, end, limit_at)
            changes = mask ^ ((mask << ONE_BIT) | inside)
            while changes != 0:
                change = position + zeros_below(changes)
                changes &= changes - ONE_BIT
                if inside:
                    value = _hash_run(start, change, limit_at)
                    if value != 0:
                        out = _store(hashes_at, spans_at, out, value, start - base, change - base)
                    else:
                        out = _hash_folded(start, change, base, page_at, folded_at, hashes_at, spans_at, out)
                inside ^= ONE_BIT
                start = change
            position += 64
        word_offsets[doc + 1] = (out - hashes_at) >> 3
    count = (out - hashes_at) >> 3
    return hashes[:count], word_offsets, spans[: count if with_spans else 0]


@njit(cache=True, nogil=True, forceinline=True)
def _mask(position: int, end: int, limit: int) -> np.uint64:
    """Word bytes from `position` to `end`, 64 at most, as bits: ASCII letters and digits, and all that is not ASCII."""
    letters = range_mask(position, end, limit, 0x20, 0x61, 26)
    digits = range_mask(position, end, limit, 0, 0x30, 10)
    return letters | digits | range_mask(position, end, limit, 0, 0x80, 128)


@njit(cache=True, nogil=True)
def _hash_run(start: int, end: int, limit: int) -> np.uint64:
    """Return the hash of one run of word bytes, or 0 if it holds a byte that is not ASCII."""
    position = start
    state = _WORD_SEED
    seen = np.uint64(0)
    while end - position > 8:
        block = load_word(position)
        seen |= block
        state = fold_product(state ^ (block | _LOWER), _WORD_MULTIPLIER)
        position += 8
    size = end - position
    keep = ALL_BITS >> np.uint64(64 - 8 * size)
    if position + 8 <= limit:
        block = load_word(position) & keep
    else:
        block = np.uint64(0)
        for index in range(size):
            block |= np.uint64(load_byte(position + index)) << np.uint64(8 * index)
    if (seen | block) & _HIGH:
        return np.uint64(0)
    return _finish_word(state ^ block ^ (_LOWER & keep) ^ (block & _LOWER))


@njit(cache=True, nogil=True)
def _finish_word(state: np.uint64) -> np.uint64:
    """Mix the last block of a word in; never 0, which says that a run is not ASCII."""
    return max(fold_product(state, _WORD_MULTIPLIER), ONE_BIT)


@njit(cache=True, nogil=True)
def _store(hashes_at: int, spans_at: int, out: int, value: np.uint64, start: int, end: int) -> int:
    store_word(out, value)
    if spans_at:
        span = spans_at + 2 * (out - hashes_at)
        store_word(span, np.uint64(start))
        store_word(span + 8, np.uint64(end))
    return out + 8


@njit(cache=True, nogil=True)
def _hash_folded(
    start: int, end: int, base: int, page_at: int, folded_at: int, hashes_at: int, spans_at: int, out: int
) -> int:
    """Decode, fold and split one run that holds non-ASCII bytes; hash the UTF-8 bytes of the folded characters.

    The run may hold several words or none. Returns where the next hash goes.
    """
    state, block = _WORD_SEED, np.uint64(0)
    filled = 0  # bytes in `block`
    num_bytes = 0  # bytes of the word so far
    word_start = position = start
    while position < end:
        here = position
        code, position = _decode(here, end)
        value = _lookup(code, page_at, folded_at)
        if value == SKIPPED:
            continue
        alone = value >= ALONE
        if (value == 0 or alone) and num_bytes > 0:
            out = _store(hashes_at, spans_at, out, _finish_word(state ^ block), word_start - base, here - base)
            num_bytes = 0
        if value == 0:
            continue
        if num_bytes == 0:
            state, block, filled, word_start = _WORD_SEED, np.uint64(0), 0, here
        packed, size = _encode(value & 0x1FFFFF)
        for index in range(size):
            if filled == 8:  # a word ends with a block of 1 to 8 bytes, so a full one waits for its successor
                state = fold_product(state ^ block, _WORD_MULTIPLIER)
                block, filled = np.uint64(0), 0
            block |= ((packed >> np.uint64(8 * index)) & np.uint64(0xFF)) << np.uint64(8 * filled)
            filled += 1
        num_bytes += size
        if alone:
            out = _store(hashes_at, spans_at, out, _finish_word(state ^ block), here - base, position - base)
            num_bytes = 0
    if num_bytes > 0:
        out = _store(hashes_at, spans_at, out, _finish_word(state ^ block), word_start - base, end - base)
    return out


@njit(cache=True, nogil=True)
def _lookup(code: int, page_at: int, folded_at: int) -> int:
    """Return 0 for a separator, SKIPPED, or a code point, perhaps with ALONE."""
    if code < 0x80:
        return code | 0x20  # the run holds only letters and digits below 0x80
    if code <= LAST_TABULATED:
        page = load_half(page_at + 4 * (code >> 8))
        return load_half(folded_at + 4 * (page << 8 | code & 0xFF))
    return SKIPPED if 0xE0100 <= code <= 0xE01EF else 0


@njit(cache=True, nogil=True)
def _decode(position: int, end: int) -> tuple[int, int]:
    """Return (code point, next position); a byte that begins no whole character counts as a separator."""
    first = load_byte(position)
    if first < 0x80:
        return first, position + 1
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if first < 0xC0 or position + size > end:
        return 0x10FFFF, position + 1
    code = first & (0xFF >> (size + 1))
    for index in range(1, size):
        code = (code << 6) | (load_byte(position + index) & 0x3F)
    return code, position + size


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


@njit(cache=True, nogil=True)
def finish_shingle(rolled: np.uint64, num_words: int) -> np.uint64:
    """Turn a rolled polynomial of word hashes into a mixed 64-bit shingle hash; the length is part of it."""
    return fold_product(rolled ^ _SHINGLE_SEED, _SHINGLE_MULTIPLIER + np.uint64(2 * num_words))


@njit(cache=True, nogil=True)
def roll_power(num_words: int) -> np.uint64:
    """Return the factor that takes the oldest of `num_words` words out of the polynomial."""
    power = ONE_BIT
    for _ in range(num_words):
        power *= _ROLL_BASE
    return power


@njit(cache=True, nogil=True)
def roll(rolled: np.uint64, entering: np.uint64) -> np.uint64:
    """Append one word hash to the polynomial."""
    return rolled * _ROLL_BASE + entering


@njit(cache=True, nogil=True)
def mix_runs(words: np.ndarray, num_words: int, mixed: np.ndarray) -> None:
    """Fill uint64 mixed[i] with the hash of the shingle that begins with word i; a few hundred fit the nearest cache.

    Each polynomial is made anew, so that loops become vectors: rolled on, each would wait for the one before.
    """
    for index in range(len(mixed)):
        mixed[index] = words[index]
    for later in range(1, num_words):
        entering = words[later : later + len(mixed)]
        for index in range(len(mixed)):
            mixed[index] = roll(mixed[index], entering[index])
    for index in range(len(mixed)):
        mixed[index] = fold_product_wide(mixed[index] ^ _SHINGLE_SEED, _SHINGLE_MULTIPLIER + np.uint64(2 * num_words))


@njit(cache=True, nogil=True)
def shingle_of(words: np.ndarray) -> np.uint64:
    """Return the hash of one shingle."""
    rolled = np.uint64(0)
    for word in words:
        rolled = roll(rolled, word)
    return finish_shingle(rolled, len(words))


@njit(cache=True, nogil=True)
def shingle_hashes(words: np.ndarray, offsets: np.ndarray, num_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (uint64 hashes, int64[num_docs + 1] offsets) of all runs of `num_words` words, in order of appearance.

    A document of fewer words has one shingle, all its words; a document without words has none.
    """
    num_docs = len(offsets) - 1
    shingle_offsets = np.zeros(num_docs + 1, np.int64)
    for doc in range(num_docs):
        length = offsets[doc + 1] - offsets[doc]
        shingle_offsets[doc + 1] = shingle_offsets[doc] + (0 if length == 0 else max(length - num_words + 1, 1))
    hashes = np.empty(shingle_offsets[num_docs], np.uint64)
    power = roll_power(num_words)
    for doc in range(num_docs):
        first, end, out = offsets[doc], offsets[doc + 1], shingle_offsets[doc]
        length = min(num_words, end - first)
        rolled = np.uint64(0)
        for index in range(first, end):
            rolled = roll(rolled, words[index])
            if index - first >= num_words:
                rolled -= words[index - num_words] * power
            if index - first >= length - 1:
                hashes[out] = finish_shingle(rolled, length)
                out += 1
    return hashes, shingle_offsets
