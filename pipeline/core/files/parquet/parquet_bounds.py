"""How many rows of a foreign row group may be decoded together, from its pages' headers and before any of it is.

A parquet file can store a value once and mean it a million times, so 2 kB may decode to 4 GB, in one row or in many.
What pyarrow holds while it reads a batch is at most, for each column, its dictionary, the page it is at, and the
batch's values: those of plain pages cannot be longer than the pages, those that refer to a dictionary not longer than
its longest entry. That sum decides. Ordinary files pass on the headers alone, 64 rows at a time; a dictionary is
unpacked, and nested columns' row starts are counted, only where the sum would be too large without. Where not even
one row fits, nothing of the group is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from pipeline.core.files.parquet.parquet_pages import (
    BY_REFERENCE,
    DATA,
    DATA_V2,
    DELTA_BYTE_ARRAY,
    DICTIONARY,
    PageError,
    ParquetPage,
    longest_entry,
    most_repeats,
    row_starts,
)

AT_ONCE_BYTES = 256 << 20  # decoded together, pages included, where rows can be cut so
ROW_BYTES = 512 << 20  # besides the longest document that the recipe allows: what one row may take to decode
LOOKED_BYTES = 64 << 20  # of a dictionary that is unpacked to find its longest entry; a larger one counts whole
MOST_BYTES = 1 << 62  # where nothing is known
BATCH_ROWS = (64, 16, 4, 1)  # 64 are as fast as 65,536 (1.2 GB/s against 0.5 GB/s of 4 kB texts, pyarrow 26)
FREE_ROWS, ROWS_PER_BYTE = 100_000, 8  # a file has no more rows than these allow: a document takes a bit at least
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}  # bytes; of byte arrays: none


def most_rows(file_bytes: int) -> int:
    """Return how many rows a file of this size may have and be believed."""
    return FREE_ROWS + ROWS_PER_BYTE * file_bytes


@dataclass(slots=True)
class Leaf:
    """A column that holds values, in one row group. What it may decode to is an upper bound that can be made lower."""

    width: int  # bytes of each value, 0 for byte arrays
    levels: int  # of repetition; 0 where each row has one value
    optional: bool  # values may be null
    codec: str
    pages: list[ParquetPage]
    starts: np.ndarray | None = None  # values at which rows begin, once they are known
    data: list[ParquetPage] = field(init=False)
    entry_bytes: int = field(init=False)  # of the longest value that is stored once and may be meant often
    meant: int = field(init=False)  # values that may be such a one
    meant_bytes: int = MOST_BYTES  # of all of them together

    def __post_init__(self) -> None:
        self.data = [page for page in self.pages if page.kind in (DATA, DATA_V2)]
        self.entry_bytes = 0 if self.width else max((self._entry_bound(page) for page in self.data), default=0)
        self.meant = sum(page.num_values for page in self.data if page.encoding in BY_REFERENCE)

    def _entry_bound(self, page: ParquetPage) -> int:
        if page.encoding not in BY_REFERENCE:
            return 0
        return page.size_bytes if page.encoding == DELTA_BYTE_ARRAY else self.dictionary_bytes

    @property
    def dictionary_bytes(self) -> int:
        return max((page.size_bytes for page in self.pages if page.kind == DICTIONARY), default=0)

    @property
    def page_bytes(self) -> int:
        """What the pages themselves take while they are read: a dictionary stays, of the others one is held."""
        return self.dictionary_bytes + max((page.size_bytes for page in self.data), default=0)

    def batch_bytes(self, rows: int, *, enough: int) -> int:
        """Return what any `rows` rows in a line, counted from a multiple of it, take at most, pages included.

        A bound that is found quickly and is not above `enough` is not made closer.
        """
        values = sum(page.num_values for page in self.data)
        stored = [page.size_bytes if self._is_plain(page) else 0 for page in self.data]
        each = self.width + 8 * (1 + self.levels)
        together = values if self.levels else min(rows, values)
        bound = self.page_bytes + together * each + int(self._meant_bytes(together)) + sum(stored)
        if bound <= enough or not values:
            return bound
        first, past = self._batches(rows, values)
        ends = np.cumsum([page.num_values for page in self.data])
        before = np.cumsum([0, *stored])
        pages = before[np.searchsorted(ends, past - 1, "right") + 1] - before[np.searchsorted(ends, first, "right")]
        counts = past - first
        return self.page_bytes + int((counts * each + self._meant_bytes(counts) + pages).max())

    def _meant_bytes(self, values: int | np.ndarray) -> np.ndarray:
        """Return what so many values take at most that are stored once and meant often."""
        return np.minimum(np.minimum(values, self.meant) * self.entry_bytes, self.meant_bytes)

    def _is_plain(self, page: ParquetPage) -> bool:
        return not self.width and page.encoding not in BY_REFERENCE

    def _batches(self, rows: int, values: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the first value of each batch and the one after its last."""
        if self.levels and self.starts is None:
            return np.array([0]), np.array([values])  # one row may hold them all
        first = np.arange(0, values, rows) if self.starts is None else self.starts[::rows]
        return first, np.append(first[1:], values)

    def look_inside(self, handle: int, *, rows: int, enough: int) -> None:
        """Lower the bound of 64 rows as far as to `enough`, by what costs least first.

        That is how often one entry is meant, then how long the longest is, then where nested rows begin. The bound
        stays where the pages do not tell.
        """
        delta = any(page.encoding == DELTA_BYTE_ARRAY for page in self.data)
        dictionaries = [page for page in self.pages if page.kind == DICTIONARY]
        with suppress(PageError):
            if self.entry_bytes and not delta and not self.levels:
                self.meant_bytes = self._repeats(handle)
            if self._exceeds(enough) and self.entry_bytes and not delta and self.dictionary_bytes <= LOOKED_BYTES:
                self.entry_bytes = max((longest_entry(handle, page, self.codec) for page in dictionaries), default=0)
            if self._exceeds(enough) and self.levels:
                starts = row_starts(handle, self.data, self.codec, levels=self.levels, most_rows=rows)
                self.starts = starts if len(starts) and starts[0] == 0 else None

    def _exceeds(self, enough: int) -> bool:
        return self.batch_bytes(BATCH_ROWS[0], enough=enough) > enough

    def _repeats(self, handle: int) -> int:
        """Return the bytes of the whole dictionary, meant as often as the entry that is meant most."""
        most, found = BATCH_ROWS[0], 0
        for page in self.data:
            if page.encoding in BY_REFERENCE:
                found += most_repeats(handle, page, self.codec, optional=self.optional, most=most)
            if found >= most:
                return MOST_BYTES
        return found * self.dictionary_bytes


def rows_at_once(handle: int, leaves: Sequence[Leaf], *, rows: int, row_bytes: int) -> tuple[int, int]:
    """Return how many rows may be decoded together, 0 for none, and the bytes that they take at most."""
    if sum(leaf.page_bytes for leaf in leaves) > row_bytes:
        return 0, 0
    most = BATCH_ROWS[0]
    sizes = [leaf.batch_bytes(most, enough=AT_ONCE_BYTES) for leaf in leaves]
    for number in sorted(range(len(leaves)), key=lambda number: -sizes[number]):  # most is learnt from the largest
        if sum(sizes) <= AT_ONCE_BYTES:
            break
        leaves[number].look_inside(handle, rows=rows, enough=AT_ONCE_BYTES // 3)
        sizes[number] = leaves[number].batch_bytes(most, enough=AT_ONCE_BYTES // 3)
    for together in BATCH_ROWS:
        size = sum(leaf.batch_bytes(together, enough=0) for leaf in leaves)
        if size <= (AT_ONCE_BYTES if together > 1 else row_bytes):
            return together, size
    return 0, 0
