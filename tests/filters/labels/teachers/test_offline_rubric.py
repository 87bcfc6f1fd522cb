"""The offline scorer: that it tells teaching from boilerplate, and that no text is slow or breaks it."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.labels.teachers.offline_rubric import CRITERIA, grade_text
from tests.timing import slowness

RATIO = (
    "The mean of a sample is the sum of its values divided by their number. It is sensitive to outliers, because every "
    "value counts in proportion to its distance; the median is not, since it depends on the order alone. For example, "
    "the mean of 1, 2 and 30 is 11, whereas the median is 2. Therefore a statistic of incomes is usually a median."
)
REFERENCE = "Parameters\n----------\nx : array_like\n    Input.\naxis : int\n    Axis.\nReturns\n-------\n" * 3
METADATA = "Metadata-Version: 2.1\nRequires-Dist: other>=1\nClassifier: Programming Language :: Python\n" * 5


def test_an_explanation_with_an_example_meets_all_five_questions() -> None:
    assert grade_text(RATIO).answers == dict.fromkeys(CRITERIA, True)


@pytest.mark.parametrize("text", ["", "word " * 400, REFERENCE, METADATA, "<p>" * 500, "1 2 3 4 5 6\n" * 100])
def test_what_teaches_nothing_is_worth_nothing(text: str) -> None:
    assert grade_text(text).grade == 0


def test_a_licence_is_worth_nothing_however_well_it_is_written() -> None:
    licence = RATIO + " This licence is a license: the copyright holders disclaim any warranty and liability. " * 3

    assert grade_text(licence).grade == 0
    assert grade_text(licence).evidence.startswith("legal boilerplate")


def test_grades_spread_over_the_docstrings_of_the_standard_library() -> None:
    import decimal
    import fractions
    import functools
    import heapq
    import itertools
    import random
    import statistics

    modules: list[ModuleType] = [decimal, fractions, functools, heapq, itertools, random, statistics]
    members = [member for module in modules for member in (module, *vars(module).values())]
    docs = {inspect.getdoc(member) or "" for member in members if inspect.isroutine(member) or inspect.ismodule(member)}
    grades = {grade_text(doc).grade for doc in docs if len(doc) >= 200}

    assert len(grades) >= 5


@given(st.text())
def test_any_text_has_a_grade(text: str) -> None:
    assert 0 <= grade_text(text).grade <= 5


@pytest.mark.parametrize("piece", ["a", "a_", "1.", "\n", " ", "`", "a.b", "aA", "- ", ":", "\u00e9", "a b, "])
def test_no_repetition_is_slow(piece: str) -> None:
    """A pattern that backtracks over the whole text would take seconds here."""
    assert not slowness(lambda size: grade_text(piece * (size // len(piece))), size=100_000, loops=200)
