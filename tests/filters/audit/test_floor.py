"""A floor is what chance does: of the same documents, at the same number of them."""

from __future__ import annotations

import numpy as np
import pytest

from filters.audit import kinds
from filters.audit.columns import Labels
from filters.audit.floor import ALARM, hold, splits_of, times
from filters.audit.units import units_of
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


def test_what_comes_together_is_in_one_half_but_for_one_that_the_cut_goes_through():
    units = np.repeat(np.arange(40), 25)

    for split in splits_of(np.arange(1000), None, seed=0, rounds=5, units=units):
        assert len(split.first) == len(split.second) == 500
        assert len(set(units[split.first]) & set(units[split.second])) <= 1


def test_sets_of_whole_hosts_of_one_kind_raise_no_alarm_where_halves_are_cut_by_host():
    hosts = np.repeat(np.arange(200), 20)
    alarms = {"host": 0, "document": 0}
    for seed in range(10):
        draw = generator(seed, "hosts")
        often = draw.random((200, 20)) < 0.1
        hits = draw.random((4000, 20)) < np.where(often, 0.6, 0.02)[hosts]
        for name, units in (("host", hosts), ("document", None)):
            splits = splits_of(np.arange(2000), np.arange(2000, 4000), seed=seed, units=units)
            held = hold(kinds.shares(hits), splits)
            alarms[name] += bool((np.abs(held.distances) >= ALARM * held.floors).any())

    assert alarms["host"] <= 1 < 5 <= alarms["document"]


def test_units_are_hosts_where_known_else_near_duplicates_and_documents_where_these_are_few():
    old, near = np.arange(100), np.array([*np.repeat(np.arange(50), 2)])
    hosts = Labels.of([f"host{place // 4}" for place in range(96)] + ["(unknown)"] * 4)

    by_host, by_text = units_of(hosts, near, old=old), units_of(Labels.of(["one.example"] * 100), near, old=old)

    assert by_host.by_host and len(set(by_host.codes)) == 24 + 2 and len(set(by_host.codes[:4])) == 1
    assert not by_text.by_host and len(set(by_text.codes)) == 50
    assert units_of(None, np.zeros(100, np.int64), old=old).cut_by == "document"


def test_a_label_of_one_document_costs_nothing_of_the_others():
    labels = Labels.of(["b.example"] * 1000 + ["a" * 100_000, "c.example"])

    assert labels.names.tolist() == ["a" * 100_000, "b.example", "c.example"]
    assert labels.names.nbytes + labels.codes.nbytes < 20_000
    assert labels.codes[[0, 1000, 1001]].tolist() == [1, 0, 2] and labels.are("c.example").sum() == 1
    assert Labels.joined([labels, labels]).codes.tolist() == [*labels.codes, *labels.codes]


def test_of_what_whole_hosts_have_three_hosts_are_the_least_and_not_three_documents():
    hosts = np.repeat(np.arange(100), 20)
    hits = (hosts == 70)[:, None]

    least = kinds.shares(hits, units=hosts).least(500)

    assert least[0] == pytest.approx(60 / 500)
    assert kinds.shares(hits).least(500)[0] == pytest.approx(3 / 500)
