"""Columns as numpy arrays: nulls, slices, chunks and nothing at all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.core.arrow import as_flags, as_numbers, from_zero


def test_booleans_integers_and_nulls_are_numbers():
    assert as_numbers(pa.array([True, False, None])).tolist()[:2] == [1.0, 0.0]
    assert np.isnan(as_numbers(pa.chunked_array([pa.array([3]), pa.array([None], pa.int64())]))[1])


def test_a_slice_of_a_column_is_its_own_rows():
    numbers = pa.chunked_array([pa.array([9.0, 1.0, None, 3.0])[1:], pa.array([], pa.float64()), pa.array([4.0])])

    assert np.array_equal(as_numbers(numbers), [1.0, np.nan, 3.0, 4.0], equal_nan=True)
    assert as_flags(pa.array([True, False, True, True])[1:]).tolist() == [False, True, True]
    assert len(as_numbers(numbers[:0])) == len(as_flags(pa.array([], pa.bool_()))) == 0


def test_what_is_made_to_start_at_zero_has_its_values_first_in_its_buffers():
    column = pa.chunked_array([pa.array(["left", "out"]), pa.array(["b", "cd"])]).slice(2)

    whole = from_zero(column)

    assert whole.to_pylist() == ["b", "cd"]
    assert whole.offset == 0 and whole.buffers()[2].to_pybytes()[:3] == b"bcd"
    assert from_zero(pa.array([1, 2, 3])[1:]).offset == 0
