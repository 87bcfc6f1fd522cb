"""One batch of documents as Arrow buffers, and what several steps need of it, each computed once.

Kernels take `(data: uint8[num_bytes], offsets: int64[num_docs + 1])`; Batch makes these without a copy. Words and
lines (definitions: `pipeline.core.text.find_words`, `pipeline.core.text.segment`) are found when the first step asks.
Positions are 32-bit and count from the document's first byte, so a document of 2 GiB is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from pipeline.core.arrow import from_zero

MAX_DOCUMENT_BYTES = 2**31 - 1


@dataclass(frozen=True, slots=True)
class WordPlaces:
    """Where every word of a batch stands, and what it is."""

    starts: np.ndarray  # int32[num_words], bytes from the document's start
    num_bytes: np.ndarray  # int32[num_words]
    num_chars: np.ndarray  # int32[num_words]
    hashes: np.ndarray  # uint64[num_words], of the word's bytes


@dataclass(frozen=True)
class Words:
    """Every word of a batch; those of document d are doc_offsets[d] to doc_offsets[d + 1].

    After an edit that was foreseen, places are copied when somebody asks: the rules on lines need none.
    """

    doc_offsets: np.ndarray  # int64[num_docs + 1]
    flags: np.ndarray  # uint8[num_words], bits of pipeline.core.text.segment
    find_places: Callable[[], WordPlaces]

    @cached_property
    def places(self) -> WordPlaces:
        return self.find_places()

    @property
    def starts(self) -> np.ndarray:
        """int32[num_words]."""
        return self.places.starts

    @property
    def num_bytes(self) -> np.ndarray:
        """int32[num_words]."""
        return self.places.num_bytes

    @property
    def num_chars(self) -> np.ndarray:
        """int32[num_words]."""
        return self.places.num_chars

    @property
    def hashes(self) -> np.ndarray:
        """uint64[num_words]."""
        return self.places.hashes


@dataclass(frozen=True, slots=True)
class Lines:
    """Every line of a batch, blank ones too; a blank line has no words: word_offsets[i] == word_offsets[i + 1]."""

    doc_offsets: np.ndarray  # int64[num_docs + 1]
    starts: np.ndarray  # int32[num_lines], bytes from the document's start
    ends: np.ndarray  # int32[num_lines], where the line's terminator begins
    word_offsets: np.ndarray  # int64[num_lines + 1]
    char_starts: np.ndarray  # int32[num_lines], characters before the line's first word
    num_chars: np.ndarray  # int32[num_lines], from its first word to its last
    hashes: np.ndarray  # uint64[num_lines], of the sequence of its words


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Words and lines of a batch, and the lengths of its documents; CRLF is one character everywhere."""

    words: Words
    lines: Lines
    num_chars: np.ndarray  # int64[num_docs]
    num_line_ends: np.ndarray  # int64[num_docs]


