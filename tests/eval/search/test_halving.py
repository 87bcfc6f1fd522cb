from __future__ import annotations

import numpy as np
import pytest

from eval.search.halving import carried_on, worst


@pytest.mark.parametrize(
    ("keep", "least", "going"),
    [
        (0.34, 1, [0, 2]),
        (0.5, 1, [0, 2, 4]),
        (0.1, 4, [0, 2, 3, 4]),
        (1.0, 1, [0, 1, 2, 3, 4]),
        (0.2, 9, [0, 1, 2, 3, 4]),
    ],
)
def test_the_best_share_goes_on_and_as_many_as_models_need(keep, least, going):
    values = np.array([2.0, 2.9, 2.1, 2.6, 2.4])

    assert np.flatnonzero(~worst(values, keep=keep, least=least)).tolist() == going


def test_runs_that_are_alike_go_on_together():
    assert not worst(np.full(8, 2.0), keep=0.25, least=1).any()


def test_what_the_dropped_would_have_come_to_is_found_though_the_worst_were_dropped():
    draw = np.random.default_rng(1)
    early = draw.uniform(2, 3, 200)
    late = 0.2 + 0.8 * early + draw.normal(0, 0.02, 200)
    dropped = worst(early, keep=0.34, least=6)

    found = carried_on(early[~dropped], late[~dropped], early[dropped])

    assert np.abs(found - (0.2 + 0.8 * early[dropped])).max() < 0.05


def test_early_values_that_are_all_the_same_say_nothing_of_late_ones():
    assert carried_on(np.full(3, 2.0), np.array([1.0, 2.0, 3.0]), np.array([5.0])).tolist() == [2.0]
