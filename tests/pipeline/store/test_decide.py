"""Deciding: rules over values, what passes unmeasured, and how far a value lies from its threshold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.step import Rule
from pipeline.store.decide import as_flags, as_numbers, failures, margin, passes

OPERATORS = (">=", ">", "<=", "<", "==", "!=")
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize(
    ("op", "below", "at", "above"),
    [
        (">=", False, True, True),
        (">", False, False, True),
        ("<=", True, True, False),
        ("<", True, False, False),
        ("==", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_a_rule_says_what_a_document_must_meet_to_be_kept(op, below, at, above):
    assert passes(Rule("r", "s", op, 0.3), np.array([0.2, 0.3, 0.4])).tolist() == [below, at, above]


@pytest.mark.parametrize("op", OPERATORS)
def test_what_was_not_measured_passes_every_rule(op):
    assert passes(Rule("r", "s", op, 0.0), np.array([np.nan])).all()


@pytest.mark.parametrize("op", OPERATORS)
@given(value=NUMBERS, threshold=NUMBERS)
def test_a_negative_margin_means_drop_and_a_positive_one_keep(op, value, threshold):
    rule = Rule("r", "s", op, threshold)

    kept = bool(passes(rule, np.array([value]))[0])

    assert margin(rule, value) >= 0 if kept else margin(rule, value) <= 0
    if margin(rule, value) != 0:
        assert kept == (margin(rule, value) > 0)


def test_booleans_integers_and_nulls_are_numbers():
    assert as_numbers(pa.array([True, False, None])).tolist()[:2] == [1.0, 0.0]
    assert np.isnan(as_numbers(pa.chunked_array([pa.array([3]), pa.array([None], pa.int64())]))[1])


def test_a_slice_of_a_column_is_its_own_rows():
    numbers = pa.chunked_array([pa.array([9.0, 1.0, None, 3.0])[1:], pa.array([], pa.float64()), pa.array([4.0])])

    assert np.array_equal(as_numbers(numbers), [1.0, np.nan, 3.0, 4.0], equal_nan=True)
    assert as_flags(pa.array([True, False, True, True])[1:]).tolist() == [False, True, True]
    assert len(as_numbers(numbers[:0])) == len(as_flags(pa.array([], pa.bool_()))) == 0


def test_a_threshold_written_as_0_12_keeps_a_value_that_is_0_12():
    """A ratio of two integers and the recipe's decimal are the same float, so no tolerance is needed."""
    assert passes(Rule("r", "s", "<=", 0.12), np.array([12 / 100, 3 / 25, 0.12])).all()


def test_every_failure_of_every_rule_is_told():
    table = pa.table({"a": [1.0, 5.0, None], "b": [1, 1, 9]})

    failed = failures([Rule("x", "a", ">=", 3), Rule("y", "b", "<", 5)], table)

    assert failed.tolist() == [[True, False, False], [False, False, True]]


def test_no_rules_fail_nobody():
    assert failures([], pa.table({"a": [1.0]})).shape == (0, 1)
