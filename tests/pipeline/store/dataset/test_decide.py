"""Deciding: rules over values, what passes unmeasured, and how far a value lies from its threshold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.step import Rule
from pipeline.store.dataset.decide import Reasons, failures, margin, named, passes

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


def test_a_threshold_written_as_0_12_keeps_a_value_that_is_0_12():
    """A ratio of two integers and the recipe's decimal are the same float, so no tolerance is needed."""
    assert passes(Rule("r", "s", "<=", 0.12), np.array([12 / 100, 3 / 25, 0.12])).all()


def test_every_failure_of_every_rule_is_told():
    table = pa.table({"a": [1.0, 5.0, None], "b": [1, 1, 9]})

    failed = failures([Rule("x", "a", ">=", 3), Rule("y", "b", "<", 5)], table)

    assert failed.tolist() == [[True, False, False], [False, False, True]]


def test_no_rules_fail_nobody():
    assert failures([], pa.table({"a": [1.0]})).shape == (0, 1)


def test_the_first_thing_against_a_document_is_the_earliest_steps_and_in_it_the_first_rules():
    reasons = Reasons(4)
    reasons.add(np.array([[0, 0, 1, 0], [0, 1, 1, 0]], bool), broken=np.array([0, 0, 0, 1], bool))
    reasons.add(np.zeros((0, 4), bool), broken=np.array([0, 1, 0, 1], bool))
    reasons.add(np.array([[1, 1, 1, 1]], bool))

    assert reasons.rule.tolist() == [2, 1, 0, -1]
    assert reasons.broken.tolist() == [-1, -1, -1, 0]
    assert not reasons.kept.any()
    assert named(["a", "b", "c"], reasons.rule).to_pylist() == ["c", "b", "a", None]


def test_who_breaks_a_step_fails_none_of_its_rules():
    reasons = Reasons(2)
    reasons.add(np.array([[1, 0]], bool), broken=np.array([1, 0], bool))

    assert (reasons.rule.tolist(), reasons.broken.tolist(), reasons.kept.tolist()) == ([-1, -1], [0, -1], [False, True])
