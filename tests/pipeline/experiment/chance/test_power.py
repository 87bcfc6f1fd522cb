"""What a plan says that its gate can see."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipeline.experiment.chance.power import power_of, power_text
from pipeline.plan.graph import Plan
from tests.pipeline.experiment.small_experiment import ONE_ORDER, RECIPE, furnished
from tests.pipeline.house import House


def test_before_the_first_run_the_log_of_experiments_tells_how_much_proxies_of_t0_differ(tmp_path: Path):
    house = furnished(tmp_path)
    house.write((RECIPE + ONE_ORDER).replace("tokens: 4k", "tokens: 500k"))

    found = power_of(house.plan())

    assert found is not None and (found.known_from, found.deviation) == (0, pytest.approx(0.0065))
    assert found.required < found.visible_with_other < found.visible
    assert "by eval/LOG.md)." in power_text(found)


def test_after_a_run_its_own_proxies_tell(first_run: tuple[House, Plan]):
    found = power_of(first_run[0].plan())

    assert found is not None and found.known_from == 6 and found.seconds_per_seed is not None
    assert found.visible > found.required + found.deviation * math.sqrt(2 / 3)
    assert "by 6 earlier ones, 0 s a seed)." in power_text(found)


def test_other_tokens_are_other_proxies(built: House):
    built.write((RECIPE + ONE_ORDER).replace("tokens: 4k", "tokens: 1M"))

    found = power_of(built.plan())

    assert found is not None and found.known_from == 0


def test_nothing_is_told_where_nothing_is_known_or_decided(tmp_path: Path):
    house = furnished(tmp_path)
    house.write((RECIPE + ONE_ORDER).replace("tokens: 4k", "tier: t1, tokens: 4k"))
    assert power_of(house.plan()) is None

    house.write((RECIPE + ONE_ORDER).replace("on: [held", "verdict: false, on: [held"))
    assert power_of(house.plan()) is None
