from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.heuristics.c4 import C4Quality
from filters.heuristics.definitions import c4_quality
from pipeline.core.text.batch import Batch
from tests.filters.conftest import Case, measured_rows, read_cases, verdict_of
from tests.filters.text_strategies import BATCHES
from tests.samples import few_and_many, hold

STEP = C4Quality(params=C4Quality.Params())


def rewritten(text: str, **params: object) -> str | None:
    """Return the new text, None where it stays as it is."""
    (row,) = measured_rows(C4Quality(params=C4Quality.Params.parse(params)), [text])
    new = row["text"]
    assert new is None or isinstance(new, str)
    return new


@pytest.mark.parametrize("case", read_cases("c4_quality"), ids=lambda case: case.name)
def test_cases(case: Case) -> None:
    assert verdict_of(STEP, case.text) == case.verdict


@given(BATCHES, st.booleans(), st.sampled_from([8, 1000]))
@settings(max_examples=300, deadline=None)
def test_kernels_agree_with_the_definitions(texts: list[str], terminal: bool, longest: int) -> None:
    step = C4Quality(params=C4Quality.Params(terminal_punctuation=terminal, max_word_length=longest))

    for row, text in zip(measured_rows(step, texts), texts, strict=True):
        signals, new_text = c4_quality(text, max_word_length=longest, terminal=terminal)
        assert row == {**signals, "text": new_text}


def test_kernels_agree_with_the_definitions_on_real_text(docstrings: list[str]) -> None:
    for row, text in zip(measured_rows(STEP, docstrings), docstrings, strict=True):
        signals, new_text = c4_quality(text, max_word_length=1000, terminal=True)
        assert row == {**signals, "text": new_text}


def test_a_document_measures_the_same_in_any_batch(docstrings: list[str]) -> None:
    texts = docstrings[:120]

    assert measured_rows(STEP, texts) == [measured_rows(STEP, [text])[0] for text in texts]


def test_text_without_a_dropped_line_is_not_touched() -> None:
    assert rewritten("  An indented line stays here.\r\n\r\n\r\nSo do blank lines too.\n\n") is None


def test_kept_lines_keep_indentation_and_paragraphs() -> None:
    text = "Menu\n\nThe first stays here.\n    It has an indented line.\n\nHome\n\nThe second one is kept.\n\nFooter\n"

    assert rewritten(text) == ("The first stays here.\n    It has an indented line.\n\nThe second one is kept.")


def test_a_line_may_end_in_a_citation() -> None:
    assert rewritten("It is known to be so. [3]\n") == "It is known to be so. "


def test_empty_brackets_and_long_numbers_are_no_citations() -> None:
    assert rewritten("The list [] is empty here.\nThe year was called [1984].") is None


def test_no_citation_is_numbered_from_zero() -> None:
    assert rewritten("We know that counts[0] == '1', and so do agents [007] and [00] here.") is None
    assert rewritten("It was known [10] in 1990 [305].") == "It was known  in 1990 ."


def test_an_index_in_code_is_a_citation_unless_citations_are_kept() -> None:
    text = "The sum is result[1] + result[2] here."

    assert rewritten(text) == "The sum is result + result here."
    assert rewritten(text, citations="keep") is None


def test_citations_stay_when_asked() -> None:
    assert rewritten("It is known to be so [3] here.", citations="keep") is None
    assert rewritten("It is known to be so [3] here.") == "It is known to be so  here."


def test_lines_of_one_kind_stay_when_asked() -> None:
    text = "We use javascript on this page.\nRead the terms of use here."

    assert rewritten(text) == ""
    assert rewritten(text, javascript_lines="keep") == "We use javascript on this page."
    assert rewritten(text, javascript_lines="keep", policy_lines="keep") is None


def test_braces_drop_no_code_when_their_limit_is_null() -> None:
    text = "The body of a function stands in { braces }. " * 6

    assert verdict_of(STEP, text) == "drop: curly_bracket"
    assert verdict_of(C4Quality(params=C4Quality.Params(max_curly_brackets=None)), text) == "keep"


HOSTILE = {
    "left brackets": "[" * 1_000_000,
    "citations": "[1]" * 300_000,
    "almost citations": "[citation neede " * 60_000,
    "almost phrases": "use of cookie lorem ipsu " * 40_000,
    "a million lines": "a b c.\n" * 300_000,
    "one endless word": "x" * 10_000_000,
    "closing brackets": ")" * 1_000_000,
    "words of closing brackets": (")" * 1000 + " ") * 1000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    (row,) = measured_rows(STEP, [HOSTILE[name]])

    assert row["num_sentences"] is not None


@pytest.mark.parametrize(
    "phrase",
    ["javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"],
)
def test_a_phrase_is_found_wherever_it_stands(phrase: str) -> None:
    for before in range(70):
        line = "x" * before + phrase.upper() + " on a line of words."
        assert rewritten(f"The first line stays here.\n{line}") == "The first line stays here."
        assert rewritten(f"The first line stays here.\n{line}", javascript_lines="keep", policy_lines="keep") is None


def test_a_phrase_that_a_marker_parts_counts() -> None:
    assert rewritten("The first line stays here.\nIt needs java[1]script to be read.") == "The first line stays here."


def same_segmentation(texts: list[str], step: C4Quality) -> None:
    batch = Batch.from_texts(texts)
    edited = batch.edited(step.measure(batch).text)
    found, read = edited.segmentation, Batch(ids=edited.ids, text=edited.text).segmentation

    names = {
        "words": ("doc_offsets", "starts", "num_bytes", "num_chars", "hashes", "flags"),
        "lines": tuple(field.name for field in fields(read.lines)),
    }
    for part in names:
        for name in names[part]:
            left, right = getattr(getattr(found, part), name), getattr(getattr(read, part), name)
            assert (left.dtype, left.tolist()) == (right.dtype, right.tolist()), name
    assert found.num_chars.tolist() == read.num_chars.tolist()
    assert found.num_line_ends.tolist() == read.num_line_ends.tolist()


@few_and_many("count", 60, 300)
def test_words_and_lines_of_the_new_text_are_those_read_from_it(count: int) -> None:
    def are_those_read(made: tuple[list[str], bool, int, str]) -> None:
        texts, terminal, fewest, citations = made
        params = {"terminal_punctuation": terminal, "min_words_per_line": fewest, "citations": citations}
        same_segmentation(texts, C4Quality(params=C4Quality.Params.parse(params)))

    settings_of_one = st.tuples(BATCHES, st.booleans(), st.integers(0, 4), st.sampled_from(["remove", "keep"]))
    hold(are_those_read, settings_of_one, examples=count)


def test_words_and_lines_of_new_real_text_are_those_read_from_it(docstrings: list[str]) -> None:
    same_segmentation(docstrings, STEP)


def test_a_return_before_a_dropped_line_may_join_a_line_feed() -> None:
    same_segmentation(["The first line stays.\rMenu\n\nThe last line stays."], STEP)
