"""Mixtures beside each other: the gate's numbers from the gate's scores, wider where several are looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.verdict.paired import Gain
from pipeline.core.files.parquet.shards import read_table
from pipeline.experiment.findings.side_by_side import shares_by_dataset
from pipeline.experiment.promote import promote_mixture
from pipeline.experiment.scores import BITS, bits_on
from pipeline.plan.graph import Plan
from pipeline.plan.lanes import LaneName
from pipeline.plan.make import make_plan
from pipeline.queries.proxies.compare import compare, data_of
from pipeline.recipe.load import load_recipe
from tests.pipeline.house import House
from tests.pipeline.queries.several import HOSTILE, LATER, RECIPE

NUMBERS = ("gain", "low", "high", "baseline", "candidate", "lane_sd", "earlier_freedom", "document_variance")


def plan_of(house: House, text: str) -> Plan:
    path = house.folder / "asked.yaml"
    path.write_text(text.replace("DIR", str(house.folder)), encoding="utf-8")
    return make_plan(load_recipe(path), house.workspace)


def certificate_of(plan: Plan) -> dict[str, Any]:
    return json.loads((plan.experiment.certificate.folder / "certificate.json").read_text())


def numbers(gain: Gain) -> list[Any]:
    return [getattr(gain, name) for name in NUMBERS]


def test_of_a_gates_own_mixtures_every_number_is_the_certificates(several_house: House):
    """Of the later run, too, whose gate knew earlier proxies."""
    for recipe in (RECIPE, LATER):
        plan = plan_of(several_house, recipe)
        first = certificate_of(plan)["comparisons"][0]

        both = plan.experiment.mixtures["both"].folder.name
        (other,) = compare(several_house.workspace, ["raw", both]).others

        told = [first["overall"], *first["domains"]]
        assert [numbers(gain) for gain in other.gains] == [[gain[name] for name in NUMBERS] for gain in told]
        assert list(other.overall.per_seed) == first["overall"]["per_seed"]
    assert first["overall"]["earlier_freedom"] > 0


def test_several_mixtures_have_wider_intervals_around_the_same_gains(several_house: House):
    alone = {name: compare(several_house.workspace, ["raw", name]).others[0] for name in ("both", "good")}

    found = compare(several_house.workspace, ["raw", "both", "good"])

    assert found.confidence_of_each == pytest.approx(0.975)
    assert {other.name for other in found.others} == {"both", "good"}
    assert [other.overall.gain for other in found.others] == sorted(
        (other.overall.gain for other in found.others), reverse=True
    )
    for other in found.others:
        single = alone[other.name].overall
        assert other.overall.gain == single.gain
        assert other.overall.low < single.low and other.overall.high > single.high
    assert "2 mixtures are looked at at once, so each interval is one of 97.5 %" in found.promise


def test_mixtures_that_no_run_compared_can_be_held_against_each_other(several_house: House):
    """Both are called `both`; groups of documents are those of either run's gate."""
    before, after = (
        plan_of(several_house, recipe).experiment.mixtures["both"].folder.name for recipe in (RECIPE, LATER)
    )

    (there,), (back,) = (compare(several_house.workspace, names).others for names in ([before, after], [after, before]))

    assert there.seeds == (0, 1, 2)
    assert there.overall.gain == pytest.approx(-back.overall.gain)
    assert (
        there.overall.num_clusters == compare(several_house.workspace, ["raw", "both"]).others[0].overall.num_clusters
    )


def test_groups_are_found_anew_where_no_gate_kept_them(several_house: House, tmp_path: Path):
    import shutil

    house = House(tmp_path)
    shutil.copytree(several_house.workspace.root, house.workspace.root)
    shutil.rmtree(house.workspace.root / "comparison")

    (other,) = compare(house.workspace, ["raw", "good"]).others

    (same,) = compare(several_house.workspace, ["raw", "good"]).others
    assert other.overall.gain == same.overall.gain and other.overall.num_clusters == same.overall.num_clusters


