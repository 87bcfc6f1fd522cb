from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT

pytest.importorskip("spacy", reason="datatrove's words are spaCy's: pip install 'winnow[conformance]'")

from datatrove.pipeline.filters import c4_filters
from datatrove.pipeline.formatters.pii import PIIFormatter

from filters.conformance.badwords import C4BadWords
from filters.conformance.pii import ADDRESS, EMAIL, Pii, Rewriter, email_spans
from pipeline.core.errors import DataError
from pipeline.core.text import Batch
from tests.filters.conformance.texts import tokenizer_texts
from tests.filters.conformance.theirs import compare, judged_by_them, judged_by_us

VECTORS = json.loads((ROOT / "tests" / "cases" / "datatrove-0.10.1.json").read_text(encoding="utf-8"))["cases"]


def rewritten(texts: list[str]) -> list[str]:
    return judged_by_us(Pii(params=Pii.Params()), Batch.from_texts(texts)).texts


def test_pii_is_rewritten_as_in_the_golden_vectors():
    assert rewritten([case["text"] for case in VECTORS]) == [case["pii_formatted"] for case in VECTORS]


def test_the_expressions_are_datatroves():
    theirs = PIIFormatter()

    assert EMAIL.pattern == theirs.emails_replacer.regex.pattern
    assert ADDRESS.pattern == theirs.ip_replacer.regex.pattern


@settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(text=tokenizer_texts())
def test_made_text_is_rewritten_as_a_new_formatter_rewrites_it(text: str):
    assert rewritten([text]) == [PIIFormatter().format(text)]


def test_the_turn_of_replacements_carried_through_documents_is_one_ranks(docstrings: list[str]):
    formatter, rewriter = PIIFormatter(), Rewriter()
    texts = [*docstrings[:300], "a@b.org 8.8.8.8 c@d.org", "x@y.z 1.1.1.1 8.8.4.4", *docstrings[300:600], "e@f.gh"]

    assert [rewriter.rewrite(text) for text in texts] == [formatter.format(text) for text in texts]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["deprecated", "the array", "c++", "(see", "gr\u00f6\u00dfe", "foo_bar"]),
        ("en", ["numpy", "", "foo"]),
        ("ja", ["sm", "list", "\u65e5\u672c"]),
        ("en", []),
    ],
)
def test_bad_words_are_found_where_datatrove_finds_them(
    language: str, words: list[str], docstrings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "words.txt"
    path.write_text("".join(word + "\n" for word in words), encoding="utf-8")
    monkeypatch.setattr(c4_filters, "cached_asset_path_or_download", lambda *place, **where: str(path))
    theirs = c4_filters.C4BadWordsFilter(default_language=language)
    ours = C4BadWords(params=C4BadWords.Params.parse({"words": [str(path)], "language": language}))
    ours.prepare({"words": [path]})
    texts = [
        *docstrings[:500], "", " ", "c++", "C+++", "x c++y", "foo_bar.", "foo_barx", "GR\u00d6\u00dfE", "the  array",
        "a\u65e5\u672cb", "deprecated", "undeprecated", "\u00e9deprecated", "deprecated\u0301", "The Array", "smart",
    ]  # fmt: skip

    judged = judged_by_us(ours, Batch.from_texts(texts))

    assert not compare("c4_badwords", texts, ours=judged, theirs=judged_by_them(theirs, texts))


def test_a_list_that_is_no_text_is_named(tmp_path: Path):
    path = tmp_path / "words.txt"
    path.write_bytes(b"caf\xe9\n")

    with pytest.raises(DataError, match=r"words\.txt: byte 3 is no UTF-8"):
        C4BadWords(params=C4BadWords.Params.parse({"words": [str(path)]})).prepare({"words": [path]})


@settings(max_examples=2000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    text=st.lists(
        st.sampled_from([*"ab9..@@-_! :[]()\u00e9\u0660\n", "1.2.3.4", "1.2.3.", "com", "..", "a@b.c", "x-"]),
        max_size=16,
    ).map("".join)
)
def test_addresses_are_found_where_the_expression_finds_them(text: str):
    assert list(email_spans(text)) == [match.span() for match in EMAIL.finditer(text)]


@pytest.mark.parametrize("piece", ["8.8.8.8.", "a.", "1.@", "a@b.", "@", "a-@1.1.1.1."])
def test_a_megabyte_of_one_thing_is_rewritten_in_linear_time(piece: str):
    """The expression for e-mail takes 123 s for a quarter of the first."""
    start = time.process_time()

    rewritten([piece * (1_000_000 // len(piece))])

    assert time.process_time() - start < 2
