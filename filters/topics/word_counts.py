"""Documents -> how often each word stands in them, for the words of a vocabulary that a sample of them has.

Words are those of `filters/words/shingles.py` and are known by their 64-bit hashes, so a vocabulary is exact, needs no
strings, and is looked up in a table that fits the second cache. In it are words of two bytes or more that do not begin
with a digit and stand in several documents of the sample, but in no more than half of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from filters.words.shingles import words_of
from pipeline.core.files.parquet.shards import windows
from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch

MOST_WORDS = 30_000  # of a vocabulary
MOST_COMMON = 0.5  # share of the documents in which a word may stand: what more have is no topic's


@dataclass(frozen=True, slots=True)
class Counts:
    """Document d has words[starts[d]:starts[d + 1]], each once, and how often it has them."""

    words: np.ndarray  # int32[num_entries], numbers of the vocabulary
    times: np.ndarray  # int32[num_entries]
    starts: np.ndarray  # int64[num_docs + 1]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def where(self, kept: np.ndarray) -> Counts:
        """Return the counts of some of the documents, bool[num_docs]."""
        sizes = np.diff(self.starts)
        entries = np.repeat(kept, sizes)
        return Counts(self.words[entries], self.times[entries], np.concatenate([[0], np.cumsum(sizes[kept])]))


@dataclass(frozen=True)
class Vocabulary:
    """Hashes of words, ascending; word w of a `Counts` is hashes[w]."""

    hashes: np.ndarray  # uint64[num_words]

    @staticmethod
    def of(table: pa.Table) -> Vocabulary:
        """Choose the words of a sample, the most widespread first where there are too many."""
        seen = [_words_by_document(batch) for batch in batches_of(table)]
        every = np.concatenate([np.zeros(0, np.uint64), *seen])
        hashes, documents = np.unique(every, return_counts=True)
        least, most = max(2, table.num_rows // 2000), max(2, MOST_COMMON * table.num_rows)
        fit = np.flatnonzero((documents >= least) & (documents <= most))
        fit = fit[np.argsort(-documents[fit], kind="stable")[:MOST_WORDS]]
        return Vocabulary(np.sort(hashes[fit]))

    @cached_property
    def slots(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (keys uint64, numbers int32): an open hash table at most a quarter full."""
        size = 1 << max(4, (4 * len(self.hashes)).bit_length())
        keys, numbers = np.zeros(size, np.uint64), np.full(size, -1, np.int32)
        _fill(self.hashes, keys, numbers)
        return keys, numbers

    def count(self, batch: Batch) -> Counts:
        """Count the vocabulary's words in every document of a batch."""
        found = words_of(batch)
        return Counts(*_count(found.hashes, found.offsets, *self.slots, len(self.hashes)))

    def count_all(self, table: pa.Table) -> Counts:
        """Count them in every document of a table, a few MB at a time."""
        pieces = [Counts(*(np.zeros(0, np.int32),) * 2, np.zeros(1, np.int64)), *map(self.count, batches_of(table))]
        sizes = np.concatenate([np.diff(piece.starts) for piece in pieces])
        return Counts(
            words=np.concatenate([piece.words for piece in pieces]),
            times=np.concatenate([piece.times for piece in pieces]),
            starts=np.concatenate([[0], np.cumsum(sizes)]),
        )

    def spell(self, wanted: np.ndarray, table: pa.Table) -> dict[int, str]:
        """Return, for the numbers of some words, each as it first stands in a sample, in lower case."""
        found: dict[int, str] = {}
        missing = np.sort(self.hashes[wanted])
        for batch in batches_of(table):
            words = words_of(batch, spans=True)
            met, first = np.unique(words.hashes, return_index=True)
            here = np.isin(met, missing)
            for value, place in zip(met[here], first[here], strict=True):
                start, end = words.spans[place]
                word = batch.data[start:end].tobytes().decode(errors="replace").lower()
                found[int(np.searchsorted(self.hashes, value))] = word
            missing = missing[~np.isin(missing, met)]
        return found


def excerpts(table: pa.Table, *, chars: int) -> pa.Table:
    """Cut the texts of a table with columns `id` and `text` after so many characters."""
    import pyarrow.compute as pc

    text = pc.utf8_slice_codeunits(table.column("text"), 0, chars)
    return pa.table({"id": table.column("id").cast(pa.string()), "text": text})


def batches_of(table: pa.Table) -> Iterator[Batch]:
    """Cut a table into batches of a few MB of text."""
    for start, stop in windows(table):
        if stop > start:
            yield Batch.from_table(table.slice(start, stop - start))


def _words_by_document(batch: Batch) -> np.ndarray:
    """Return uint64: the hashes of a batch that may be in a vocabulary, once for each document that has them."""
    words = words_of(batch, spans=True)
    starts, ends = words.spans.T
    first = batch.data[starts]
    wordy = (ends - starts > 1) & ((first < ord("0")) | (first > ord("9")))
    docs = np.repeat(np.arange(len(batch), dtype=np.int64), np.diff(words.offsets))[wordy]
    hashes = words.hashes[wordy]
    order = np.lexsort((hashes, docs))
    hashes, docs = hashes[order], docs[order]
    new = np.ones(len(hashes), np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (docs[1:] != docs[:-1])
    return hashes[new]


@njit(cache=True, nogil=True)
def _fill(hashes: np.ndarray, keys: np.ndarray, numbers: np.ndarray) -> None:
    last = np.uint64(len(keys) - 1)
    for number in range(len(hashes)):
        at = hashes[number] & last
        while numbers[at] >= 0:
            at = (at + np.uint64(1)) & last
        keys[at], numbers[at] = hashes[number], number


@njit(cache=True, nogil=True)
def find(value: np.uint64, keys: np.ndarray, numbers: np.ndarray) -> int:
    """Return the number of a word, -1 if it is not in the table."""
    last = np.uint64(len(keys) - 1)
    at = value & last
    while numbers[at] >= 0:
        if keys[at] == value:
            return numbers[at]
        at = (at + np.uint64(1)) & last
    return -1


@njit(cache=True, nogil=True)
def _count(
    hashes: np.ndarray, offsets: np.ndarray, keys: np.ndarray, numbers: np.ndarray, num_words: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (words int32, times int32, starts int64[num_docs + 1]), the words of a document as they first stand."""
    words, times = np.empty(len(hashes), np.int32), np.empty(len(hashes), np.int32)
    places = np.zeros(num_words, np.int64)  # 1 + where the word's entry is, if it lies behind the document's start
    starts = np.zeros(len(offsets), np.int64)
    size = 0
    for doc in range(len(offsets) - 1):
        for index in range(offsets[doc], offsets[doc + 1]):
            word = find(hashes[index], keys, numbers)
            if word < 0:
                continue
            if places[word] > starts[doc]:
                times[places[word] - 1] += 1
            else:
                words[size], times[size] = word, 1
                size += 1
                places[word] = size
        starts[doc + 1] = size
    return words[:size], times[:size], starts
