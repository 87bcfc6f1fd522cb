"""Documents -> their first words as hashes, the kinds of their lines, and the bytes that both come from.

Every document is cut after so many words, since every measure of diversity moves with length (arXiv 2507.15092): what
is compared must be cut alike. A *word* is a run of ASCII letters, digits and other letters, in lower case; a run of
digits counts as one sign, so that a template is seen through the numbers in it. A character from U+3000 on is a word
of its own. A *skeleton* is the sequence of kinds of lines (heading, item, number, table, code, question...), runs of
one kind counted once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch

NO_LIMIT = 2**31
_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
_BLANK, _HEADING, _ITEM, _NUMBERED, _TABLE, _CODE, _LEAD_IN, _QUESTION, _SHORT, _LONG = range(1, 11)
_SHORT_LINE = 60  # bytes


@dataclass(frozen=True, slots=True)
class Words:
    """Documents cut after so many words: those of document d are hashes[offsets[d]:offsets[d + 1]]."""

    hashes: np.ndarray  # uint64[num_words]
    offsets: np.ndarray  # int64[num_docs + 1]
    skeletons: np.ndarray  # uint64[num_docs]
    data: np.ndarray  # uint8[num_bytes], of the documents as cut
    byte_offsets: np.ndarray  # int64[num_docs + 1]

    def __len__(self) -> int:
        return len(self.skeletons)

    @property
    def counts(self) -> np.ndarray:
        """int64[num_docs], words of each document."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> Words:
        """Return some documents, in the order of `rows`."""
        hashes, offsets = _taken(self.hashes, self.offsets, rows)
        data, byte_offsets = _taken(self.data, self.byte_offsets, rows)
        return Words(hashes, offsets, self.skeletons[rows], data, byte_offsets)

    def documents(self) -> np.ndarray:
        """Return int64[num_words], the document of every word."""
        return np.repeat(np.arange(len(self)), self.counts)


def read_words(batch: Batch, *, most: int = NO_LIMIT) -> Words:
    """Read the first `most` words of every document."""
    if not len(batch):
        return joined([])
    data, offsets = batch.data, batch.offsets
    hashes, word_offsets, ends, skeletons = _read(data, offsets, most)
    starts = offsets[:-1]
    byte_offsets = np.concatenate([[0], np.cumsum(ends - starts)])
    cut = data[_places(starts, ends - starts)]
    return Words(hashes, word_offsets, skeletons, cut, byte_offsets)


def joined(parts: list[Words]) -> Words:
    """Lay documents one after the other."""
    return Words(
        np.concatenate([np.zeros(0, np.uint64), *(part.hashes for part in parts)]),
        np.cumsum(np.concatenate([[0], *(part.counts for part in parts)]), dtype=np.int64),
        np.concatenate([np.zeros(0, np.uint64), *(part.skeletons for part in parts)]),
        np.concatenate([np.zeros(0, np.uint8), *(part.data for part in parts)]),
        np.cumsum(np.concatenate([[0], *(np.diff(part.byte_offsets) for part in parts)]), dtype=np.int64),
    )


def _taken(values: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.diff(offsets)[rows]
    return values[_places(offsets[:-1][rows], sizes)], np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _places(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return int64[sum of sizes], the places of stretches that begin at `starts`."""
    before = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(starts - before, sizes)


@njit(cache=True, nogil=True)
def _read(data: np.ndarray, offsets: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    num_docs = len(offsets) - 1
    hashes = np.empty((offsets[num_docs] - offsets[0]) // 2 + num_docs + 1, np.uint64)
    word_offsets, ends = np.zeros(num_docs + 1, np.int64), np.zeros(num_docs, np.int64)
    skeletons = np.zeros(num_docs, np.uint64)
    num_words = 0
    for doc in range(num_docs):
        at, end, own = offsets[doc], offsets[doc + 1], 0
        line = at
        skeleton, last_kind = _SEED, 0
        while at < end and own < most:
            byte = data[at]
            if byte == 10:
                kind = _kind_of(data, line, at)
                if kind != last_kind:
                    skeleton = (skeleton ^ np.uint64(kind)) * _PRIME
                last_kind, line = kind, at + 1
            size = _word_at(data, at, end)
            if size == 0:
                at += 1
                continue
            hashes[num_words] = _hash_of(data, at, at + size)
            num_words, own, at = num_words + 1, own + 1, at + size
        if own < most:
            at = end
        if line < at:
            kind = _kind_of(data, line, at)
            if kind != last_kind:
                skeleton = (skeleton ^ np.uint64(kind)) * _PRIME
        ends[doc], word_offsets[doc + 1], skeletons[doc] = at, num_words, skeleton
    return hashes[:num_words].copy(), word_offsets, ends, skeletons


@njit(cache=True, nogil=True)
def _word_at(data: np.ndarray, at: int, end: int) -> int:
    """Return how many bytes the word that begins here has, 0 if none does."""
    start = at
    while at < end:
        byte = data[at]
        if byte >= 0xE3:  # from U+3000 on: one character, one word
            if at > start:
                return at - start
            return min(3 if byte < 0xF0 else 4, end - at)
        letter = (97 <= (byte | 32) <= 122) or (48 <= byte <= 57)
        mark = byte == 0xE2 and at + 1 < end and (data[at + 1] == 0x80 or data[at + 1] == 0x81)  # quotes and dashes
        if not letter and (byte < 0x80 or mark):
            break
        at += 3 if byte == 0xE2 else 1
    return min(at, end) - start


@njit(cache=True, nogil=True)
def _hash_of(data: np.ndarray, start: int, end: int) -> np.uint64:
    value, in_number = _SEED, False
    for at in range(start, end):
        byte = data[at]
        digit = 48 <= byte <= 57
        if digit and in_number:
            continue
        in_number = digit
        if digit:
            byte = np.uint8(48)
        elif 65 <= byte <= 90:
            byte = np.uint8(byte + 32)
        value = (value ^ np.uint64(byte)) * _PRIME
    value = (value ^ (value >> _SHIFT)) * _MIX
    return (value ^ (value >> _SHIFT)) | np.uint64(1)  # never 0, which tables take for an empty place


@njit(cache=True, nogil=True)
def _kind_of(data: np.ndarray, start: int, end: int) -> int:
    first, last = start, end
    while first < last and (data[first] == 32 or data[first] == 9):
        first += 1
    while last > first and (data[last - 1] == 32 or data[last - 1] == 13):
        last -= 1
    if first == last:
        return _BLANK
    byte = data[first]
    if first - start >= 4 or (first > start and data[start] == 9):
        return _CODE
    if byte == 35:
        return _HEADING
    if byte == 124:
        return _TABLE
    if (byte == 45 or byte == 42) and first + 1 < last and data[first + 1] == 32:
        return _ITEM
    if 48 <= byte <= 57 and first + 1 < last and (data[first + 1] == 46 or data[first + 1] == 41):
        return _NUMBERED
    if data[last - 1] == 58:
        return _LEAD_IN
    if data[last - 1] == 63:
        return _QUESTION
    return _SHORT if last - first < _SHORT_LINE else _LONG
