from __future__ import annotations

import numpy as np
import pytest

from eval.search.accuracy import accuracy_of

MEASURED = np.linspace(2.0, 3.0, 60)


def test_a_perfect_order_costs_nothing():
    found = accuracy_of(10 * MEASURED, MEASURED)

    assert (found.rank_correlation, found.pairs, found.pairs_best_quarter, found.pairs_best_tenth) == (
        pytest.approx(1), 1, 1, 1,
    )  # fmt: skip
    assert found.regret == 0


def test_the_reverse_order_chooses_the_worst():
    found = accuracy_of(-MEASURED, MEASURED)

    assert found.pairs == 0 and found.regret == pytest.approx(1.0)


def test_an_order_that_fails_near_the_best_shows_there_only():
    predicted = MEASURED.copy()
    predicted[:15] = predicted[:15][::-1]

    found = accuracy_of(predicted, MEASURED)

    assert found.rank_correlation > 0.95 and found.pairs_best_quarter == 0 and found.pairs_best_tenth == 0


def test_ties_in_a_prediction_count_as_guessing():
    assert accuracy_of(np.zeros(60), MEASURED).pairs == 0.5


def test_few_runs_have_no_best_tenth():
    found = accuracy_of(MEASURED[:20], MEASURED[:20])

    assert found.pairs_best_quarter is not None and found.pairs_best_tenth is None
