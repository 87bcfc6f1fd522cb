"""Shifts of 1 to 5 % that are planted into drawn documents are found at twice the floor, and nothing else is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from filters.audit.checks import Checked, associated, check
from filters.audit.columns import Columns
from filters.audit.found import Found
from pipeline.core.rng import generator
from tests.filters.audit.planted import GERMAN, ILL, STYLED, columns, planted, replaced, texts

MAIL = "Write to jane.miller@firmware.org today."
INSULT = "What an idiot and what a bastard he is."


@pytest.fixture(scope="module")
def old() -> list[str]:
    return texts(3000, seed=1)


@pytest.fixture(scope="module")
def new() -> list[str]:
    return texts(3000, seed=2)


def alarms(checked: Checked) -> set[str]:
    return {number.name for number in checked.numbers if number.level == "alarm"}


def named(checked: Checked, name: str) -> Found:
    return next(number for number in checked.numbers if number.name == name)


def test_documents_of_one_kind_raise_no_alarm(old, new):
    assert alarms(check(columns(old, new), seed=0)) == set()


@pytest.mark.parametrize(
    ("share", "sentence", "found"),
    [
        (0.01, MAIL, "documents with email"),
        (0.01, STYLED, "documents with 3 marker words or more"),
        (0.02, STYLED, "marker words"),
        (0.02, ILL, "ill words near women"),
        (0.01, INSULT, "documents with insults"),
    ],
)
def test_a_sentence_in_a_few_documents_is_found(old, new, share: float, sentence: str, found: str):
    checked = check(columns(old, planted(new, share=share, sentence=sentence)), seed=0)

    assert found in alarms(checked)
    assert named(checked, found).times >= 2


def test_documents_of_another_language_are_found_and_named(old, new):
    checked = check(columns(old, replaced(new, share=0.01, by=GERMAN)), seed=0)

    languages = named(checked, "languages, all together")
    assert languages.level == "alarm"
    assert {told.partition(" -> ")[0] for told in languages.told} == {"en 100.0 %", "de 0.0 %"}


def test_duplicates_are_found(old, new):
    checked = check(columns(old, replaced(new, share=0.03)), seed=0)

    assert {"the same text as another", "nearly the same text as another"} <= alarms(checked)


def test_a_line_of_many_documents_is_found(old, new):
    checked = check(columns(old, planted(new, share=0.05, sentence="\nAll rights reserved by us.")), seed=0)

    assert "lines that stand in 3 documents or more" in alarms(checked)


def test_longer_documents_are_found(old, new):
    longer = [f"{text} {text} {text}" if place % 20 == 0 else text for place, text in enumerate(new)]

    checked = check(columns(old, longer), seed=0)

    assert named(checked, "words, geometric mean").level in ("alarm", "near")
    assert named(checked, "words, by quantiles").level == "alarm"


def test_a_source_that_gives_more_is_found_with_its_shares(old, new):
    source = ["web"] * 2700 + ["books"] * 300 + ["web"] * 2550 + ["books"] * 450

    checked = check(columns(old, new, source=source), seed=0)

    assert {"sources, all together", "share of the largest source"} <= alarms(checked)
    assert set(named(checked, "sources, all together").told) == {"books 10.0 % -> 15.0 %", "web 90.0 % -> 85.0 %"}
    assert checked.tables["source"][0].name == "web" and checked.tables["source"][0].other == pytest.approx(0.9)


def test_a_stored_signal_that_moved_is_found(old, new):
    score = np.linspace(0, 1, 6000) % 0.5
    score[3000:3150] += 3
    given = columns(old, new)

    checked = check(dataclasses.replace(given, signals={"quality.score": score}), seed=0)

    assert "quality.score" in alarms(checked)


def test_without_another_dataset_every_number_has_a_floor_and_none_a_distance(old):
    checked = check(columns(old), seed=0)

    assert all(number.floor > 0 and number.distance is None for number in checked.numbers)
    assert {number.level for number in checked.numbers} == {"floor only"}


def test_the_same_seed_gives_the_same_numbers(old, new):
    assert check(columns(old, new), seed=3).numbers == check(columns(old, new), seed=3).numbers


def test_who_is_spoken_ill_of_is_told_and_who_is_not_is_not(old):
    assert associated(columns(old)) == ()

    told = associated(columns(planted(old, share=0.05, sentence=ILL)))

    assert [sentence.partition(":")[0] for sentence in told] == ["women", "men"]  # men less than all together


def test_one_document_that_repeats_itself_says_nothing_of_a_group(old):
    repetitive = " ".join([ILL] * 40)

    assert associated(columns([*old[:1499], repetitive])) == ()


def test_documents_of_one_mind_are_no_association_where_no_group_differs(old):
    """Each names one group several times, and one document in ten speaks ill of whichever it names."""
    measured = columns(old).measured
    size, num_groups = measured.windows.shape
    told = 0
    for seed in range(40):
        draw = generator(seed, "null")
        group, times = draw.integers(0, num_groups, size), draw.poisson(8, size) + 1
        windows, ill = np.zeros((size, num_groups), np.int32), np.zeros((size, num_groups), np.int32)
        windows[np.arange(size), group] = times
        ill[np.arange(size), group] = draw.binomial(times, np.where(draw.random(size) < 0.1, 0.7, 0.03))
        null = dataclasses.replace(measured, windows=windows, ill=ill)
        told += bool(associated(Columns(null, np.arange(size), None, {}, {})))

    assert told <= 2  # of 40


def test_what_is_not_known_is_a_note_and_no_number(old, new):
    given = ["(unknown)"] * 6000

    checked = check(columns(old, new, host=given, year=given), seed=0)

    assert any(note.startswith("No host is known") for note in checked.notes)
    assert not any("host" in number.name or "year" in number.name for number in checked.numbers)


def test_a_tokenizer_counts_tokens_a_byte_of_the_documents_that_it_read(old):
    given = columns(old)
    tokens = given.measured.num_bytes // 4
    tokens[::2] = -1  # not read

    checked = check(dataclasses.replace(given, tokens=tokens), seed=0)

    fertility = named(checked, "tokens per byte, en")
    assert fertility.value == pytest.approx(0.25, abs=0.01)
