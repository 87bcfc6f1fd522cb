"""Two counts per document -> their quotient, null where nothing was counted: null passes every rule."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def ratio(part: np.ndarray, whole: np.ndarray) -> pa.Array:
    """Return part / whole as float64, null where the whole is 0."""
    empty = whole == 0
    num_empty = int(np.count_nonzero(empty))
    valid = pa.py_buffer(np.packbits(~empty, bitorder="little")) if num_empty else None
    shares = part / (np.where(empty, 1, whole) if num_empty else whole)
    # over the buffers: converted by pa.array, four steps' shares took a twentieth of their time
    return pa.Array.from_buffers(pa.float64(), len(shares), [valid, pa.py_buffer(shares)], num_empty)
