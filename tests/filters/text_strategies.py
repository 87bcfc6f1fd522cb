"""Hypothesis strategies for text that breaks segmenters: every line end and space, phrases, combining, RTL, NUL."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = """
the and With THE that, (of) to have "the" be. ''''''''The'''''''' With.... hello-world word, word longer_identifier
abcdefgh abcdefg abcdefghi internationalisation. 12345678 1. 12. U.S. e.g. A. end. end.) what?! fine.[3] [12]
#tag ### ... .... wait... wait..." \u2026 so\u2026 - * \u2022 *bold.* `code.` [edit] [1] [] [1234] [[7]] {x} } .
caf\u00e9 na\u00efve. \u4f60\u597d\u3002 \u0645\u0631\u062d\u0628\u0627\u061f \u05e9\u05dc\u05d5\u05dd
e\u0301 \u200b a\u200bb \U0001f600 \U00010400x
\u201cthe\u201d \u201cquoted.\u201d \u00ab\u00bb \u0967\u0968 \u2460
\u00b2 x\x00y \x00 \x07 \x7f xxxxxxxxxxxxxxxxxxxxxxxxxxxxx
"""
PHRASES = [
    "lorem ipsum",
    "Lorem IPSUM.",
    "uses JavaScript now.",
    "see our Privacy Policy here.",
    "We use cookies here.",
    "Terms of use",
    "one two three four five six seven eight nine ten.",
    "A full sentence stands here.",
]
PIECES = st.sampled_from([*WORDS.split(), *PHRASES])
SPACES = st.sampled_from([" ", " ", " ", " ", "  ", "\t", "\u00a0", "\u3000", "\u2003", "\x1f", "", "    "])
LINE_ENDS = st.sampled_from(
    ["\n", "\n", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\n \n"]
)
TEXTS = st.one_of(
    st.lists(st.one_of(PIECES, PIECES, SPACES, SPACES, LINE_ENDS), max_size=60).map("".join),
    st.lists(PIECES, max_size=60).map(" ".join),
    st.lists(st.sampled_from(["a", "b", "cc", "a b\n", "cc a b a b"]), max_size=120).map(" ".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.text(max_size=40, alphabet="ab .\n\r{[]1*-#"),
)
BATCHES = st.lists(TEXTS, min_size=1, max_size=4)
