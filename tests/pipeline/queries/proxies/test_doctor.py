"""What `doctor` examines by which name, and what it says where there is nothing to examine."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.card import read_card, write_card
from pipeline.experiment.streams.encode import Encoded
from pipeline.queries.proxies.doctor import data_of, diagnose, doctor, lanes_meant, record_of, text_of
from pipeline.queries.proxies.lanes import find_lane, find_lanes
from pipeline.store.workspace import Workspace
from tests.pipeline.house import House


@pytest.fixture
def copy(trained_house: House, tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(trained_house.workspace.root, tmp_path / "copy")))


def test_an_experiment_is_named_by_its_recipe_its_comparison_its_certificate_or_a_mixture(trained_house: House):
    workspace = trained_house.workspace
    names = [f"{mixture}/seed{seed}/lr1" for mixture in ("both", "raw") for seed in range(3)]
    (comparison,), (certificate,) = ((workspace.root / kind).glob("small-*") for kind in ("comparison", "certificate"))

    for wanted in ("small", comparison.name, certificate.name, str(comparison), f"comparison/{comparison.name}"):
        assert sorted(lane.name for lane in lanes_meant(workspace, wanted)) == names
    assert sorted(lane.name for lane in lanes_meant(workspace, str(trained_house.recipe))) == names
    assert [lane.name for lane in lanes_meant(workspace, f"{trained_house.recipe}:raw")] == names[3:]
    assert [lane.name for lane in lanes_meant(workspace, "raw/seed1")] == names[4:5]


def test_a_later_experiment_of_one_name_is_meant_and_its_lanes_are_called_as_there(several_house: House):
    lanes = lanes_meant(several_house.workspace, "several")

    assert len(lanes) == 18 and {lane.name.partition("/")[0] for lane in lanes} == {"raw", "both", "good"}
    both = several_house.plan().experiment.mixtures["both"].identity
    assert {lane.card.payload["mixture"] for lane in lanes if lane.name.startswith("both")} == {both}


def test_the_record_holds_lanes_their_text_and_what_is_held_out(trained_house: House):
    workspace = trained_house.workspace

    record = record_of(workspace, lanes_meant(workspace, "small"), name="small")

    lane = next(lane for lane in record.lanes if lane.name == "both/seed1/lr1")
    assert lane.draw == lane.mixture_draw and lane.waited is not None and lane.losses is not None
    assert set(lane.scores) == {"held"} and lane.num_steps == 1
    (good, raw) = sorted(record.datasets, key=lambda dataset: dataset.name)
    assert good.in_sample and good.token_bytes == good.num_bytes and set(good.epochs) == {"both"}
    assert set(raw.epochs) == {"both", "raw"} and good.tokenizer == raw.tokenizer
    (held,) = record.held_out
    assert (held.name, held.met) == ("held", {"both": 0.0, "raw": 0.0})


def test_lanes_of_a_healthy_run_are_sound_as_far_as_one_step_tells(trained_house: House):
    found = doctor(trained_house.workspace, "small")

    assert [one.id for one in found.alarms] == [] and found.health == "sound"
    assert json.loads(json.dumps(data_of(found)))["health"] == "sound"


def test_a_lane_under_another_mixtures_name_and_one_that_was_unsound_are_faults(copy: Workspace):
    swapped, unsound = find_lane(copy, "raw/seed0/lr1"), find_lane(copy, "raw/seed1/lr1")
    details: dict[str, Any] = dict(find_lane(copy, "both/seed0/lr1").card.details)
    write_card(swapped.folder, replace(swapped.card, details={**swapped.card.details, "draw": details["draw"]}))
    said = {"healthy": False, "findings": ["mlp up: 40.0% of its parameters never moved"]}
    write_card(unsound.folder, replace(unsound.card, details={**unsound.card.details, **said}))

    found = doctor(copy, "small")

    assert {(one.id, one.lanes) for one in found.findings if one.level == "fault"} == {
        ("swapped", ("raw/seed0/lr1",)), ("said", ("raw/seed1/lr1",)),
    }  # fmt: skip


def test_lanes_from_before_there_were_records_are_examined_as_far_as_they_go(copy: Workspace):
    """As an earlier version stored them: a curve, norms by group, and no word of waiting."""
    for lane in find_lanes(copy, "raw"):
        told = json.loads((lane.folder / "curve.json").read_bytes())
        account = {key: told["account"][key] for key in ("unmoved", "num_targets", "schedule_done", "planned_tokens")}
        account |= {
            "norms": [],
            "shares": told["account"]["shares"],
            "planned_shares": told["account"]["planned_shares"],
        }
        (lane.folder / "curve.json").write_text(json.dumps({"points": told["points"], "account": account}))
        card = read_card(lane.folder)
        write_card(lane.folder, replace(card, details={k: v for k, v in card.details.items() if k != "waited"}))

    found = diagnose(copy, find_lanes(copy, "raw"), name="old")

    assert found.findings == () and found.health == "sound"
    why = {one.check.id: one.why for one in found.unchecked if len(one.lanes) == 3}
    assert why["start"] == "only a curve of windows was kept of its loss"
    assert why["loader"] == "how long it waited was not kept" and why["logits"] == "it was not probed"


def test_a_curve_that_cannot_be_read_is_named(copy: Workspace):
    lane = find_lane(copy, "raw/seed0/lr1")
    (lane.folder / "curve.json").write_text("{")

    with pytest.raises(DataError, match=rf"{re.escape(str(lane.folder))}/curve.json: cannot be read .* `tamis verify`"):
        doctor(copy, "small")


def test_a_name_that_means_nothing_is_answered_with_those_that_do(trained_house: House):
    with pytest.raises(RecipeError, match=r"`smal` is not an experiment in .* Did you mean .*small"):
        doctor(trained_house.workspace, "smal")


def test_a_workspace_or_a_recipe_without_proxies_is_told_apart(trained_house: House, house: House, tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no finished proxies\. Run a recipe that has a gate first"):
        doctor(Workspace(tmp_path / "none"), "small")
    with pytest.raises(DataError, match=r"none of its proxies is finished in .* Run it: tamis run"):
        doctor(Workspace(tmp_path / "none"), str(trained_house.recipe))
    house.lines("a.jsonl", ["some text"])
    house.clean(["exact_dedup"])
    with pytest.raises(RecipeError, match=r"trains no proxies, so there is nothing to examine"):
        doctor(house.workspace, str(house.recipe))


def test_proxies_that_were_deleted_are_told(copy: Workspace):
    shutil.rmtree(copy.root / "lane")

    with pytest.raises(DataError, match=r"`small`: its proxies are gone from .*lane\. Run its recipe again"):
        doctor(copy, "small")


def test_a_stream_is_searched_to_its_end_from_where_it_is_mapped(tmp_path: Path):
    tokens = np.lib.format.open_memmap(tmp_path / "tokens.npy", mode="w+", dtype=np.uint16, shape=(50_000_100,))
    encoded = Encoded(tokens, np.array([0, 50_000_000, 50_000_100]), np.array([9, 9]), ["a", "b"], 2, 18)

    text = text_of(encoded)

    assert len(text.flat) == text.offsets[-1] == 50_000_100 and np.shares_memory(text.flat, tokens)
