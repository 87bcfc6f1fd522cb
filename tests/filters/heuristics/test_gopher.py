from __future__ import annotations

import pytest
from hypothesis import given, settings

from filters.heuristics.definitions import gopher_quality, gopher_repetition
from filters.heuristics.gopher import GopherQuality, GopherRepetition
from tests.filters.conftest import Case, measured_rows, read_cases, verdict_of
from tests.filters.text_strategies import BATCHES

QUALITY = GopherQuality(params=GopherQuality.Params())
REPETITION = GopherRepetition(params=GopherRepetition.Params())


@pytest.mark.parametrize("case", read_cases("gopher_quality"), ids=lambda case: case.name)
def test_quality_cases(case: Case) -> None:
    assert verdict_of(QUALITY, case.text) == case.verdict


@pytest.mark.parametrize("case", read_cases("gopher_repetition"), ids=lambda case: case.name)
def test_repetition_cases(case: Case) -> None:
    assert verdict_of(REPETITION, case.text) == case.verdict


@given(BATCHES)
@settings(max_examples=250, deadline=None)
def test_quality_kernels_agree_with_the_definitions(texts: list[str]) -> None:
    for row, text in zip(measured_rows(QUALITY, texts), texts, strict=True):
        assert row == gopher_quality(text)


@given(BATCHES)
@settings(max_examples=250, deadline=None)
def test_repetition_kernels_agree_with_the_definitions(texts: list[str]) -> None:
    for row, text in zip(measured_rows(REPETITION, texts), texts, strict=True):
        assert row == gopher_repetition(text)


def test_kernels_agree_with_the_definitions_on_real_text(docstrings: list[str]) -> None:
    texts = [*docstrings[:1500], "\n\n".join(docstrings[:300])]

    assert measured_rows(QUALITY, texts) == [gopher_quality(text) for text in texts]
    assert measured_rows(REPETITION, texts) == [gopher_repetition(text) for text in texts]


def test_line_ends_of_either_kind_give_the_same_signals(docstrings: list[str]) -> None:
    crlf = [text.replace("\n", "\r\n") for text in docstrings[:300]]

    for step in (QUALITY, REPETITION):
        assert measured_rows(step, crlf) == measured_rows(step, docstrings[:300])


def test_a_document_measures_the_same_in_any_batch(docstrings: list[str]) -> None:
    texts = docstrings[:120]

    for step in (QUALITY, REPETITION):
        alone = [measured_rows(step, [text])[0] for text in texts]
        assert measured_rows(step, texts) == alone
        assert measured_rows(step, texts[::-1]) == alone[::-1]


HOSTILE = {
    "one word a million times": "a " * 1_000_000,
    "a period of seven words": "one two three four five six seven " * 40_000,
    "all words different": " ".join(map(str, range(200_000))),
    "a million short lines": "ab\n" * 1_000_000,
    "a million lines, all different": "\n".join(map(str, range(500_000))),
    "one endless word": "x" * 10_000_000,
    "full stops": "." * 2_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("step", [QUALITY, REPETITION], ids=lambda step: step.name)
def test_hostile_text_takes_linear_time(step: GopherQuality | GopherRepetition, name: str) -> None:
    (row,) = measured_rows(step, [HOSTILE[name]])

    assert row["num_words"] is not None
