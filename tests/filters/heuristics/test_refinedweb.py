"""RefinedWeb's line corrections: against the definitions, in batches, on hostile text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from filters.heuristics.definitions import full_lines, refinedweb_lines
from filters.heuristics.refinedweb import RefinedWebLines
from tests.filters.conftest import measured_rows
from tests.filters.text_strategies import BATCHES
from tests.timing import slowness

STEP = RefinedWebLines(params=RefinedWebLines.Params())


def check(texts: list[str]) -> None:
    for row, text in zip(measured_rows(STEP, texts), texts, strict=True):
        signals, stay = refinedweb_lines(text, max_uppercase_fraction=0.5)
        new = row.pop("text")

        assert row == signals
        if stay == full_lines(text):
            assert new is None
        else:
            assert full_lines(str(new)) == stay


@given(BATCHES)
@settings(max_examples=300, deadline=None)
def test_kernels_agree_with_the_definitions(texts: list[str]) -> None:
    check(texts)


def test_kernels_agree_with_the_definitions_on_real_text(docstrings: list[str]) -> None:
    check(docstrings)


def test_a_document_measures_the_same_in_any_batch(docstrings: list[str]) -> None:
    texts = docstrings[:120]

    assert measured_rows(STEP, texts) == [measured_rows(STEP, [text])[0] for text in texts]


def test_limits_are_the_recipes() -> None:
    step = RefinedWebLines(params=RefinedWebLines.Params.parse({"max_uppercase_fraction": 1.0}))

    assert measured_rows(step, ["ALL IN CAPITALS"])[0]["text"] is None
    assert RefinedWebLines.Params.parse({"max_removed_fraction": 0.5}).of_role("measure") == {}
    free = RefinedWebLines(params=RefinedWebLines.Params.parse({"max_removed_fraction": None}))
    assert free.rules(quantile=lambda signal, fraction: 0.0) == ()


@pytest.mark.parametrize("piece", ["x", "A B\n", "3 likes\n", "1 ", "\n", "\u0416 ", "likes ", "1,"])
def test_time_grows_with_the_text_whatever_it_says(piece: str) -> None:
    assert not slowness(lambda size: measured_rows(STEP, [piece * (size // len(piece.encode()))]))
