"""Byte ranges of a batch's texts -> the bytes that are left, and whether the ranges are of these texts at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import address_of, copy_bytes


@njit(cache=True, nogil=True)
def first_misfit(offsets: Any, valid: Any, ends: Any, ranges: Any) -> Any:
    """Return the first document whose ranges are not of its text, or -1."""
    for doc in range(len(offsets) - 1):
        if not valid[doc]:
            continue
        first, past = ends[doc], ends[doc + 1]
        size = offsets[doc + 1] - offsets[doc]
        if (past - first) % 2 == 0 or ranges[first] != size:
            return doc
        at = np.int64(0)
        for index in range(first + 1, past, 2):
            if ranges[index] < at or ranges[index + 1] < ranges[index]:
                return doc
            at = np.int64(ranges[index + 1])
        if at > size:
            return doc
    return -1


@njit(cache=True, nogil=True)
def cut_bytes(data: Any, offsets: Any, valid: Any, ends: Any, ranges: Any) -> Any:
    """Return (uint8[num_bytes], int64[num_docs + 1]): the ranges of each document that is valid, all of the others."""
    num_docs = len(offsets) - 1
    out_offsets = np.zeros(num_docs + 1, np.int64)
    for doc in range(num_docs):
        size = offsets[doc + 1] - offsets[doc]
        if valid[doc]:
            size = 0
            for at in range(ends[doc] + 1, ends[doc + 1], 2):
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
        for at in range(ends[doc] + 1, ends[doc + 1], 2):
            size = np.int64(ranges[at + 1] - ranges[at])
            copy_bytes(cursor, base + ranges[at], size)
            cursor += size
    return out, out_offsets
