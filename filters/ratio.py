"""Two counts per document -> their quotient, null where nothing was counted: null passes every rule."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def ratio(part: np.ndarray, whole: np.ndarray) -> pa.Array:
    """Return part / whole as float64, null where the whole is 0."""
    empty = whole == 0
    return pa.array(part / np.where(empty, 1, whole), type=pa.float64(), mask=empty)
