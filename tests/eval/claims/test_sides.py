"""Documents are held against those like them, and what a claim is tested on has nothing of what it was stated on."""

from __future__ import annotations

import numpy as np

from eval.claims.sides import SPLITS, choose_sides, split_by_group, strata_of
from pipeline.core.rng import generator


def made(count=2_000):
    draw = generator(3, "sides")
    domain = np.where(draw.random(count) < 0.3, "code", "prose")
    size = draw.integers(50, 900, count)
    badness = draw.standard_normal(count) + (domain == "code") + size / 300
    return draw, domain, size, badness


def test_both_sides_have_as_many_documents_of_every_set_and_length():
    _, domain, size, badness = made()
    strata = strata_of(domain, size)

    sides = choose_sides(badness, strata, np.arange(len(domain)), most=10_000, seed=1, name="verify")

    assert len(sides.worst) == len(sides.neutral) > 400
    assert (strata[sides.worst] == strata[sides.neutral]).all()
    assert abs((domain[sides.worst] == "code").mean() - (domain == "code").mean()) < 0.01
    assert abs(size[sides.worst].mean() - size[sides.neutral].mean()) < 15
    assert not set(sides.worst) & set(sides.neutral)


def test_the_worst_of_each_stratum_are_worse_than_its_neutral_documents_and_the_worst_comes_first():
    _, domain, size, badness = made()
    strata = strata_of(domain, size)

    sides = choose_sides(badness, strata, np.arange(len(domain)), most=300, seed=1, name="verify")

    assert len(sides.worst) <= 310
    for stratum in np.unique(strata):
        worst, neutral = (rows[strata[rows] == stratum] for rows in (sides.worst, sides.neutral))
        assert badness[worst].min() > badness[neutral].max()
    assert (np.diff(badness[sides.worst]) <= 0).all()


def test_one_of_a_group_stands_for_all_in_one_split_and_stays_there_whoever_stands_beside_it():
    draw = generator(4, "groups")
    keys = draw.integers(0, 2**64, 3_000, dtype=np.uint64)
    cluster = draw.integers(0, 1_500, 3_000)

    whole = split_by_group(keys, cluster)
    alone, fewer = split_by_group(keys, np.arange(3_000)), split_by_group(keys[:2_000], np.arange(2_000))

    rows = np.concatenate(list(whole.values()))
    assert sorted(cluster[rows].tolist()) == np.unique(cluster).tolist()
    assert all(keys[row] == keys[cluster == cluster[row]].min() for row in rows[:50])
    assert 0.4 < len(whole["verify"]) / len(rows) < 0.6
    assert all(set(fewer[name]) == {row for row in alone[name] if row < 2_000} for name in fewer)


def test_groups_of_every_size_are_shared_out_alike():
    for size in range(1, 11):
        keys = generator(size, "sizes").integers(0, 2**64, 2_000 * size, dtype=np.uint64)

        shares = {
            name: len(rows) / 2_000 for name, rows in split_by_group(keys, np.repeat(np.arange(2_000), size)).items()
        }

        assert all(abs(shares[name] - share) < 0.04 for name, share in SPLITS.items()), (size, shares)


def test_a_small_set_is_one_stratum():
    assert strata_of(np.array(["a"] * 60 + ["b"] * 60), np.arange(120)).tolist() == [0] * 60 + [1] * 60
