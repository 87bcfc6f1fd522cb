"""Text to normalised words to 64-bit hashes of n consecutive words: what MinHash and decontamination compare.

A *word* is a maximal run of letters, digits and marks, lower-cased and folded as `filters/words/folding.py` says; all
else separates. Bit masks of 64 bytes say where runs of ASCII letters, digits and of all that is not ASCII lie. Short
runs are laid side by side and hashed eight at a time, 3 GB/s where all is ASCII and 2 GB/s on documentation text (one
Zen 5 core, batches of a few MB); `filters/words/word_runs.py` does the others. A word's hash mixes its folded UTF-8
bytes; a shingle's mixes a polynomial of its word hashes with their number, so `ab c` and `a bc` differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filters.words.folding import fold_table
from filters.words.word_runs import HIGH, LOWER, WORD_MULTIPLIER, WORD_SEED, hash_run, put_folded, put_words
from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch
from pipeline.core.text.bits import (
    ALL_BITS,
    ONE_BIT,
    address_of,
    copy_16,
    fold_product,
    fold_product_wide,
    load_byte,
    ones_in,
    range_mask,
    range_mask_64,
    store_ones,
    zeros_below,
)

BLOCK = 512  # runs hashed at a time: their bytes and places fill half a first-level cache
ROOM = 64  # runs that may come on top: those that end in the same 64 bytes
AT_ONCE = 32  # bounds that `store_ones` writes down; 64 bytes of documentation hold 18
NO_BITS, EIGHT, SIXTEEN, SHIFT_63 = (np.uint64(number) for number in (0, 8, 16, 63))
_ROLL_BASE = np.uint64(0x2545F4914F6CDD1D)
_SHINGLE_SEED = np.uint64(0xA0761D6478BD642F)
_SHINGLE_MULTIPLIER = np.uint64(0xE7037ED1A0B428DB)


@dataclass(frozen=True, slots=True)
class WordHashes:
    """The word hashes of a batch: document d has hashes[offsets[d]:offsets[d + 1]]."""

    hashes: np.ndarray  # uint64[num_words]
    offsets: np.ndarray  # int64[num_docs + 1]
    spans: np.ndarray  # int64[num_words, 2], byte start and end in the batch's data; empty if not asked for


def words_of(batch: Batch, *, spans: bool = False) -> WordHashes:
    """Hash every word of every document."""
    table = fold_table()
    hashes, offsets, found = hash_words(batch.data, batch.offsets, table.page, table.folded, spans)
    return WordHashes(hashes=hashes, offsets=offsets, spans=found)


@njit(cache=True, nogil=True)
def hash_words(
    data: np.ndarray, offsets: np.ndarray, page: np.ndarray, folded: np.ndarray, with_spans: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (uint64[num_words] hashes, int64[num_docs + 1] offsets, int64[num_words or 0, 2] byte spans)."""
    num_docs = len(offsets) - 1
    most_words = (offsets[num_docs] - offsets[0]) // 2 + num_docs + 1  # a word and its separator take two bytes
    hashes = np.empty(most_words, np.uint64)
    spans = np.empty((most_words if with_spans else 0, 2), np.int64)
    word_offsets = np.zeros(num_docs + 1, np.int64)
    bounds = np.empty(2 * (BLOCK + ROOM), np.int64)  # addresses where runs that are not yet hashed begin and end
    text, flags = np.zeros(2 * (BLOCK + ROOM), np.uint64), np.empty(BLOCK + ROOM, np.uint8)
    room = text, flags, np.empty(BLOCK + ROOM, np.uint64), np.empty(BLOCK + ROOM, np.int64)
    tail = np.zeros(64, np.uint8)  # the last bytes of all, if less than 64
    base, tables = address_of(data), (address_of(page), address_of(folded))
    limit, bounds_at = base + len(data), address_of(bounds)
    places = base, address_of(hashes), address_of(spans) if with_spans else 0
    num_words = num_bounds = first_doc = 0
    for doc in range(num_docs):
        at, end = base + offsets[doc], base + offsets[doc + 1]
        inside = NO_BITS
        while at <= end:  # a last block, empty where need be, closes the last run
            block = at
            if at + 64 > limit:
                block = address_of(tail)
                for index in range(limit - at):
                    tail[index] = load_byte(at + index)
            within = ALL_BITS if end - at >= 64 else (ONE_BIT << np.uint64(end - at)) - ONE_BIT
            mask = _word_bytes(block) & within
            changes = mask ^ (mask << ONE_BIT | inside)
            inside = mask >> SHIFT_63
            past = num_bounds + ones_in(changes)
            store_ones(bounds_at + 8 * num_bounds, changes, at)
            if past > num_bounds + AT_ONCE:
                for index in range(num_bounds, past):
                    bounds[np.uintp(index)] = at + zeros_below(changes)
                    changes &= changes - ONE_BIT
            num_bounds = past
            at += 64
            if num_bounds >= 2 * BLOCK:
                ends = word_offsets[first_doc + 1 : doc + 1]
                runs = bounds[: num_bounds & ~1]
                num_words = _hash_runs(runs, limit, room, tables, places, hashes, num_words, ends)
                bounds[0] = bounds[num_bounds - 1]  # of a run that is not closed
                num_bounds &= 1
                first_doc = doc
        word_offsets[doc + 1] = num_words + (num_bounds >> 1)
    ends = word_offsets[first_doc + 1 :]
    num_words = _hash_runs(bounds[:num_bounds], limit, room, tables, places, hashes, num_words, ends)
    return hashes[:num_words], word_offsets, spans[: num_words if with_spans else 0]


