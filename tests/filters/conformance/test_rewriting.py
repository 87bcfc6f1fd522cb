from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.conftest import ROOT

pytest.importorskip("spacy", reason="datatrove's words are spaCy's: pip install -e '.[conformance]'")

from datatrove.pipeline.filters import c4_filters
from datatrove.pipeline.formatters.pii import PIIFormatter

from filters.conformance.badwords import C4BadWords
from filters.conformance.pii import Pii
from pipeline.core.errors import DataError
from pipeline.core.text.batch import Batch
from tests.filters.conformance.texts import tokenizer_texts
from tests.filters.conformance.theirs import compare, judged_by_them, judged_by_us
from tests.samples import examples, hold
from tests.timing import slowness

VECTORS = json.loads((ROOT / "tests" / "cases" / "datatrove-0.10.1.json").read_text(encoding="utf-8"))["cases"]


# What filters/conformance/pii_kernels.py matches without running it, as it stands in datatrove.
LOCAL, LABEL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
OCTET = r"25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?"
EMAIL = (
    rf"\b{LOCAL}(?:\.{LOCAL})*@(?:(?:{LABEL}\.)+{LABEL}"
    rf"|\[(?:(?:{OCTET})\.){{3}}(?:{OCTET}|[A-Za-z0-9-]*[A-Za-z0-9]:)])"
)
ADDRESS = rf"(?:(?:{OCTET})\.){{3}}(?:{OCTET})"

# Pieces that make, break and nearly make addresses; the odd letters and digits count as word characters or not.
DIGITS = [*"0125689", "25", "255", "256", "249", "250", "199", "300", "01", "001", ".", ".", ".", ".."]
SIGNS = [*"aZ_-!#'.@@@ []:\n", "a@b.c", "a@[1.2.3.", "tag:]", "[1.2.3.4]", "--", "x.org", "a-.b", "\u00e9", "\u4e2d"]
WHOLE = ["8.8.8.8", "10.0.0.1", "1.2.3.", "1.2.3.4.5", "08.8.8.8", "\u00b2", "\u0301", "\u0660", "\U0001f600"]


def rewritten(texts: list[str], **params: Any) -> list[str]:
    return judged_by_us(Pii(params=Pii.Params.parse(params)), Batch.from_texts(texts)).texts


def address_texts() -> st.SearchStrategy[str]:
    """Return texts glued from pieces of addresses."""
    pools = (DIGITS, SIGNS, [*DIGITS, *SIGNS, *WHOLE], [*WHOLE, "@", "a", "."])
    return st.sampled_from(pools).flatmap(lambda pool: st.lists(st.sampled_from(pool), max_size=40).map("".join))


def test_pii_is_rewritten_as_in_the_golden_vectors():
    assert rewritten([case["text"] for case in VECTORS]) == [case["pii_formatted"] for case in VECTORS]


def test_the_expressions_are_those_that_the_kernels_were_written_for():
    theirs = PIIFormatter()

    assert theirs.emails_replacer.regex.pattern == EMAIL
    assert theirs.ip_replacer.regex.pattern == ADDRESS


@examples(100, many=1000)
def test_made_text_is_rewritten_as_a_new_formatter_rewrites_it(examples: int):
    def alike(text: str) -> None:
        assert rewritten([text]) == [PIIFormatter().format(text)]

    hold(alike, tokenizer_texts(), examples=examples)


@examples(50, many=500)
def test_text_made_of_pieces_of_addresses_is_rewritten_as_there(examples: int):
    def alike(texts: list[str]) -> None:
        assert rewritten(texts) == [PIIFormatter().format(text) for text in texts]

    hold(alike, st.lists(address_texts(), min_size=20, max_size=20), examples=examples)


@pytest.mark.parametrize("switch", ["remove_emails", "remove_ips", "only_remove_public_ips"])
def test_every_switch_does_what_theirs_does(switch: str, docstrings: list[str]):
    texts = [
        *docstrings[:300], "a@b.org 8.8.8.8 c@d.org", "x@[10.0.0.1] 1.1.1.1 8.8.4.4 10.0.0.1", "1.2.3.4@x.org.9.8.7.6",
        "\u00e9!a@b.c", "\u00e9a@b.c", "!!@b.c", "1234.5.6.7.8", "256.2.3.4", "1.2.3.256", "01.2.3.4",
    ]  # fmt: skip

    assert rewritten(texts, **{switch: False}) == [PIIFormatter(**{switch: False}).format(text) for text in texts]


@pytest.mark.parametrize("piece", ["@", "a@", "a.", "!a", "1.@", "8.8.8.8.", "a@b.", "a-@1.1.1.1.", "-@[1.2.3.a"])
def test_one_piece_at_any_length_is_rewritten_in_linear_time(piece: str):
    """`re` needs quadratic time for most of them: 123 s for a quarter of `8.8.8.8.`."""
    assert rewritten([piece * 50]) == [PIIFormatter().format(piece * 50)]

    assert not slowness(lambda size: rewritten([piece * (size // len(piece))]))


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

    with pytest.raises(DataError, match=r"words\.txt: byte 3 is not UTF-8"):
        C4BadWords(params=C4BadWords.Params.parse({"words": [str(path)]})).prepare({"words": [path]})
