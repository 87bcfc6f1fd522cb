from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.heuristics.definitions import fineweb_quality
from filters.heuristics.fineweb import FineWebQuality
from tests.filters.conftest import Case, measured_rows, read_cases, verdict_of
from tests.filters.text_strategies import BATCHES

STEP = FineWebQuality(params=FineWebQuality.Params())


@pytest.mark.parametrize("case", read_cases("fineweb_quality"), ids=lambda case: case.name)
def test_cases(case: Case) -> None:
    assert verdict_of(STEP, case.text) == case.verdict


@given(BATCHES, st.sampled_from([0, 10, 30]))
@settings(max_examples=250, deadline=None)
def test_kernels_agree_with_the_definitions(texts: list[str], short: int) -> None:
    step = FineWebQuality(params=FineWebQuality.Params(short_line_length=short))

    for row, text in zip(measured_rows(step, texts), texts, strict=True):
        assert row == fineweb_quality(text, short_line_length=short)


def test_kernels_agree_with_the_definitions_on_real_text(docstrings: list[str]) -> None:
    rows = measured_rows(STEP, docstrings)

    assert rows == [fineweb_quality(text, short_line_length=30) for text in docstrings]


def test_line_ends_of_either_kind_give_the_same_signals(docstrings: list[str]) -> None:
    crlf = [text.replace("\n", "\r\n") for text in docstrings[:300]]

    assert measured_rows(STEP, crlf) == measured_rows(STEP, docstrings[:300])


def test_a_document_measures_the_same_in_any_batch(docstrings: list[str]) -> None:
    texts = docstrings[:120]

    assert measured_rows(STEP, texts) == [measured_rows(STEP, [text])[0] for text in texts]