@dataclass(frozen=True)
class Batch:
    """A batch of documents: ids and text, plus shared segmentations computed at first use."""

    ids: pa.Array  # string[num_docs]
    text: pa.Array  # large_string[num_docs], no nulls, zero offset
    metadata: pa.Array | None = None  # string[num_docs] of JSON objects, for steps that say they need it

    @staticmethod
    def from_table(table: pa.Table) -> Batch:
        """Wrap a table with columns `id`, `text` and perhaps `metadata`."""
        text = table.column("text").combine_chunks()
        ids = table.column("id").combine_chunks()
        metadata = _flat(table.column("metadata"), pa.string()) if "metadata" in table.column_names else None
        return Batch(ids=_flat(ids, pa.string()), text=_flat(text, pa.large_string()), metadata=metadata)

    @staticmethod
    def from_texts(texts: list[str]) -> Batch:
        """Wrap plain strings, ids 0, 1, 2...; for tests, plugins and single documents."""
        return Batch(
            ids=pa.array([str(index) for index in range(len(texts))]), text=pa.array(texts, type=pa.large_string())
        )

    def __len__(self) -> int:
        return len(self.text)

    @cached_property
    def offsets(self) -> np.ndarray:
        """int64[num_docs + 1]: document d is data[offsets[d]:offsets[d + 1]]; ValueError if one is too large."""
        buffer = self.text.buffers()[1]
        offsets = np.frombuffer(buffer, dtype=np.int64, count=len(self.text) + 1) if buffer else np.zeros(1, np.int64)
        longest = int(np.diff(offsets).max(initial=0))
        if longest > MAX_DOCUMENT_BYTES:
            raise ValueError(f"the document has {longest:,} bytes; kernels measure {MAX_DOCUMENT_BYTES:,} at most")
        return offsets

    @cached_property
    def data(self) -> np.ndarray:
        """uint8[num_bytes]: the UTF-8 bytes of all documents, one after the other."""
        buffer = self.text.buffers()[2]
        return np.frombuffer(buffer, dtype=np.uint8) if buffer is not None else np.zeros(0, np.uint8)

    @cached_property
    def segmentation(self) -> Segmentation:
        """Words, lines and lengths: from the bytes, or as the step foresaw that edited them."""
        before, foreseen = self.__dict__.pop("_before", (None, None))  # frees the batch before the edit
        return foreseen(before) if foreseen is not None else _segmentation(self.data, self.offsets)

    def foresee(self, text: pa.Array, *, whole: pa.Array, segmentation: Callable[[Batch], Segmentation]) -> None:
        """Remember the text of `edited(text)`, and how its words and lines follow from this batch's without reading."""
        self.__dict__["_foreseen"] = (text, whole, segmentation)

    def edited(self, text: pa.Array) -> Batch:
        """Return the batch with new text where `text` is not null."""
        import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

        foreseen, whole, segmentation = self.__dict__.get("_foreseen", (None, None, None))
        if foreseen is not text:
            whole = from_zero(pc.coalesce(text, self.text))
            return Batch(ids=self.ids, text=whole, metadata=self.metadata)
        new = Batch(ids=self.ids, text=whole, metadata=self.metadata)
        new.__dict__["_before"] = (self, segmentation)
        return new

    @property
    def words(self) -> Words:
        """The words of all documents."""
        return self.segmentation.words

    @property
    def lines(self) -> Lines:
        """The lines of all documents."""
        return self.segmentation.lines

    def strings(self) -> list[str]:
        """Return the documents as Python strings, for steps that are not kernels."""
        strings: list[str] = self.text.to_pylist()
        return strings


def text_array(data: np.ndarray, offsets: np.ndarray, *, present: np.ndarray | None = None) -> pa.Array:
    """Return a large_string array over these buffers, null where not present."""
    valid = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)


def _segmentation(data: np.ndarray, offsets: np.ndarray) -> Segmentation:
    from pipeline.core.text.characters import character_table
    from pipeline.core.text.describe_words import describe_words
    from pipeline.core.text.find_words import ROOM, count_bounds, find_words
    from pipeline.core.text.segment import describe_lines

    table = character_table()
    num_docs = len(offsets) - 1
    num_spaces, num_line_ends = count_bounds(data[: int(offsets[-1])])  # Arrow pads its buffers
    starts, num_bytes = (np.empty(num_spaces + num_docs + ROOM, np.int32) for _ in range(2))
    line_starts, line_ends = (np.empty(num_line_ends + num_docs + 1, np.int32) for _ in range(2))
    line_words = np.empty(num_line_ends + num_docs + 1, np.int64)
    doc_words, doc_lines = (np.empty(num_docs + 1, np.int64) for _ in range(2))
    doc_chars, doc_breaks = (np.empty(num_docs, np.int64) for _ in range(2))
    num_words, num_lines = find_words(
        data,
        offsets,
        table,
        (starts, num_bytes),
        (line_starts, line_ends, line_words),
        (doc_words, doc_lines, doc_breaks),
    )
    num_chars, hashes, flags = (np.empty(num_words, kind) for kind in (np.int32, np.uint64, np.uint8))
    describe_words(data, offsets, table, doc_words, starts, num_bytes, num_chars, (hashes, flags))
    char_starts, line_chars, line_hashes = (np.empty(num_lines, kind) for kind in (np.int32, np.int32, np.uint64))
    describe_lines(
        data,
        offsets,
        doc_lines,
        line_words,
        (starts, num_bytes, hashes),
        (char_starts, line_chars, line_hashes),
        doc_chars,
    )
    places = WordPlaces(starts[:num_words], num_bytes[:num_words], num_chars, hashes)
    words = Words(doc_words, flags, lambda: places)
    lines = Lines(
        doc_lines,
        line_starts[:num_lines],
        line_ends[:num_lines],
        line_words[: num_lines + 1],
        char_starts,
        line_chars,
        line_hashes,
    )
    return Segmentation(words=words, lines=lines, num_chars=doc_chars, num_line_ends=doc_breaks)


def _flat(array: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Return one contiguous array of the wanted type that starts at offset zero."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    if array.type != kind:
        array = array.cast(kind)
    return from_zero(array) if array.offset else array
