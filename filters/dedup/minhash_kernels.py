"""Word hashes to MinHash signatures, band keys and similarities: the arithmetic of fuzzy dedup, free of files.

Hash value i of a shingle is `a[i] * x + b[i]` modulo 2^32, a[i] odd, x the lower half of the shingle's 64-bit hash; a
signature holds the minimum of each over the document. 32-bit lanes need half the multiplications' width of the usual
61-bit family: 112 values are seven AVX-512 registers. Because x is already well mixed, agreement of two signatures
estimates the Jaccard similarity as well as independent hash functions would (tests/filters/dedup/test_minhash.py
measures bias and variance). Minima crowd together only near 2^32 / 112 shingles, so no document is cut short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filters.words.folding import fold_table
from filters.words.shingles import hash_words, mix_runs, shingle_of
from pipeline.core.process.kernels import njit
from pipeline.core.rng import generator
from pipeline.core.text.batch import Batch
from pipeline.core.text.bits import address_of, fold_product, lower_16, lower_112

CHUNK_BYTES = 1 << 20  # text hashed at a time, so that the word hashes stay in the cache
LANES = 16  # minima to a vector
AT_ONCE = 512  # shingles mixed at a time
EMPTY = np.uint32(0xFFFFFFFF)  # every value of a document without words

_BAND_SEED = np.uint64(0x8EBC6AF09C88C6E3)
_BAND_MULTIPLIER = np.uint64(0x589965CC75374CC3)


@dataclass(frozen=True, slots=True)
class HashFamily:
    """The hash functions of all bands, `bands * rows` of them."""

    factors: np.ndarray  # uint32[num_values], odd
    addends: np.ndarray  # uint32[num_values]


@dataclass(frozen=True, slots=True)
class Signatures:
    """What MinHash keeps of a batch."""

    values: np.ndarray  # uint32[num_docs, num_values]
    num_words: np.ndarray  # int64[num_docs]


def hash_family(seed: int, *, num_values: int) -> HashFamily:
    """Draw the hash functions; the same for the same seed on every machine."""
    draw = generator(seed, "minhash")
    factors = draw.integers(0, 1 << 32, num_values, dtype=np.uint32) | np.uint32(1)
    return HashFamily(factors=factors, addends=draw.integers(0, 1 << 32, num_values, dtype=np.uint32))


def signatures_of(batch: Batch, *, family: HashFamily, shingle_words: int) -> Signatures:
    """Return the signature of every document."""
    table = fold_table()
    values = np.empty((len(batch), len(family.factors)), np.uint32)
    num_words = np.empty(len(batch), np.int64)
    for first, end in document_chunks(batch.offsets):
        hashes, offsets, _ = hash_words(batch.data, batch.offsets[first : end + 1], table.page, table.folded, False)
        minima(hashes, offsets, shingle_words, family.factors, family.addends, values[first:end])
        num_words[first:end] = np.diff(offsets)
    return Signatures(values=values, num_words=num_words)


def document_chunks(offsets: np.ndarray) -> list[tuple[int, int]]:
    """Cut a batch into runs of whole documents of about CHUNK_BYTES, as (first, end) document numbers."""
    num_docs = len(offsets) - 1
    chunks = []
    first = 0
    while first < num_docs:
        end = int(np.searchsorted(offsets, offsets[first] + CHUNK_BYTES, side="right")) - 1
        end = min(max(end, first + 1), num_docs)
        chunks.append((first, end))
        first = end
    return chunks


@njit(cache=True, nogil=True)
def minima(
    words: np.ndarray,
    offsets: np.ndarray,
    shingle_words: int,
    factors: np.ndarray,
    addends: np.ndarray,
    values: np.ndarray,
) -> None:
    """Fill uint32 values[num_docs, num_values] with the minima over each document's shingles."""
    num_values = len(factors)
    scratch = np.zeros((3, -(-num_values // LANES) * LANES), np.uint32)  # factors, addends and minima by whole vectors
    for index in range(num_values):
        scratch[0, index], scratch[1, index] = factors[index], addends[index]
    minimum = scratch[2]
    keys, lone = shingle_keys(words, shingle_words), np.empty(1, np.uint32)
    places = address_of(minimum), address_of(scratch[0]), address_of(scratch[1])
    for doc in range(len(offsets) - 1):
        first, end = offsets[doc], offsets[doc + 1]
        here, num_keys = address_of(keys) + 4 * first, end - first - shingle_words + 1
        if num_keys < 1:
            lone[0] = shingle_of(words[first:end])
            here, num_keys = address_of(lone), np.int64(end > first)
        minimum[:] = EMPTY
        _lower(places, len(minimum), here, num_keys)
        into = values[doc]
        for index in range(num_values):
            into[index] = minimum[index]


@njit(cache=True, nogil=True)
def shingle_keys(words: np.ndarray, num_words: int) -> np.ndarray:
    """Return the lower halves of the hashes of all runs of words, those that reach into the next document too."""
    keys = np.empty(max(len(words) - num_words + 1, 0), np.uint32)
    mixed = np.empty(AT_ONCE, np.uint64)
    for first in range(0, len(keys), AT_ONCE):
        into = keys[first : first + AT_ONCE]
        mix_runs(words[first:], num_words, mixed[: len(into)])
        for index in range(len(into)):
            into[index] = np.uint32(mixed[index])
    return keys


@njit(cache=True, nogil=True)
def _lower(places: tuple[int, int, int], num_lanes: int, keys_at: int, num_keys: int) -> None:
    """Lower the minima by the hash values of all keys."""
    minima_at, factors_at, addends_at = places
    lane = 0
    while lane + 7 * LANES <= num_lanes:
        lower_112(minima_at + 4 * lane, factors_at + 4 * lane, addends_at + 4 * lane, keys_at, num_keys)
        lane += 7 * LANES
    while lane < num_lanes:
        lower_16(minima_at + 4 * lane, factors_at + 4 * lane, addends_at + 4 * lane, keys_at, num_keys)
        lane += LANES


@njit(cache=True, nogil=True)
def band_keys(values: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """Return uint64[bands, num_docs]: one 64-bit key for the `rows` values of each band."""
    num_docs = len(values)
    keys = np.empty((bands, num_docs), np.uint64)
    for doc in range(num_docs):
        for band in range(bands):
            state = _BAND_SEED
            for row in range(band * rows, (band + 1) * rows):
                state = fold_product(state ^ np.uint64(values[doc, row]), _BAND_MULTIPLIER)
            keys[band, doc] = state
    return keys


@njit(cache=True, nogil=True)
def equal_values(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return int64[num_pairs]: how many values of each pair of signatures are equal; their share estimates Jaccard."""
    num_pairs, num_values = left.shape
    found = np.empty(num_pairs, np.int64)
    for pair in range(num_pairs):
        equal = 0
        for value in range(num_values):
            equal += left[pair, value] == right[pair, value]
        found[pair] = equal
    return found


@njit(cache=True, nogil=True)
def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Return the Jaccard similarity of two sorted arrays without repeats; 0 if both are empty."""
    shared = i = j = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            shared += 1
            i += 1
            j += 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    union = len(left) + len(right) - shared
    return shared / union if union > 0 else 0.0