@njit(cache=True, nogil=True, forceinline=True)
def _word_bytes(at: int) -> np.uint64:
    """Return as bits which of 64 bytes belong to runs: ASCII letters and digits, and all that is not ASCII."""
    return range_mask_64(at, 0x20, 0x61, 26) | range_mask_64(at, 0, 0x30, 10) | range_mask_64(at, 0, 0x80, 128)


@njit(cache=True, nogil=True)
def _hash_runs(
    bounds: np.ndarray,
    limit: int,
    room: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    tables: tuple[int, int],
    places: tuple[int, int, int],
    hashes: np.ndarray,
    num_words: int,
    ends: np.ndarray,
) -> int:
    """Hash the words of a few hundred runs behind the `num_words` that are known; return how many there are then.

    `ends` says how many words there are at the end of each document, one for each run, and is put right.
    """
    text, flags, values, others = room
    num_runs = len(bounds) >> 1
    text_at, flags_at, last_safe = address_of(text), address_of(flags), limit - 16
    if last_safe >= places[0]:
        for run in range(num_runs):
            copy_16(text_at + 16 * run, min(bounds[np.uintp(2 * run)], last_safe))
    into = hashes[num_words : num_words + num_runs]
    _hash_short(text, bounds, last_safe, into, flags)
    num_others = 0
    for group in range(0, num_runs, 64):
        odd = range_mask(flags_at + group, flags_at + num_runs, flags_at + num_runs, 0, 1, 2)
        while odd:
            place = np.uintp(group + zeros_below(odd))
            odd &= odd - ONE_BIT
            value = NO_BITS
            if flags[place] == 2:
                value = hash_run(bounds[2 * place], bounds[2 * place + 1], limit)
                into[place] = value
            others[np.uintp(num_others)] = place
            num_others += value == NO_BITS
    if num_others == 0 and not places[2]:
        return num_words + num_runs
    for index in range(num_runs):
        values[index] = into[index]
    values_at, bounds_at, hashes_at = address_of(values), address_of(bounds), places[1]
    out = hashes_at + 8 * num_words
    done = doc = 0
    for index in range(num_others):
        run = others[np.uintp(index)]
        while doc < len(ends) and ends[np.uintp(doc)] - num_words <= run:
            ends[np.uintp(doc)] += ((out - hashes_at) >> 3) - num_words - done
            doc += 1
        out = put_words(places, out, values_at, bounds_at, done, run)
        out = put_folded(bounds[np.uintp(2 * run)], bounds[np.uintp(2 * run + 1)], tables, places, out)
        done = run + 1
    for rest in range(doc, len(ends)):
        ends[rest] += ((out - hashes_at) >> 3) - num_words - done
    return (put_words(places, out, values_at, bounds_at, done, num_runs) - hashes_at) >> 3


@njit(cache=True, nogil=True)
def _hash_short(halves: np.ndarray, bounds: np.ndarray, last_safe: int, hashes: np.ndarray, odd: np.ndarray) -> None:
    """Hash runs of up to 16 ASCII bytes, of which `halves` holds two words each; the others are odd.

    Odd is 1 for a run that is not ASCII, 2 for one whose hash needs bytes that are not there.

    There are no branches, so LLVM makes vector instructions of it, eight runs at a time.
    """
    for run in range(len(hashes)):
        start = bounds[2 * run]
        size = np.uint64(bounds[2 * run + 1] - start)
        keep = ALL_BITS >> (EIGHT * (EIGHT - min(size, EIGHT)) & SHIFT_63)
        keep_more = ALL_BITS >> (EIGHT * (SIXTEEN - size) & SHIFT_63)
        low, high = halves[2 * run] & keep, halves[2 * run + 1] & keep_more
        long = size > EIGHT
        first = fold_product_wide(WORD_SEED ^ (low | LOWER & keep), WORD_MULTIPLIER)
        second = fold_product_wide(first ^ (high | LOWER & keep_more), WORD_MULTIPLIER)
        hashes[run] = max(second if long else first, ONE_BIT)
        foreign = (low | (high if long else NO_BITS)) & HIGH != NO_BITS
        odd[run] = 2 if (size > SIXTEEN) | (start > last_safe) else foreign


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
