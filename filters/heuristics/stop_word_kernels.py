"""A list of stop words -> how many different ones of it occur in each document.

Words are those of `filters/words/shingles.py`: runs of letters and digits whatever their case and accents, so French
`l'homme` is two words. A character of a script without spaces is a word of its own there, and an entry may be several
words in a row: so Chinese and Japanese entries are found wherever their characters stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from filters.words.shingles import words_of
from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch
from pipeline.core.text.bits import fold_product

NO_HASH = np.uint64(0)  # in a table: nothing; no word has it
SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class StopWords:
    """A list of stop words, to be looked up by their hashes; entries that fold to the same words are one."""

    table: np.ndarray  # uint64[2 ** n]: the hash of an entry's first word, at the place that it names or after it
    owners: np.ndarray  # int64[2 ** n]: its entry
    hashes: np.ndarray  # uint64[num_hashes], the words of all entries
    offsets: np.ndarray  # int64[num_entries + 1]: entry e is hashes[offsets[e]:offsets[e + 1]]

    @staticmethod
    def of(entries: Sequence[str]) -> StopWords:
        """Return the list of these entries; one without a word counts for nothing."""
        words = words_of(Batch.from_texts(list(entries)))
        spans = zip(words.offsets[:-1], words.offsets[1:], strict=True)
        keys = dict.fromkeys(tuple(words.hashes[first:past].tolist()) for first, past in spans if past > first)
        hashes = np.array([value for key in keys for value in key], np.uint64)
        offsets = np.cumsum([0, *map(len, keys)]).astype(np.int64)
        size = 1 << max(6, (2 * len(keys)).bit_length())
        table, owners = np.zeros(size, np.uint64), np.zeros(size, np.int64)
        fill_table(table, owners, hashes, offsets)
        return StopWords(table=table, owners=owners, hashes=hashes, offsets=offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def count(self, batch: Batch) -> np.ndarray:
        """Return int64[num_docs]: how many different entries occur in each document."""
        words = words_of(batch)
        found: np.ndarray = count_different(
            words.hashes, words.offsets, self.table, self.owners, self.hashes, self.offsets
        )
        return found


@njit(cache=True, nogil=True, forceinline=True)
def place_of(value: Any, mask: Any) -> Any:
    """Return the first place of a hash in a table of mask + 1 places."""
    return np.int64(fold_product(value, SPREAD) & np.uint64(mask))


@njit(cache=True, nogil=True)
def fill_table(table: Any, owners: Any, hashes: Any, offsets: Any) -> None:
    """Put every entry into an empty table of more places than entries."""
    mask = len(table) - 1
    for entry in range(len(offsets) - 1):
        value = hashes[offsets[entry]]
        place = place_of(value, mask)
        while table[place] != NO_HASH:
            place = (place + 1) & mask
        table[place], owners[place] = value, entry


@njit(cache=True, nogil=True)
def count_different(words: Any, doc_offsets: Any, table: Any, owners: Any, hashes: Any, offsets: Any) -> Any:
    """Return int64[num_docs]: how many different entries occur among the word hashes of each document."""
    mask = len(table) - 1
    counts = np.zeros(len(doc_offsets) - 1, np.int64)
    last_in = np.full(len(offsets) - 1, -1, np.int64)  # the last document that had each entry
    for doc in range(len(doc_offsets) - 1):
        past = doc_offsets[doc + 1]
        for at in range(doc_offsets[doc], past):
            value = words[at]
            place = place_of(value, mask)
            while table[place] != NO_HASH:
                if table[place] == value:
                    entry = owners[place]
                    if last_in[entry] != doc:
                        first, size = offsets[entry], offsets[entry + 1] - offsets[entry]
                        same = at + size <= past
                        for step in range(1, size if same else 0):
                            same = same and words[at + step] == hashes[first + step]
                        if same:
                            last_in[entry] = doc
                            counts[doc] += 1
                place = (place + 1) & mask
    return counts
