"""What a terminal and a page may show of strangers' text: everything but what acts."""

from __future__ import annotations

import json

import pytest

from pipeline.core.shown import escaped, one_line, shown

MARK = "\N{REPLACEMENT CHARACTER}"
AS_IT_IS = [
    "1\u00a0000\u202fkm, \u5168\u89d2\u3000\u7a7a\u767d",  # spaces of French and Japanese
    "co\u00adoperate \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # a soft hyphen, a Persian non-joiner
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u0915\u094d\u200d\u0937",  # joined emoji, a conjunct
    "\u05d0\u200f!\ufeff\ue000\U0010fffd\n\t",  # a mark of direction, a private letter
]
ACTING = {
    "a CSI of two bytes": "\x1b[2J",
    "a CSI of one": "\x9b2J",
    "a bell": "\x07",
    "a backspace": "\x08",
    "a return to the line's start": "\r",
    "a delete": "\x7f",
    "an override of direction": "\u202e",
    "an isolate": "\u2067",
    "a line separator": "\u2028",
    "half of a pair": "\udcff",
}


@pytest.mark.parametrize("text", AS_IT_IS)
def test_spaces_joiners_and_letters_of_every_script_are_shown_as_they_are(text: str):
    assert shown(text) == text


@pytest.mark.parametrize("case", ACTING)
def test_what_acts_on_a_terminal_is_replaced(case: str):
    text = ACTING[case]

    assert shown(f"a{text}b") == f"a{MARK}{text[1:]}b"


@pytest.mark.parametrize("case", ACTING)
def test_in_json_it_is_spelled_out_and_means_the_same(case: str):
    value = {"id": f"a{ACTING[case]}\u3000b"}

    told = escaped(json.dumps(value, ensure_ascii=False, indent=1))

    assert json.loads(told) == value
    assert shown(told) == told and "\u3000" in told


def test_one_line_joins_lines_and_keeps_the_spaces_of_other_scripts():
    assert one_line(" one\r\n\ttwo\u2028three\u3000four\u00a0! ") == "one two three\u3000four\u00a0!"
