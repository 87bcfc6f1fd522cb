"""RefinedWeb's line corrections: against a plain writing of the definitions, in batches, on hostile text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings

from filters.heuristics.refinedweb import RefinedWebLines
from tests.filters.conftest import measured_rows
from tests.filters.text_strategies import BATCHES
from tests.timing import slowness

STEP = RefinedWebLines(params=RefinedWebLines.Params())
COUNTER = re.compile(r"\W*[0-9][0-9.,]*[KMBkmb]?[^\w]*\s+\W*(likes?|views?|shares?|comments?)\W*", re.A)


def action(line: str) -> str:
    letters = [character for character in line if character.isalpha()]
    if len(line.split()) == 1:
        return "one_word"
    if sum(letter.isupper() for letter in letters) > 0.5 * len(letters):
        return "uppercase"
    if not letters and any(character.isalnum() for character in line):
        return "numeric"
    return "counter" if COUNTER.fullmatch(line.strip()) else "kept"


def check(texts: list[str]) -> None:
    for row, text in zip(measured_rows(STEP, texts), texts, strict=True):
        lines = [line for line in text.splitlines() if line.strip()]
        actions = [action(line) for line in lines]
        stay = [line for line, found in zip(lines, actions, strict=True) if found == "kept"]
        removed = sum(len(line.split()) for line in lines) - sum(len(line.split()) for line in stay)

        for name in ("one_word", "uppercase", "numeric", "counter"):
            assert row[f"num_lines_{name}"] == actions.count(name)
        assert row["removed_fraction"] == pytest.approx(removed / max(len(text.split()), 1))
        if len(stay) == len(lines):
            assert row["text"] is None
        else:
            assert [line for line in str(row["text"]).splitlines() if line.strip()] == stay


@given(BATCHES)
@settings(max_examples=300, deadline=None)
def test_kernels_agree_with_the_definitions(texts: list[str]) -> None:
    check(texts)


def test_kernels_agree_with_the_definitions_on_real_text(docstrings: list[str]) -> None:
    check([text for text in docstrings if not re.search(r"^\W*[0-9]\S*\s+\S+\W*$", text, re.M)])


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
