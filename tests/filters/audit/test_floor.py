"""A floor is what chance does: of the same documents, at the same number of them."""

from __future__ import annotations

import numpy as np
import pytest

from filters.audit import kinds
from filters.audit.floor import ALARM, hold, splits_of, times
from pipeline.core.rng import generator


def test_halves_do_not_overlap_and_as_many_new_documents_stand_beside_them():
    for split in splits_of(np.arange(101), np.arange(101, 171), seed=0, rounds=3):
        assert len(split.first) == len(split.second) == len(split.other) == 50
        assert not set(split.first) & set(split.second) and set(split.other) <= set(range(101, 171))


def test_what_nobody_has_gets_the_floor_of_three_documents():
    hits = np.zeros((2000, 1), np.bool_)
    hits[1000:1002] = True

    held = hold(kinds.shares(hits), splits_of(np.arange(1000), np.arange(1000, 2000), seed=0))

    assert held.floors[0] == pytest.approx(3 / 500)
    assert times(held.distances[0], held.floors[0]) < 1


def test_the_floor_of_a_share_shrinks_with_the_root_of_the_documents():
    hits = np.arange(80_000)[:, None] % 10 == 0

    few = hold(kinds.shares(hits), splits_of(np.arange(1000), None, seed=0)).floors[0]
    many = hold(kinds.shares(hits), splits_of(np.arange(64_000), None, seed=0)).floors[0]

    assert 4 < few / many < 16


def test_one_document_of_many_matches_is_no_alarm():
    events, words = np.zeros(4000, np.int64), np.full(4000, 100)
    events[[10, 3000]] = 5000, 9000

    held = hold(kinds.rate(events, words, per=1e6), splits_of(np.arange(2000), np.arange(2000, 4000), seed=0))

    assert times(held.distances[0], held.floors[0]) < 2


def test_one_list_of_numbers_among_documents_with_one_is_no_alarm():
    alarms = 0
    for seed in range(20):
        draw = generator(seed, "list")
        words, events = draw.integers(100, 800, 2000), (draw.random(2000) < 0.03).astype(np.int64)
        events[draw.integers(2000)] = 500
        splits = splits_of(np.arange(1000), np.arange(1000, 2000), seed=seed)
        for statistic in (kinds.rate(events, words, per=1e6), kinds.ratio(events + 1, words)):
            held = hold(statistic, splits)
            alarms += times(held.distances[0], held.floors[0]) >= ALARM

    assert alarms <= 2  # of 40
