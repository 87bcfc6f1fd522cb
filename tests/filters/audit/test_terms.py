"""Words of the lists are counted by whole words, and windows of groups by ten words on each side."""

from __future__ import annotations

import numpy as np
import pytest

from filters.audit.terms import count_terms, false_discovery, load_terms, shrunk_odds, votes
from filters.words.shingles import words_of
from pipeline.core.text.batch import Batch


def counted(*texts: str):
    words = words_of(Batch.from_texts(list(texts)))
    return count_terms(words.hashes, words.offsets, terms=load_terms())


def test_words_of_lists_are_counted_whatever_their_case_and_not_inside_of_others():
    found = counted("We DELVE and delve into a tapestry.", "An idiot, idiotic idiots", "tapestries")

    assert found.markers.tolist() == [3, 0, 0]
    assert found.toxic.tolist() == [0, 2, 0]


@pytest.mark.parametrize(("between", "ill"), [(9, 1), (10, 0)])
def test_a_word_that_speaks_ill_counts_within_ten_words(between: int, ill: int):
    gap = " ".join(["word"] * between)
    women = load_terms().groups.index("women")

    before, after = counted(f"criminal {gap} women"), counted(f"women {gap} criminal")

    assert before.windows[0, women] == after.windows[0, women] == 1
    assert before.ill[0, women] == after.ill[0, women] == ill


def test_windows_do_not_reach_into_the_next_document():
    assert counted("women", "criminal").ill.sum() == 0


def test_odds_are_shrunk_where_little_is_seen():
    windows, ill = np.array([1000, 1000, 4]), np.array([20, 20, 4])

    odds = shrunk_odds(ill, windows)

    assert 0 < odds[2] < np.log((4 / 4.001) / 0.001)
    assert abs(odds[0] - odds[1]) < 1e-12


def test_false_discovery_rates_are_those_of_benjamini_and_hochberg():
    assert false_discovery(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist() == [0.04, 0.0533, 0.0533, 0.5]


def test_every_list_is_of_single_words_in_lower_case():
    terms = load_terms()

    assert len(terms.groups) == len(set(terms.groups)) == 21
    assert len(set(terms.vocabulary.hashes.tolist())) == len(terms.bits)


def test_a_document_has_one_vote_for_a_group_however_often_it_names_it():
    ill, named = votes(np.array([[40, 0], [1, 0], [0, 0]]), np.array([[40, 0], [4, 2], [0, 9]]))

    assert ill.tolist() == [[1, 0], [0.25, 0], [0, 0]]
    assert named.tolist() == [[1, 0], [1, 1], [0, 1]]
