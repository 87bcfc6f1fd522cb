"""Text and the byte ranges of it that stay -> the text that is left; how a step that only takes away is stored.

A step like C4's drops lines from nine web documents in ten. Its new text compresses at 450 MB/s and would be read again
by every later stage; the ranges are a fortieth of its bytes, and joining them runs at the speed of memory. They also
say exactly what was taken away. Ranges of one document ascend and do not overlap: start, end, start, end...
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from pipeline.core.bits import address_of, copy_bytes

RANGES = pa.list_(pa.int32())


def cut(text: pa.Array, kept: pa.Array) -> pa.Array:
    """Return large_string[num_docs]: each text without what its ranges leave out, whole where they are null."""
    text = pa.concat_arrays([text, text[:0]]) if text.offset else text
    kept = kept.combine_chunks() if isinstance(kept, pa.ChunkedArray) else kept
    num_docs = len(text)
    buffers = text.buffers()
    offsets = np.frombuffer(buffers[1], np.int64, num_docs + 1) if num_docs else np.zeros(1, np.int64)
    data = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.zeros(0, np.uint8)
    valid = np.ones(num_docs, np.bool_) if not kept.null_count else np.from_dlpack(kept.is_valid().cast(pa.uint8()))
    ends = np.from_dlpack(kept.offsets) if num_docs else np.zeros(1, np.int32)
    ranges = np.from_dlpack(kept.values) if len(kept.values) else np.zeros(0, np.int32)
    out, out_offsets = cut_bytes(data, offsets, valid.view(np.uint8), ends, ranges)
    return pa.Array.from_buffers(pa.large_string(), num_docs, [None, pa.py_buffer(out_offsets), pa.py_buffer(out)])


def ranges_array(ends: np.ndarray, ranges: np.ndarray, *, present: np.ndarray) -> pa.Array:
    """Return list<int32>[num_docs] over int32 ends[num_docs + 1] of the documents' ranges, null where not present."""
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(ranges, pa.int32()), mask=pa.array(~present))


def masked(text: pa.Array, *, present: np.ndarray) -> pa.Array:
    """Return the same texts, null where not present; nothing is copied."""
    valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(text.type, len(text), [valid, *text.buffers()[1:]])


@njit(cache=True, nogil=True)
def cut_bytes(data: Any, offsets: Any, valid: Any, ends: Any, ranges: Any) -> Any:
    """Return (uint8[num_bytes], int64[num_docs + 1]): the ranges of each document that is valid, all of the others."""
    num_docs = len(offsets) - 1
    out_offsets = np.zeros(num_docs + 1, np.int64)
    for doc in range(num_docs):
        size = offsets[doc + 1] - offsets[doc]
        if valid[doc]:
            size = 0
            for at in range(ends[doc], ends[doc + 1], 2):
                size += ranges[at + 1] - ranges[at]
        out_offsets[doc + 1] = out_offsets[doc] + size
    out = np.empty(out_offsets[num_docs], np.uint8)
    origin, cursor = address_of(data), address_of(out)
    for doc in range(num_docs):
        base = origin + offsets[doc]
        if not valid[doc]:
            size = offsets[doc + 1] - offsets[doc]
            copy_bytes(cursor, base, size)
            cursor += size
            continue
        for at in range(ends[doc], ends[doc + 1], 2):
            size = np.int64(ranges[at + 1] - ranges[at])
            copy_bytes(cursor, base + ranges[at], size)
            cursor += size
    return out, out_offsets
