"""What trackers are told: the numbers that are stored, all of them finite, whether or not any library is there."""

from __future__ import annotations

import json
import math

import pytest

from eval.proxies.tiers import TIERS
from pipeline.core.files.card import read_card
from pipeline.plan.lanes import LaneName
from pipeline.queries.proxies.lanes import find_lane, scores_of_lane
from pipeline.queries.trackers.runs import told_of
from tests.pipeline.house import House


def test_a_proxy_is_told_with_its_curve_its_rate_its_health_and_its_scores(trained_house: House):
    told = {run.name: run for run in told_of(trained_house.plan())}

    found, lane = told["proxy/both/seed1/lr1"], find_lane(trained_house.workspace, "both/seed1")
    (point,) = json.loads((lane.folder / "curve.json").read_bytes())["points"]
    (row,) = found.rows
    assert (row.step, row.values["train/tokens"]) == (point["step"], point["tokens"])
    assert row.values["train/bits_per_token"] == point["bits_per_token"]
    assert row.values["train/learning_rate"] == TIERS["t0"].muon_lr  # a single step has neither warm-up nor decay
    assert found.results["bits_per_byte/held"] == scores_of_lane(trained_house.workspace, lane)[0].bits_per_byte
    assert (found.results["healthy"], found.texts["health"]) == (1.0, "sound")
    assert found.facts["weight/good"] == pytest.approx(0.75) and found.facts["identity"] == lane.card.identity[:12]


def test_a_certificate_is_told_with_gain_bounds_outcome_and_hash(trained_house: House):
    plan = trained_house.plan()
    told = {run.name: run for run in told_of(plan)}

    certificate = json.loads((plan.experiment.certificate.folder / "certificate.json").read_bytes())
    found, overall = told["gate/both-over-raw/lr1"], certificate["comparisons"][0]["overall"]
    (row,) = found.rows
    assert row.step == 3  # seeds
    gains = [row.values[f"{name}/overall"] for name in ("gain", "gain_low", "gain_high")]
    assert gains == [overall["gain"], overall["low"], overall["high"]]
    assert {"gain/held", "gain_low/held", "gain_high/held"} <= row.values.keys()
    assert found.facts["certificate"] == certificate["certificate_id"]
    assert found.facts["outcome"] == certificate["verdict"]["outcome"]
    assert certificate["verdict"]["sentence"] in found.texts["verdict"]


def test_every_number_is_finite_and_the_hash_of_a_run_is_that_of_its_content(trained_house: House):
    first, again = ([run.plain() for run in told_of(trained_house.plan())] for _ in range(2))

    json.dumps(first, allow_nan=False)
    assert [run["id"] for run in first] == [run["id"] for run in again]
    assert len({run["id"] for run in first}) == len({run["name"] for run in first}) == 7


def test_a_proxy_that_broke_is_told_up_to_there(trained_house: House, tmp_path):
    from pipeline.queries.trackers.runs import _proxy

    plan = trained_house.plan()
    lane = LaneName("raw", 1.0, 0)
    node = plan.experiment.lanes[lane]
    curve = node.folder / "curve.json"
    kept = curve.read_bytes()
    points = [{"step": n, "tokens": n * 4096, "bits_per_token": 9.0 if n < 3 else None} for n in range(1, 5)]
    shares = read_card(plan.experiment.mixtures["raw"].folder).details["shares"]
    try:
        curve.write_text(json.dumps({"points": points}))
        found = _proxy(lane, node, {}, shares=shares, num_tokens=4 * 4096)
    finally:
        curve.write_bytes(kept)

    assert [row.step for row in found.rows] == [1, 2]
    assert all(math.isfinite(value) for row in found.rows for value in row.values.values())
