"""What a word and a skeleton are: templates are seen through numbers and case."""

from __future__ import annotations

import numpy as np

from pipeline.core.text.batch import Batch
from synth.diversity.words import joined, read_words


def test_words_are_alike_whatever_their_case_and_numbers() -> None:
    words = read_words(Batch.from_texts(["The 12 CATS, 1947!", "the 3 cats 5"]))

    assert words.counts.tolist() == [4, 4]
    assert np.array_equal(words.hashes[:4], words.hashes[4:])


def test_a_document_is_cut_after_so_many_words() -> None:
    words = read_words(Batch.from_texts(["one two three four", "", "five"]), most=3)

    assert words.counts.tolist() == [3, 0, 1]
    assert words.data.tobytes() == b"one two threefive"


def test_characters_of_scripts_without_spaces_are_words() -> None:
    assert read_words(Batch.from_texts(["\u4f60\u597d world \U00020000"])).counts.tolist() == [4]


def test_a_skeleton_is_the_order_of_kinds_of_lines() -> None:
    same, also, other = read_words(
        Batch.from_texts(["# A\n\n- b\n- c", "# Longer\n\n- d\n- e\n- f", "# A\n\n1. b\n2. c"])
    ).skeletons

    assert same == also != other


def test_documents_taken_and_joined_are_what_they_were() -> None:
    whole = read_words(Batch.from_texts(["a b", "c", "", "d e f"]))

    again = joined([whole.take(np.array([row])) for row in range(4)])

    assert np.array_equal(again.hashes, whole.hashes) and np.array_equal(again.offsets, whole.offsets)
    assert np.array_equal(again.data, whole.data) and np.array_equal(again.byte_offsets, whole.byte_offsets)
    assert len(joined([]).hashes) == 0
