"""What tells two datasets apart is found, and named by the words that do."""

from __future__ import annotations

import numpy as np
import pytest

from filters.audit.close import Close, read_closely
from filters.audit.told_apart import area
from tests.filters.audit.planted import planted, texts


def test_a_fifth_of_other_documents_is_told_apart_by_its_words():
    old, new = texts(800, seed=1), texts(800, seed=2)

    numbers, topics, _ = read_closely(
        Close(old + planted(new, share=0.2, sentence="Zebras graze."), 800), seed=0, rounds=5
    )

    drift, spread = numbers
    assert drift.name == "told apart by a classifier" and drift.level == "alarm"
    assert any("`zebras" in told or "graze" in told for told in drift.told)
    assert spread.name == "topics, all together" and spread.level in ("alarm", "near")
    assert sum(row.share for row in topics) == pytest.approx(1)


def test_documents_of_one_kind_are_not_told_apart():
    numbers, _, _ = read_closely(Close(texts(800, seed=1) + texts(800, seed=2), 800), seed=0, rounds=5)

    assert [number.level for number in numbers] == ["quiet", "quiet"]


def test_texts_that_both_have_are_not_told_apart():
    same = texts(600, seed=1)

    numbers, _, _ = read_closely(Close(same + same, 600), seed=0, rounds=5)

    assert abs(numbers[0].distance) < 0.05 and numbers[0].level == "quiet"


def test_texts_without_words_have_no_topics_and_a_note():
    numbers, topics, notes = read_closely(Close(["1 2 3"] * 300, 300), seed=0, rounds=2)

    assert [number.group for number in numbers] == ["drift"] and topics == ()
    assert notes == ["Topics: the documents have too few words in common to find any."]


def test_the_area_counts_pairs_in_order_and_ties_by_half():
    scores, second = np.array([0.1, 0.4, 0.35, 0.8, 0.4]), np.array([False, False, True, True, True])

    assert area(scores, second) == pytest.approx((1 + 0 + 1 + 1 + 1 + 0.5) / 6)
