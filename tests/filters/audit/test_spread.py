"""Measures of spread hold what their names promise, on counts of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from filters.audit.spread import divergence, effective_number, gini, quantile_bins, top_share


def test_the_same_shares_do_not_diverge_and_different_categories_do_by_one_bit():
    assert divergence(np.array([10, 30]), np.array([1, 3])) == 0
    assert divergence(np.array([5, 0]), np.array([0, 9])) == pytest.approx(1)


def test_the_effective_number_is_the_number_of_equal_categories():
    assert effective_number(np.array([7, 7, 7, 7])) == pytest.approx(4)
    assert effective_number(np.array([1000, 1, 1])) < 1.03
    assert effective_number(np.array([0, 0])) == 0


def test_gini_and_the_top_share_tell_equal_from_unequal():
    assert gini(np.array([3, 3, 3])) == pytest.approx(0)
    assert gini(np.array([0, 1, 1, 998])) > 0.6
    assert top_share(np.array([1, 2, 7]), number=2) == pytest.approx(0.9)


def test_a_value_that_many_have_and_what_is_no_number_have_bins_of_their_own():
    values = np.array([np.nan, 0, 0, 0, 0, 1, 2, 3, 4, 5])

    bins = quantile_bins(values, like=values)

    assert bins[0] == 0 and len(set(bins[1:5])) == 1
    assert (np.diff(bins[4:]) >= 0).all() and bins[5] != bins[4]