def test_the_documents_that_changed_most_are_those_whose_bits_did(several_house: House):
    plan = plan_of(several_house, LATER)
    lanes = {name: [LaneName(name, 1.0, seed) for seed in range(3)] for name in ("raw", "good")}
    bits = {
        name: np.mean([bits_on(plan.experiment, lane, ["held"]) for lane in mine], axis=0)
        for name, mine in lanes.items()
    }
    ids = read_table(plan.experiment.scores[lanes["raw"][0], "held"].folder / BITS)["id"].to_pylist()
    saved = bits["raw"] - bits["good"]

    (other,) = compare(several_house.workspace, ["raw", "good"], per_side=2).others
    held = next(changed for changed in other.changed if changed.domain == "held")

    order = np.argsort(-saved)
    assert [document.doc_id for document in held.gained] == [ids[row] for row in order[:2] if saved[row] > 0]
    assert [document.doc_id for document in held.lost] == [ids[row] for row in order[::-1][:2] if saved[row] < 0]
    assert [document.saved for document in held.gained] == pytest.approx(sorted(saved[saved > 0])[::-1][:2])
    assert all(document.text.startswith(HOSTILE) for document in (*held.gained, *held.lost))
    assert all(len(document.text.encode()) == document.num_bytes for document in held.gained)
    assert (held.num_documents, held.num_better) == (len(ids), int((saved > 0).sum()))


def test_what_mixtures_are_made_of_stands_side_by_side(several_house: House):
    found = compare(several_house.workspace, ["raw", "both", "good"])

    shares = shares_by_dataset(found.made)
    order = [made.name for made in found.made]
    assert order[0] == "raw" and set(order) == {"raw", "both", "good"}
    assert dict(zip(order, shares["raw"], strict=True)) == pytest.approx({"raw": 1, "both": 0.5, "good": 0}, abs=0.01)
    assert dict(zip(order, shares["good"], strict=True)) == pytest.approx({"raw": 0, "both": 0.5, "good": 1}, abs=0.01)
    assert {made.name: made.max_epochs for made in found.made} == {"raw": 4, "both": 4, "good": 8}


def test_a_version_in_the_registry_is_the_mixture_that_it_holds(several_house: House, tmp_path: Path):
    import shutil

    house = House(tmp_path)
    shutil.copytree(several_house.workspace.root, house.workspace.root)
    for recipe in (RECIPE, LATER):
        plan = make_plan(load_recipe(plan_of(several_house, recipe).recipe.path), house.workspace)
        promote_mixture(plan, certificate_of(plan), override="to be asked about")

    found = compare(house.workspace, ["docs-en@1", "docs-en"])

    earlier, later = (plan_of(several_house, recipe).experiment.mixtures["both"] for recipe in (RECIPE, LATER))
    assert [made.identity for made in found.made] == [earlier.identity, later.identity]
    assert found.made[0].said.startswith("version 1 of docs-en, not the current one: mixture both-")
    assert found.made[1].said.startswith("version 2 of docs-en, the current one: mixture both-")


def test_a_recipe_alone_is_all_its_mixtures_and_beside_others_its_candidate(several_house: House, tmp_path: Path):
    plan_of(several_house, LATER)
    recipe = str(several_house.folder / "asked.yaml")

    alone = compare(several_house.workspace, [recipe])
    beside = compare(several_house.workspace, ["good", recipe])
    named = compare(several_house.workspace, [f"{recipe}:good", f"{recipe}:both"])

    assert alone.first == "raw" and {other.name for other in alone.others} == {"both", "good"}
    assert [other.name for other in beside.others] == ["both"]
    assert named.first == "good" and named.others[0].overall == beside.others[0].overall


def test_a_question_writes_nothing_and_takes_no_look(several_house: House):
    def state() -> dict[Path, tuple[int, int]]:
        files = [path for path in several_house.workspace.root.rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}

    before = state()
    compare(several_house.workspace, ["raw", "both", "good"])

    assert state() == before


def test_as_data_it_is_whole_and_plain(several_house: House):
    found = compare(several_house.workspace, ["raw", "good"], per_side=1)

    data = json.loads(json.dumps(data_of(found), allow_nan=False))

    (other,) = data["others"]
    assert data["first"] == "raw" and other["name"] == "good" and other["seeds"] == [0, 1, 2]
    assert other["overall"]["gain"] == found.others[0].overall.gain
    assert [gain["domain"] for gain in other["domains"]] == ["also", "held"]
    assert {document["domain"] for document in other["documents"]} == {"also", "held"}
    assert all(len(document["gained"]) <= 1 for document in other["documents"])
    assert other["thin"][0] == "Each proxy read 4,096 tokens; at this tier a verdict needs 249,856."
