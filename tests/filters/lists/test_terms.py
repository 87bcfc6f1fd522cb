"""Word lists: what counts as a term, what a limit does, which lists are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from filters.lists.terms import Terms, Toxicity
from pipeline.core.errors import DataError
from tests.filters.conftest import measured_rows, verdict_of
from tests.timing import slowness

LIST = "# a list\nDamn\nbad luck\nluck\n\u4e0d\u597d\ncaf\u00e9\n"


def prepared(folder: Path, text: str = LIST, *, kind: type[Terms] = Terms, **params: object) -> Terms:
    path = folder / "terms.txt"
    path.write_text(text, encoding="utf-8")
    step = kind(params=kind.Params.parse({"terms": [str(path)], **params}))
    step.prepare({"terms": [path]})
    return step


@pytest.mark.parametrize(
    ("text", "count", "fraction", "first"),
    [
        ("Damn it, DAMN!", 2, 2 / 3, "Damn"),
        ("Damnation and goddamn are other words.", 0, 0, None),
        ("Such bad\n luck.", 2, 2 / 3, "bad luck"),
        ("My luck is bad", 1, 1 / 4, "luck"),
        ("It is \u4e0d\u597d.", 1, 2 / 4, "\u4e0d\u597d"),
        ("A CAFE and a cafe\u0301", 2, 2 / 5, "caf\u00e9"),
        ("", 0, 0, None),
        ("...", 0, 0, None),
    ],
)
def test_whole_words_and_phrases_count_whatever_their_case_and_accents(
    tmp_path: Path, text: str, count: int, fraction: float, first: str | None
) -> None:
    (row,) = measured_rows(prepared(tmp_path), [text])

    assert row == {"num_terms": count, "term_fraction": pytest.approx(fraction), "first_term": first}


def test_terms_only_measure_and_toxicity_has_a_limit(tmp_path: Path) -> None:
    text = "damn " + "fine " * 49

    assert verdict_of(prepared(tmp_path), text) == "keep"
    assert verdict_of(prepared(tmp_path, kind=Toxicity), text) == "drop: listed_terms"
    assert verdict_of(prepared(tmp_path, kind=Toxicity), text * 2 + "fine " * 100) == "keep"
    assert verdict_of(prepared(tmp_path, kind=Toxicity, max_fraction=None), text) == "keep"
    assert verdict_of(prepared(tmp_path, max_fraction=0.0), text) == "drop: listed_terms"
    assert Toxicity.Params.parse({"terms": ["x"], "max_fraction": 0.5}).of_role("measure") == {}


def test_batches_do_not_show(tmp_path: Path) -> None:
    step = prepared(tmp_path)
    texts = ["damn", "", "no", "bad luck " * 100, "luck"]

    assert measured_rows(step, texts) == [measured_rows(step, [text])[0] for text in texts]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no word"),
        ("# only this\n...\n", "holds no word"),
        ("a b c d e f g h i\n", "has 9 words; a term has 8"),
    ],
)
def test_lists_that_cannot_be_found_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, text)


@pytest.mark.parametrize("piece", ["damn ", "x", "bad ", "luck bad "])
def test_time_grows_with_the_text_whatever_it_says(tmp_path: Path, piece: str) -> None:
    step = prepared(tmp_path)

    assert not slowness(lambda size: measured_rows(step, [piece * (size // len(piece))]))
