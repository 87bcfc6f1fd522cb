"""Words of scripts without spaces: each character is one, and nothing else changes."""

from __future__ import annotations

import pytest

from filters.heuristics.gopher import GopherQuality, GopherRepetition
from filters.words.apart import apart
from pipeline.core.text.batch import Batch

CHINESE = "\u5929\u6c14\u5f88\u597d"  # four characters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHINESE, " ".join(CHINESE) + " "),
        (f"in {CHINESE[:2]}, x{CHINESE[2]}y", f"in {CHINESE[0]} {CHINESE[1]} , x {CHINESE[2]} y"),
        ("\u0e01\u0e02 abc", "\u0e01 \u0e02  abc"),
        ("\ud55c\uad6d\uc5b4 is spaced, caf\u00e9 too.\n", "\ud55c\uad6d\uc5b4 is spaced, caf\u00e9 too.\n"),
        ("", ""),
    ],
)
def test_a_space_follows_each_character_of_such_a_script(text: str, expected: str) -> None:
    assert apart(Batch.from_texts(["before", text])).text.to_pylist() == ["before", expected]


def test_words_are_counted_and_repeats_are_seen_where_spaces_show_none() -> None:
    texts = [CHINESE * 30, "A plain English line that has some words in it."]
    by = {
        words: {
            step.name: step.measure(Batch.from_texts(texts)).signals
            for step in (
                GopherQuality(params=GopherQuality.Params(words=words)),
                GopherRepetition(params=GopherRepetition.Params(words=words)),
            )
        }
        for words in ("spaces", "characters")
    }

    assert by["spaces"]["gopher_quality"]["num_words"].tolist() == [1, 10]
    assert by["characters"]["gopher_quality"]["num_words"].tolist() == [120, 10]
    repeated = [by[words]["gopher_repetition"]["dup_10_gram_char_frac"].to_pylist()[0] for words in by]
    assert repeated[0] == 0 and repeated[1] > 0.3
    for step, signals in by["spaces"].items():
        for signal, values in signals.items():
            assert list(values)[1] == list(by["characters"][step][signal])[1]
