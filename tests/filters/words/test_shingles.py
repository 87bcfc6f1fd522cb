"""Words, folding and shingle hashes, checked against a plain Python reading of the same definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.words.folding import ALONE, SKIPPED, _fold
from filters.words.shingles import shingle_hashes, words_of
from pipeline.core.rng import generator
from pipeline.core.text.batch import Batch
from tests.timing import slowness


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


def hash_in_python(word: str) -> int:
    """The hash of a folded word: its UTF-8 bytes, eight at a time."""
    data, state = word.encode(), 0x9E3779B97F4A7C15
    for first in range(0, len(data), 8):
        product = (state ^ int.from_bytes(data[first : first + 8], "little")) * 0xD6E8FEB86659FD93
        state = (product ^ product >> 64) % 2**64
    return max(state, 1)


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


PIECES = [
    *("a", "The", "x86", "eightchr", "NINECHARS", "sixteen-", "sixteenCHARACTERS", "z" * 65, "9" * 200, " ", "  \n"),
    *("_", ".", "-" * 64, "don't", "\0", "\0\0", "\x7f", "\u00e9", "e\u0301", "\u00adsoft", "\u2014", "\u2500" * 5),
    *("\u6f22\u5b57", "\u304b", "\uac00", "\u041f\u0440\u0438\u0432\u0435\u0442", "\u0d2e\u0d32\u0d2f\u0d3e\u0d33"),
    *("\U00010400", "\U0001f600", "\U00020000", "\U000e0100", "\u0130", "\u00df", "\ufb01", "\uff76", "\u0e01\u0e34"),
]  # fmt: skip


@given(st.lists(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES)).map("".join)), max_size=6))
@settings(max_examples=300, deadline=None)
def test_words_agree_with_the_definition(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]

    lists = word_lists(texts)

    assert lists == [list(map(hash_in_python, words_in_python(text))) for text in texts]


def test_many_words_in_many_documents_agree_with_the_definition() -> None:
    """Words are hashed by the hundred across documents; those that are not ASCII shift all that follow."""
    draw = generator(1, "pieces")
    texts = []
    for length in [0, 1, 2, 3000, 0, 700, *draw.integers(0, 60, 300), 0, 5000]:
        chosen = draw.integers(0, len(PIECES), length)
        plain = draw.random(length) < draw.choice([0.0, 0.9, 0.99, 1.0])
        pieces = ["some Words, " if common else PIECES[piece] for piece, common in zip(chosen, plain, strict=True)]
        texts.append("".join(pieces))
    batch = Batch.from_texts(texts)

    words = words_of(batch, spans=True)

    assert word_lists(texts) == [list(map(hash_in_python, words_in_python(text))) for text in texts]
    data = batch.data.tobytes()
    for start, end, value in zip(*words.spans.T.tolist(), words.hashes.tolist(), strict=True):
        assert hash_in_python("".join(words_in_python(data[start:end].decode()))) == value


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


@pytest.mark.parametrize("piece", ["x", "a ", "same ", "\u00e9", "\u0301", "\0"])
def test_time_grows_with_the_text_whatever_it_says(piece: str) -> None:
    words_of(Batch.from_texts(["warm \u00fcp"]))

    assert not slowness(lambda size: words_of(Batch.from_texts([piece * (size // len(piece.encode()))])), loops=20)
