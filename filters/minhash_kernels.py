"""Word hashes to MinHash signatures, band keys and similarities: the arithmetic of fuzzy dedup, free of files.

Hash value i of a shingle is `a[i] * x + b[i]` modulo 2^32, a[i] odd, x the lower half of the shingle's 64-bit hash;
a signature holds the minimum of each over the document. 32-bit lanes need half the multiplications' width of the
usual 61-bit family: 112 values are seven AVX-512 registers. Because x is already well mixed, agreement of two
signatures estimates the Jaccard similarity as well as independent hash functions would (tests/filters/test_minhash.py
measures bias and variance). Minima crowd together only near 2^32 / 112 shingles, so no document is cut short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from filters.folding import fold_table
from filters.shingles import finish_shingle, hash_words, roll, roll_power
from pipeline.core.bits import fold_product
from pipeline.core.rng import generator
from pipeline.core.text import Batch

CHUNK_BYTES = 1 << 20  # text hashed at a time, so that the word hashes stay in the cache
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
    power = roll_power(shingle_words)
    pending = np.empty(4, np.uint32)
    for doc in range(len(offsets) - 1):
        first, end = offsets[doc], offsets[doc + 1]
        minimum = values[doc]
        minimum[:] = EMPTY
        length = min(shingle_words, end - first)
        rolled = np.uint64(0)
        num_pending = 0
        for index in range(first, end):
            rolled = roll(rolled, words[index])
            if index - first >= shingle_words:
                rolled -= words[index - shingle_words] * power
            if index - first >= length - 1:
                pending[num_pending] = np.uint32(finish_shingle(rolled, length))
                num_pending += 1
                if num_pending == 4:
                    _lower_by_four(minimum, factors, addends, pending[0], pending[1], pending[2], pending[3])
                    num_pending = 0
        for index in range(num_pending):
            _lower_by_four(minimum, factors, addends, pending[index], pending[index], pending[index], pending[index])


@njit(cache=True, nogil=True)
def _lower_by_four(
    minimum: np.ndarray,
    factors: np.ndarray,
    addends: np.ndarray,
    x0: np.uint32,
    x1: np.uint32,
    x2: np.uint32,
    x3: np.uint32,
) -> None:
    """Lower each minimum by the hash values of four shingles; LLVM makes 16 lanes of it."""
    for lane in range(len(minimum)):
        a, b = factors[lane], addends[lane]
        left = min(np.uint32(a * x0 + b), np.uint32(a * x1 + b))
        right = min(np.uint32(a * x2 + b), np.uint32(a * x3 + b))
        minimum[lane] = min(minimum[lane], min(left, right))


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
def agreement(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return float32[num_pairs]: the share of equal values in each pair of signatures, an estimate of Jaccard."""
    num_pairs, num_values = left.shape
    shares = np.empty(num_pairs, np.float32)
    for pair in range(num_pairs):
        equal = 0
        for value in range(num_values):
            equal += left[pair, value] == right[pair, value]
        shares[pair] = equal / num_values
    return shares


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
