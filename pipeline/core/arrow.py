"""Arrow columns <-> numpy arrays, in the few forms that are needed; `start()` keeps pandas out of all of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def as_numbers(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return a numeric or boolean column as float64[num_rows], null as NaN; may be read-only."""
    numbers: np.ndarray = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def as_flags(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return a boolean column without nulls as bool[num_rows]; may be read-only."""
    flags: np.ndarray = column.cast(pa.uint8()).to_numpy().view(np.bool_)  # a bit each becomes a byte each
    return flags


def from_zero(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array whose buffers begin with its first value: what kernels and digests read."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays([whole, whole[:0]])
