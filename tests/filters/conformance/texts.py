"""Hypothesis strategies for text that a tokenizer trips over: emoticons, contractions, units, URLs, abbreviations."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from tests.filters.text_strategies import LINE_ENDS, PIECES, SPACES, TEXTS

MARKS = [
    *",:;!?()[]{}<>_#*&.'\"`-~=/+^%|@\\$",
    *"\u2026\u3002\u201c\u201d\u2018\u2019\u00b4\u00ab\u00bb\u2013\u2014\u00a7\u00b0\u2022",
    "..", "...", "--", "---", "\u2014\u2014", "'s", "\u2019s", "\u2019S", "[1]", "[edit]", "[\u0663]", "):", ":)",
]  # fmt: skip
UNITS = "km m dm cm mm ha yd in ft kg g t m/s km/h hPa mb KB TB T G K % km\u00b2 \u00b5m \u043a\u0433 $ \u20ac US$ C$"
ADDRESSES = (
    "http:// https:// www. foo.com a.b x@y.org @ mailto: ?q=1 /path #x :80 com e.g i.e a.m. p.m. 127.0.0.1 8.8.8.8 "
    "10.0.0.1 1.2.3.4.5 256.1.1.1 a@[1.2.3.4] first.last+tag@ex-ample.co.uk 5,000 1.5 12/03/2024"
)
LETTERS = [*"abcdexDOPoKMGTsS8031", "foo", "Bar", "NASA", "the", "Dr", "\u00e9", "\u00c4", "\u4e2d", "\u044f", "\u0130"]
ODD = ["\u03a3", "\u03c2", "e\u0301", "\uac00", "\u212a", "\u1e9b\u0323", "\U0001f600", "\u200b", "\u2460", "\u0967"]


@cache
def special_cases() -> list[str]:
    """Return all special cases of spaCy's tokenizer that are no white space."""
    import spacy

    return sorted(text for text in spacy.blank("en").tokenizer.rules if text.strip())


def tokenizer_texts() -> st.SearchStrategy[str]:
    """Return texts of a few dozen chunks, most parted by one space, glued from what tokenizer rules look at."""
    pieces = st.one_of(
        st.sampled_from(special_cases()), st.sampled_from(MARKS), st.sampled_from(MARKS), st.sampled_from(LETTERS),
        st.sampled_from(UNITS.split()), st.sampled_from(ADDRESSES.split()), st.sampled_from(ODD),
    )  # fmt: skip
    chunks = st.lists(pieces, min_size=1, max_size=5).map("".join)
    spaced = st.tuples(chunks, st.one_of(st.just(" "), st.just(" "), SPACES, LINE_ENDS)).map("".join)
    return st.lists(spaced, max_size=25).map("".join)


def page_texts() -> st.SearchStrategy[str]:
    """Return texts that pass some rules: many plain words, repeats and lines among what trips."""
    words = st.sampled_from(
        ["the", "of", "and", "house", "river", "with", "be", "to", "a", "stone.", "garden,", "that"]
    )
    line = st.tuples(st.lists(st.one_of(words, words, words, PIECES), max_size=25).map(" ".join), st.one_of(
        st.just("\n"), st.just(".\n"), LINE_ENDS, st.just("!\n\n"))).map("".join)  # fmt: skip
    lines = st.lists(line, min_size=1, max_size=12).map("".join)
    return st.one_of(lines, lines, lines.map(lambda text: text * 3), TEXTS, tokenizer_texts())
