from __future__ import annotations

import shutil

import pytest

from pipeline.core.errors import DataError
from pipeline.experiment.chance.noise import FILE, Group, groups_in, near
from pipeline.experiment.chance.power import power_of
from tests.pipeline.experiment.small_experiment import ONE_ORDER, RECIPE
from tests.pipeline.house import House


def group(shares: dict[str, float], *, seeds: int = 4, variance: float = 1.0) -> Group:
    kind = ("t0", "bits_per_byte", 250_000, 1.0, str(shares), "held", "alike")
    return Group(*kind, shares, [*range(seeds)], 2.0, variance, 1000.0)


def test_a_run_writes_down_how_much_its_proxies_differ_by_tier_tokens_set_and_mixture(built: House):
    groups = groups_in(built.workspace)

    assert (built.workspace.root / FILE).exists()
    assert {(each.tier, each.metric, each.tokens) for each in groups} == {("t0", "bits_per_byte", 4096)}
    assert len(groups) == 4 and all(each.seeds == [0, 1, 2] and each.variance > 0 for each in groups)
    assert {tuple(sorted(each.shares)) for each in groups} == {("raw",), ("good", "raw")}


def test_what_was_written_down_outlives_the_proxies(built: House):
    before = power_of(built.plan())
    for kind in ("score", "lane", "mixture"):
        shutil.rmtree(built.workspace.root / kind)

    after = power_of(built.plan())

    assert after is not None and before is not None
    assert (after.known_from, after.deviation) == (before.known_from, before.deviation) and after.known_from == 6


def test_a_plan_goes_by_mixtures_like_its_own_where_these_tell_enough():
    like, rim = group({"web": 0.6, "code": 0.4}), group({"web": 0.02, "books": 0.98}, variance=600.0)

    assert near([like, rim], [{"web": 1.0, "code": 1.0}]) == [like]
    assert near([like, rim], [{"books": 1.0}]) == [rim]
    assert near([like, rim], [{"poems": 1.0}]) == [like, rim]
    assert near([group(dict(like.shares), seeds=2), rim], [{"web": 1.0, "code": 1.0}]) != [like]


def test_of_a_group_that_grew_the_larger_one_stays(built: House):
    built.write((RECIPE + ONE_ORDER).replace("seeds: 3", "seeds: 4"))
    built.run()
    shutil.rmtree(built.workspace.root / "score")

    assert {len(each.seeds) for each in groups_in(built.workspace)} == {4}


def test_a_damaged_file_is_named_with_what_to_do(built: House):
    (built.workspace.root / FILE).write_text("{}")

    with pytest.raises(DataError, match=r"noise\.json: cannot be read .* Delete it: the next run makes it again"):
        groups_in(built.workspace)
