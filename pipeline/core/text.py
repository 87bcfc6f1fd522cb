"""One batch of documents as Arrow buffers, and what several steps need of it, each computed once.

Kernels take `(data: uint8[num_bytes], offsets: int64[num_docs + 1])`; Batch makes these without a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Batch:
    """A batch of documents: ids and text, plus shared segmentations computed at first use."""

    ids: pa.Array  # string[num_docs]
    text: pa.Array  # large_string[num_docs], no nulls, zero offset

    @staticmethod
    def from_table(table: pa.Table) -> Batch:
        """Wrap a table with columns `id` and `text`."""
        text = table.column("text").combine_chunks()
        ids = table.column("id").combine_chunks()
        return Batch(ids=_flat(ids, pa.string()), text=_flat(text, pa.large_string()))

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
        """int64[num_docs + 1]: document d is data[offsets[d]:offsets[d + 1]]."""
        buffer = self.text.buffers()[1]
        return np.frombuffer(buffer, dtype=np.int64, count=len(self.text) + 1) if buffer else np.zeros(1, np.int64)

    @cached_property
    def data(self) -> np.ndarray:
        """uint8[num_bytes]: the UTF-8 bytes of all documents, one after the other."""
        buffer = self.text.buffers()[2]
        return np.frombuffer(buffer, dtype=np.uint8) if buffer is not None else np.zeros(0, np.uint8)

    def strings(self) -> list[str]:
        """Return the documents as Python strings, for steps that are not kernels."""
        strings: list[str] = self.text.to_pylist()
        return strings


def _flat(array: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Return one contiguous array of the wanted type that starts at offset zero."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    if array.type != kind:
        array = array.cast(kind)
    return pa.concat_arrays([array, pa.array([], type=kind)]) if array.offset else array
