"""Words, folding and shingle hashes, checked against a plain Python reading of the same definition."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.folding import ALONE, SKIPPED, _fold
from filters.shingles import shingle_hashes, words_of
from pipeline.core.text import Batch


def words_in_python(text: str) -> list[str]:
    """The definition, one character at a time."""
    words, word = [], ""
    for character in text:
        value = ord(character.lower()) * character.isalnum() if character.isascii() else _fold(ord(character))
        if value == SKIPPED:
            continue
        alone = value >= ALONE
        if (value == 0 or alone) and word:
            words.append(word)
            word = ""
        if alone:
            words.append(chr(value - ALONE))
        elif value:
            word += chr(value)
    return [*words, word] if word else words


def word_lists(texts: list[str]) -> list[list[int]]:
    words = words_of(Batch.from_texts(texts))
    return [words.hashes[words.offsets[doc] : words.offsets[doc + 1]].tolist() for doc in range(len(texts))]


def test_words_ignore_case_accents_punctuation_and_composition() -> None:
    same = [
        "Cafe naive, the END.",
        "caf\u00e9 na\u00efve: The end",
        "cafe\u0301 -- nai\u0308ve THE \u00abend\u00bb",
        "ca\u00adfe naive the\u200b end",
    ]

    lists = word_lists(same)

    assert len(lists[0]) == 4
    assert all(words == lists[0] for words in lists)


def test_scripts_without_spaces_give_a_word_per_character() -> None:
    lists = word_lists(["\u6f22\u5b57abc\u304b\u306a", "\u6f22 \u5b57 ABC \u304b \u306a"])

    assert len(lists[0]) == 5
    assert lists[0] == lists[1]


def test_marks_that_carry_meaning_stay() -> None:
    consonant, syllable = word_lists(["\u0915", "\u0915\u0940"])  # Devanagari KA, KA with vowel sign II

    assert consonant != syllable


@given(st.lists(st.text(max_size=200), max_size=6))
@settings(max_examples=300, deadline=None)
def test_words_agree_with_the_definition(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    known: dict[str, int] = {}

    for text, hashes in zip(texts, word_lists(texts), strict=True):
        words = words_in_python(text)
        assert len(words) == len(hashes)
        assert all(known.setdefault(word, value) == value for word, value in zip(words, hashes, strict=True))
    assert len(set(known.values())) == len(known)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 15, 16, 17, 55, 63, 64, 65, 127, 128, 129])
def test_a_word_has_one_hash_wherever_it_stands(length: int) -> None:
    """Blocks of 8 and 64 bytes, and the end of the buffer, must not show."""
    word = ("abcdefgh" * 17)[:length]

    places = word_lists([word, f"  {word.upper()} ", " " * 61 + word, f"{word}\u2014", f"\u2014{word}", "", word])

    assert {tuple(words) for words in places if words} == {tuple(places[0])}
    assert [len(words) for words in places] == [1, 1, 1, 1, 1, 0, 1]


def test_spans_point_at_the_words() -> None:
    batch = Batch.from_texts(["One, two", "", "\u00fcber-drei \u6f22\u5b57 \u2014 " + "x" * 70])

    words = words_of(batch, spans=True)

    data = batch.data.tobytes()
    found = [data[start:end].decode() for start, end in words.spans]
    assert found == ["One", "two", "\u00fcber", "drei", "\u6f22", "\u5b57", "x" * 70]


def test_shingles_do_not_alias_by_order_number_or_concatenation() -> None:
    texts = ["a b c d e", "b a c d e", "ab c d e", "a bc d e", "a b c d", "a a a a a", "a a a a", "a", "aa"]

    words = words_of(Batch.from_texts(texts))
    hashes, offsets = shingle_hashes(words.hashes, words.offsets, 5)

    assert offsets.tolist() == list(range(len(texts) + 1))
    assert len(set(hashes.tolist())) == len(texts)


def test_a_rolled_shingle_equals_the_same_words_alone() -> None:
    names = [f"w{index}" for index in range(40)]

    words = words_of(Batch.from_texts([" ".join(names), *(" ".join(names[i : i + 5]) for i in range(36))]))
    hashes, offsets = shingle_hashes(words.hashes, words.offsets, 5)

    assert offsets[1] == 36
    assert hashes[:36].tolist() == hashes[36:].tolist()


def test_word_hashes_spread_over_all_bits() -> None:
    words = words_of(Batch.from_texts([" ".join(str(number) for number in range(20_000))]))
    hashes, _ = shingle_hashes(words.hashes, words.offsets, 5)

    for values in (words.hashes, hashes):
        bits = (values[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
        assert len(np.unique(values)) == len(values)
        assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.02


@pytest.mark.parametrize(
    "text",
    ["x" * 1_000_000, "a " * 500_000, "same " * 200_000, "\u00e9" * 500_000, "\u0301" * 500_000, "\0" * 1_000_000],
)
def test_a_megabyte_of_anything_takes_well_under_a_second(text: str) -> None:
    words_of(Batch.from_texts(["warm \u00fcp"]))
    started = time.perf_counter()

    words_of(Batch.from_texts([text]))

    assert time.perf_counter() - started < 0.5
