"""What a difference between the documents of pairs is worth, exactly, with what was not answered left out."""

from __future__ import annotations

import numpy as np
import pytest

from eval.claims.associations import associations_of, holm
from pipeline.core.rng import generator


def asked(worst, neutral, directions=(1,)):
    sides = [np.asarray(side, float).reshape(len(side), -1) for side in (worst, neutral)]
    return associations_of(*sides, directions=list(directions))


def first(count, *, of=200, after=0):
    places = np.arange(of)
    return ((places >= after) & (places < after + count)).astype(float)


def test_a_clear_difference_has_a_small_p_value_and_an_interval_around_it():
    (found,) = asked(first(80), first(40, after=60))

    assert (found.worst, found.neutral, found.pairs) == (0.4, 0.2, 200)
    assert 0.1 < found.low < 0.2 < found.high
    assert found.p_value < 0.001


def test_a_difference_against_the_claimed_direction_never_counts():
    yes, no = first(80), first(40)

    more, less = asked(np.column_stack([yes, yes]), np.column_stack([no, no]), directions=(1, -1))

    assert more.p_value < 0.001 and less.p_value == 1.0


def test_the_p_value_is_the_share_of_exchanges_that_reach_as_far():
    """Of 7 pairs that differ 6 say more: of 128 ways to exchange them 8 say as much or more."""
    (found,) = asked(first(6), first(1, after=6))

    assert found.p_value == 8 / 128


def test_few_documents_all_on_one_side_are_no_more_than_so_many_tosses_of_a_coin():
    (found,) = asked(first(4), first(0))

    assert found.p_value == 1 / 16 and found.low < 0


def test_without_both_answers_a_pair_counts_on_neither_side():
    worst, neutral = first(80), first(40, after=60)
    worst[::4], neutral[1::4] = np.nan, np.nan

    (found,) = asked(worst, neutral)

    assert found.pairs == 100
    assert found.worst == pytest.approx(0.4) and found.neutral == pytest.approx(0.2)


def test_nothing_answered_shows_nothing():
    (found,) = asked(np.full(50, np.nan), first(20, of=50))

    assert (found.pairs, found.p_value) == (0, 1.0) and found.low <= -0.5 and found.high >= 0.5


def test_p_values_of_nothing_are_rarely_small_and_intervals_hold_the_truth():
    draw = generator(1, "evenly")
    worst, neutral = draw.random((2, 300, 2_000)) < np.array([0.3, 0.2])[:, None, None]
    none = draw.random((2, 300, 2_000)) < 0.2

    spread = asked(none[0], none[1], directions=[1] * 2_000)
    held = [found.low <= 0.1 <= found.high for found in asked(worst, neutral, directions=[1] * 2_000)]

    assert 0.03 <= np.mean([found.p_value <= 0.05 for found in spread]) <= 0.055
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_holm_multiplies_the_smallest_by_all_and_never_turns_the_order():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
