"""Items of words -> an index of their shingles, and the runs of a batch of documents that stand in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from filters.words.shingles import finish_shingle, roll, roll_power, shingle_hashes, words_of
from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch

FILTER_BITS_PER_HASH = 16
_ONE = np.uint64(1)


@dataclass(frozen=True, slots=True)
class ShingleIndex:
    """The shingles of all evaluation items, sorted, each with the first item that has it."""

    lengths: np.ndarray  # int64: words per shingle, descending; more than one where short items count as a whole
    hashes: np.ndarray  # uint64[num_shingles], ascending
    owners: np.ndarray  # int64[num_shingles], item numbers
    filter: np.ndarray  # uint64 bit table, a power of two long


def build_index(texts: list[str], *, ngram: int, min_item_words: int) -> ShingleIndex:
    """Index every run of `ngram` words, and as a whole the items shorter than that of `min_item_words` or more."""
    words = words_of(Batch.from_texts(texts))
    shingles, offsets = shingle_hashes(words.hashes, words.offsets, ngram)
    num_words = np.diff(words.offsets)
    owners = np.repeat(np.arange(len(texts)), np.diff(offsets))
    counts = num_words[owners] >= min(min_item_words, ngram)
    hashes, first = np.unique(shingles[counts], return_index=True)
    lengths = np.unique(np.minimum(num_words[num_words >= min(min_item_words, ngram)], ngram))[::-1]
    bits = 1 << max(FILTER_BITS_PER_HASH * len(hashes), 64).bit_length()
    table = np.zeros(bits // 64, np.uint64)
    np.bitwise_or.at(table, (hashes & np.uint64(bits - 1)) >> np.uint64(6), filter_mask(hashes))
    return ShingleIndex(lengths=lengths.copy(), hashes=hashes, owners=owners[counts][first], filter=table)


@njit(cache=True, nogil=True)
def filter_mask(hashes: Any) -> Any:
    """Return the two bits that a shingle sets in its word of the bit table."""
    return (_ONE << (hashes & np.uint64(63))) | (_ONE << (hashes >> np.uint64(58)))


@njit(cache=True, nogil=True)
def find_runs(
    words: np.ndarray,
    offsets: np.ndarray,
    lengths: np.ndarray,
    hashes: np.ndarray,
    owners: np.ndarray,
    bits: np.ndarray,
) -> np.ndarray:
    """Return int64[num_docs, 5]: runs found, words covered, first run's first word, end of its stretch, its item.

    Word numbers count from the start of the document. The first run is the one that starts first, the longest of
    equals; its stretch ends before the first word that no run covers.
    """
    found = np.zeros((len(offsets) - 1, 5), np.int64)
    covered = np.zeros(len(words), np.uint8)
    last_bit = np.uint64(64 * len(bits) - 1)
    for length in lengths:
        power = roll_power(length)
        for doc in range(len(offsets) - 1):
            first, end = offsets[doc], offsets[doc + 1]
            marked = first
            rolled = np.uint64(0)
            for index in range(first, end):
                rolled = roll(rolled, words[index])
                if index - first >= length:
                    rolled -= words[index - length] * power
                if index - first < length - 1:
                    continue
                value = finish_shingle(rolled, length)
                mask = filter_mask(value)
                if bits[(value & last_bit) >> np.uint64(6)] & mask != mask:
                    continue
                place = np.searchsorted(hashes, value)
                if place == len(hashes) or hashes[place] != value:
                    continue
                start = index + 1 - length
                if found[doc, 0] == 0 or start - first < found[doc, 2]:
                    found[doc, 2] = start - first
                    found[doc, 4] = owners[place]
                found[doc, 0] += 1
                marked = max(marked, start)
                covered[marked : index + 1] = 1
                marked = index + 1
    for doc in range(len(offsets) - 1):
        if found[doc, 0] > 0:
            first, end = offsets[doc], offsets[doc + 1]
            found[doc, 1] = covered[first:end].sum()
            stretch = first + found[doc, 2]
            while stretch < end and covered[stretch]:
                stretch += 1
            found[doc, 3] = stretch - first
    return found
