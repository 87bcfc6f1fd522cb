"""Text and the byte ranges of it that stay -> the text that is left; how a step that only takes away is stored.

A step like C4's drops lines from nine web documents in ten. Its new text compresses at 450 MB/s and would be read again
by every later stage; the ranges are a fortieth of its bytes, and joining them runs at the speed of memory. They also
say exactly what was taken away. A document's list begins with the size of the text that it cuts, in bytes; then come
start, end, start, end..., ascending, not overlapping. Ranges of another text are refused, not applied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.core.arrow import as_flags, from_zero
from pipeline.core.errors import DataError

RANGES = pa.list_(pa.int32())
FEW_DOCUMENTS = 64  # cut without kernels: 0.2 s less for five examples


def cut(text: pa.Array, kept: pa.Array) -> pa.Array:
    """Return large_string[num_docs]: each text without what its ranges leave out, whole where they are null.

    DataError if the ranges of a document were made for another text.
    """
    if len(text) <= FEW_DOCUMENTS:
        return _cut_few(text.to_pylist(), kept.to_pylist())
    from pipeline.core.text.cut_kernels import cut_bytes, first_misfit

    text = from_zero(text) if text.offset else text
    num_docs = len(text)
    buffers = text.buffers()
    offsets = np.frombuffer(buffers[1], np.int64, num_docs + 1) if num_docs else np.zeros(1, np.int64)
    data = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.zeros(0, np.uint8)
    valid = np.ones(num_docs, np.bool_) if not kept.null_count else as_flags(kept.is_valid())
    ends = kept.offsets.to_numpy() if num_docs else np.zeros(1, np.int32)
    ranges = kept.values.to_numpy() if len(kept.values) else np.zeros(0, np.int32)
    wrong = first_misfit(offsets, valid.view(np.uint8), ends, ranges)
    if wrong >= 0:
        raise _misfit(wrong)
    out, out_offsets = cut_bytes(data, offsets, valid.view(np.uint8), ends, ranges)
    return pa.Array.from_buffers(pa.large_string(), num_docs, [None, pa.py_buffer(out_offsets), pa.py_buffer(out)])


def sizes_left(kept: pa.ChunkedArray) -> np.ndarray:
    """Return int64[num_docs]: the bytes that lists of ranges keep; no list is null."""
    found = [np.zeros(0, np.int64)]
    for chunk in kept.chunks:
        whole = from_zero(chunk)
        ranges, ends = whole.values.to_numpy().astype(np.int64), whole.offsets.to_numpy().astype(np.int64)
        place = np.arange(len(ranges)) - np.repeat(ends[:-1], np.diff(ends))
        signed = np.where(place == 0, 0, np.where(place % 2 == 0, ranges, -ranges))
        sums = np.concatenate([[0], np.cumsum(signed)])
        found.append(sums[ends[1:]] - sums[ends[:-1]])
    return np.concatenate(found)


def ranges_array(ends: np.ndarray, ranges: np.ndarray, *, present: np.ndarray) -> pa.Array:
    """Return list<int32>[num_docs] over int32 ends[num_docs + 1] of the documents' lists, null where not present."""
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(ranges, pa.int32()), mask=pa.array(~present))


def masked(text: pa.Array, *, present: np.ndarray) -> pa.Array:
    """Return the same texts, null where not present; nothing is copied."""
    valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(text.type, len(text), [valid, *text.buffers()[1:]])


def _cut_few(texts: Sequence[str], kept: Sequence[Sequence[int] | None]) -> pa.Array:
    pieces = [text.encode() for text in texts]
    for row, ranges in enumerate(kept):
        if ranges is not None:
            size, *bounds = ranges or (-1,)
            if size != len(pieces[row]) or len(bounds) % 2 or [0, *bounds, size] != sorted([0, *bounds, size]):
                raise _misfit(row)
            pairs = zip(bounds[::2], bounds[1::2], strict=True)
            pieces[row] = b"".join(pieces[row][start:end] for start, end in pairs)
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(pieces))]
    return pa.Array.from_buffers(pa.large_string(), len(pieces), buffers)


def _misfit(row: int) -> DataError:
    """Return the error for ranges that do not fit the text of document `row`."""
    return DataError(
        f"document {row} of those read together: the ranges stored for its text fit another one. What edits it was "
        "changed or damaged. Delete the folders of the steps that edit it and run again."
    )
