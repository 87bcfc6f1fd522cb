"""Which slices are worse than the rest, with intervals that hold at once and groups that count as one."""

from __future__ import annotations

import numpy as np
import pytest

from eval.claims.slices import slice_effects
from pipeline.core.rng import generator


def effects(members, bits, *, cluster=None, size=None):
    count = len(bits)
    return slice_effects(
        members, bits_D=bits, bytes_D=np.full(count, 100) if size is None else size,
        cluster_D=np.arange(count) if cluster is None else cluster, seed=1,
    )  # fmt: skip


def test_a_slice_that_lost_is_found_with_its_effect():
    draw = generator(5, "slices")
    bits = draw.standard_normal(800)
    code, blind = np.arange(800) < 100, draw.random(800) < 0.3
    bits[code] += 2.0

    found = {each.name: each for each in effects({"code": code, "blind": blind}, bits)}

    assert found["code"].settled and found["code"].effect == pytest.approx(0.02, abs=0.004)
    assert found["code"].documents == 100
    assert not found["blind"].settled


def test_a_slice_of_few_documents_or_of_nearly_all_is_not_named():
    bits = generator(6, "slices").standard_normal(200)

    assert effects({"few": np.arange(200) < 24, "nearly all": np.arange(200) < 180}, bits) == []


def test_a_group_of_copies_makes_no_slice_sure():
    bits = generator(7, "slices").standard_normal(400)
    mine = np.arange(400) < 50
    bits[mine] += 1.0

    (alone,) = effects({"mine": mine}, bits)
    (copies,) = effects({"mine": mine}, bits, cluster=np.where(mine, np.arange(400) % 10, np.arange(400)))

    assert alone.settled and copies.groups == 10
    assert copies.high - copies.low > alone.high - alone.low
    assert effects({"mine": mine}, bits, cluster=np.where(mine, np.arange(400) % 9, np.arange(400))) == []
    assert effects({"others": ~mine}, bits, cluster=np.where(mine, np.arange(400) % 9, np.arange(400))) == []


def test_a_slice_of_ten_groups_is_rarely_settled_where_nothing_differs():
    """At 5 % for two slices together; the normal distribution settles one in 16 % of all cases."""
    cluster, settled = np.repeat(np.arange(60), 10), 0
    slices = {"ten": cluster < 10, "other ten": (cluster >= 10) & (cluster < 20)}
    for number in range(150):
        draw = generator(number, "null")
        bits = draw.standard_normal(60)[cluster] + draw.normal(0, 0.3, 600)
        found = slice_effects(
            slices, bits_D=5 * bits, bytes_D=np.full(600, 500.0), cluster_D=cluster, seed=number
        )  # fmt: skip
        settled += any(each.settled for each in found)

    assert settled / 150 < 0.08


def test_intervals_are_wider_where_more_slices_are_looked_at():
    draw = generator(8, "slices")
    bits = draw.standard_normal(600)
    slices = {f"s{k}": draw.random(600) < 0.4 for k in range(30)}

    (alone,) = effects({"s0": slices["s0"]}, bits)
    among = next(each for each in effects(slices, bits) if each.name == "s0")

    assert among.effect == alone.effect
    assert among.high - among.low > 1.3 * (alone.high - alone.low)
    assert sum(each.settled for each in effects(slices, bits)) <= 1
