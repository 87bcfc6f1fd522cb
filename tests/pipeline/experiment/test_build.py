"""What an experiment's bytes depend on: its ingredients, and not the order in which a recipe lists them."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.texts import verify_text
from pipeline.core.errors import RecipeError
from pipeline.core.files.card import read_card, write_card
from pipeline.core.files.writing.once import SCRATCH, WINNER
from pipeline.experiment import lanes
from pipeline.experiment.lanes import CURVE, WEIGHTS
from pipeline.plan.graph import Plan
from pipeline.queries.verify import verify
from pipeline.store.judge import judging_code, judging_data
from pipeline.store.node import Node
from tests.pipeline.experiment.small_experiment import ONE_ORDER, RECIPE, certificate_of, furnished
from tests.pipeline.house import House, contents

OTHER_ORDER = """mixtures: {both: {weights: {good: 3, raw: 1}}, raw: {weights: {raw: 1}}}
gate: {candidate: both, baseline: raw, on: [also, held]}
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return furnished(tmp_path)


def to_build(house: House) -> Counter[str]:
    """Return how many results of each kind a run would build."""
    return Counter(node.kind for node in house.plan().to_build)


def test_the_order_of_mixtures_and_held_out_sets_does_not_show(first_run: tuple[House, Plan], house: House):
    house.write(RECIPE + OTHER_ORDER)
    house.run()

    before = contents(first_run[0].workspace.root)
    assert contents(house.workspace.root) == before
    assert any(name.startswith("comparison/") for name in before)


def test_another_weight_reuses_the_other_mixture_and_learns_from_its_earlier_lanes(built: House):
    house, before = built, built.plan()
    first = before.experiment

    house.write(RECIPE + ONE_ORDER.replace("good: 3", "good: 1"))
    anew = Counter(f"{node.kind} {node.name.partition('-')[0]}" for node in house.plan().to_build)
    after = house.run()
    second = after.experiment

    # the new mixture, its three proxies, their scores on two sets, and the verdict
    assert anew == {
        "mixture both": 1, "lane t0": 3, "score held": 3, "score also": 3, "comparison order": 1, "certificate order": 1
    }  # fmt: skip
    assert second.mixtures["raw"].identity == first.mixtures["raw"].identity
    assert certificate_of(before)["earlier"] == []
    (earlier,) = certificate_of(after)["earlier"]
    # of the other `both`; those of `raw` are this comparison's own
    assert earlier["lanes"] == sorted(node.identity for lane, node in first.lanes.items() if lane.mixture == "both")
    assert earlier["deviations"].keys() == {"held", "also", "overall"}
    assert certificate_of(after)["comparisons"][0]["overall"]["earlier_freedom"] in (0, 2)


def test_one_more_seed_trains_one_pair_and_ends_with_the_bytes_of_a_fresh_run_but_for_its_second_look(
    built: House, tmp_path: Path
):
    house = built
    house.write((RECIPE + ONE_ORDER).replace("seeds: 3", "seeds: 4"))
    before = {path: path.stat().st_mtime_ns for path in house.workspace.root.glob("lane/*/*")}

    anew = to_build(house)
    grown = house.run()

    assert anew == {"lane": 2, "score": 4, "comparison": 1, "certificate": 1}
    assert before == {path: path.stat().st_mtime_ns for path in before}
    house.workspace.root.rename(tmp_path / "grown")
    fresh = house.run().experiment.certificate.folder
    made = contents(tmp_path / "grown")
    anew_all = contents(house.workspace.root)
    assert {name for name in anew_all if made.get(name) != anew_all[name]} == {f"certificate/{fresh.name}"}
    found = tmp_path / "grown" / "certificate" / grown.experiment.certificate.folder.name / "certificate.json"
    later, first = (json.loads(path.read_bytes()) for path in (found, fresh / "certificate.json"))
    assert (later["verdict"]["looks"]["number"], first["verdict"]["looks"]["number"]) == (2, 1)
    assert later["comparisons"] == first["comparisons"] and later["lanes"] == first["lanes"]


def test_a_certificate_names_the_code_that_judged_and_the_text_it_judged_by(first_run: tuple[House, Plan]):
    plan = first_run[1]
    folders = {name: plan.documents_node(name).folder for name in ("held", "also")}
    tokenizer = plan.experiment.tokenizer.folder

    judge = certificate_of(plan)["judge"]

    assert judge == {"code": judging_code(), "data": judging_data(folders, tokenizer=tokenizer)}
    assert judge["data"] != judging_data({"held": folders["held"]}, tokenizer=tokenizer)
    assert judge["data"] != judging_data(folders, tokenizer=folders["held"])


def test_verify_tells_a_certificate_that_other_code_made_and_calls_it_no_damage(built: House):
    plan = built.plan()
    made = certificate_of(plan)
    other = plan.experiment.certificate.folder.with_name("other-code")
    other.mkdir()
    (other / "certificate.json").write_text(json.dumps(made | {"judge": made["judge"] | {"code": "f" * 64}}))

    found = verify(plan.workspace)

    assert found["damaged"] == [] and ["ffffffffffff" in told for told in found["judged_otherwise"]] == [True]
    assert found["judged_otherwise"][0] in verify_text(found)


def test_a_certificate_that_was_lost_is_made_again_with_the_same_bytes(built: House):
    plan = built.plan()
    before = contents(built.workspace.root)
    shutil.rmtree(plan.experiment.certificate.folder)

    built.run()

    assert contents(built.workspace.root) == before


def test_another_held_out_set_is_scored_by_the_proxies_that_are_there(built: House):
    third = RECIPE.replace(
        "  raw: {from", "  third: {from: one, steps: [exact_dedup: {normalise: words}]}\n  raw: {from"
    )
    built.write(third + ONE_ORDER.replace("[held, also]", "[held, third]"))

    assert to_build(built) - Counter({"gathered": 1, "dataset": 1}) == {
        "tokens": 1, "score": 6, "comparison": 1, "certificate": 1
    }  # fmt: skip
    weights = {path: path.stat().st_mtime_ns for path in built.workspace.root.glob("lane/*/*")}
    assert certificate_of(built.run())["held_out"].keys() == {"held", "third"}
    assert weights == {path: path.stat().st_mtime_ns for path in built.workspace.root.glob("lane/*/*")}


def test_a_mixture_under_another_name_keeps_its_proxies(built: House):
    """What was promoted is the next experiment's baseline."""
    names = ONE_ORDER.replace("raw: {weights", "old: {weights").replace("both: {", "now: {")
    built.write(RECIPE + names.replace("candidate: both, baseline: raw", "candidate: old, baseline: now"))

    assert to_build(built) == {"mixture": 2, "comparison": 1, "certificate": 1}


def test_a_mixture_against_itself_is_trained_once(house: House):
    house.write(RECIPE + ONE_ORDER.replace("both: {weights: {raw: 1, good: 3}}", "both: {weights: {raw: 2}}"))

    assert to_build(house)["lane"] == 3
    overall = certificate_of(house.run())["comparisons"][0]["overall"]
    assert (overall["gain"], overall["low"], overall["high"]) == (0, 0, 0)


def test_a_run_that_dies_while_it_trains_keeps_the_proxies_that_it_finished(house: House, monkeypatch):
    finish = lanes.finish

    def dies(node: Node, *arguments: Any, **more: Any) -> None:
        if len(list(house.workspace.root.glob("lane/*/card.json"))) == 2:
            raise KeyboardInterrupt
        finish(node, *arguments, **more)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(lanes, "finish", dies)
        house.run()

    assert to_build(house)["lane"] == 4
    assert certificate_of(house.run())["verdict"]["outcome"] == "undecided"


def test_a_run_killed_before_the_card_of_its_last_lane_goes_on(built: House):
    """Every lane is whole but lies where its attempt wrote it, so that nothing is left to train."""
    before = {}
    for card in sorted(built.workspace.root.glob("lane/*/card.json")):
        lane = card.parent
        before[lane.name] = {path.name: path.read_bytes() for path in lane.iterdir() if path.is_file()}
        dead = lane / SCRATCH / "attempt-1-dead"
        dead.mkdir(parents=True)
        for name in (WEIGHTS, CURVE, card.name):
            (lane / name).rename(dead / name)
        (lane / SCRATCH / f"{WINNER}-0").symlink_to(dead.name)

    built.run()

    assert before and before == {
        name: {path.name: path.read_bytes() for path in (built.workspace.root / "lane" / name).iterdir()}
        for name in before
    }


def test_every_lane_keeps_what_it_read_and_how_it_moved(first_run: tuple[House, Plan]):
    experiment = first_run[1].experiment
    node = next(node for lane, node in experiment.lanes.items() if lane.mixture == "both")

    kept = json.loads((node.folder / "curve.json").read_bytes())

    account = kept["account"]
    assert account["shares"] == account["planned_shares"] == pytest.approx({"good": 0.75, "raw": 0.25}, abs=0.05)
    assert (account["planned_tokens"], account["num_targets"], account["schedule_done"]) == (4_000, 4_096, 1.0)
    assert account["norms"][0]["gradient"]["head"] > 0
    assert read_card(node.folder).details["findings"] == []


def test_the_pair_of_a_lane_that_is_not_sound_is_left_out_and_the_lane_named(built: House):
    lane, node = next((lane, node) for lane, node in built.plan().experiment.lanes.items() if lane.mixture == "both")
    card = read_card(node.folder)
    wrong = "mlp up: 40.0% of its parameters never moved"
    write_card(node.folder, replace(card, details={**card.details, "healthy": False, "findings": [wrong]}))
    for name in ("comparison", "certificate"):
        shutil.rmtree(built.workspace.root / name)

    found = certificate_of(built.run())

    (other,) = {0, 1, 2} - set(found["comparisons"][0]["seeds"])
    assert other == lane.seed and found["verdict"]["outcome"] == "undecided"
    assert any(str(lane) in reason and wrong in reason for reason in found["verdict"]["reasons"])


def test_proxies_of_so_few_tokens_decide_nothing(first_run: tuple[House, Plan]):
    verdict = certificate_of(first_run[1])["verdict"]

    assert verdict["outcome"] == "undecided"
    assert "Each proxy read 4,096 tokens; at this tier a verdict needs 249,856." in verdict["sentence"]
    assert "Set proxy.tokens to 249,856 or more" in verdict["next_step"]


def test_an_edit_that_changes_no_token_brings_no_new_evidence(built: House):
    """The lanes would be the very same ones, trained once more."""
    first = built.plan().experiment

    built.write(RECIPE + ONE_ORDER.replace("{weights: {raw: 1}}", "{weights: {raw: 1}, max_epochs: 5}"))
    second = built.run()

    assert second.experiment.comparison.identity != first.comparison.identity
    assert certificate_of(second)["earlier"] == []


def test_lanes_trained_on_another_kind_of_machine_are_told_of(built: House):
    house, lane = built, next(iter(built.plan().experiment.lanes.values()))
    card = read_card(lane.folder)
    write_card(lane.folder, replace(card, details={**card.details, "device": "cuda"}))
    house.write((RECIPE + ONE_ORDER).replace("seeds: 3", "seeds: 4"))

    told = certificate_of(house.run())

    assert "Not all proxies were trained alike: cpu, " in told["verdict"]["reasons"][-1]
    assert [lane["device"] for lane in told["lanes"]].count("cuda") == 1


def test_no_held_out_set_may_be_called_what_their_mean_is_called(house: House):
    house.write((RECIPE + ONE_ORDER).replace("held,", "overall,").replace("held:", "overall:"))

    with pytest.raises(RecipeError, match="no set may be called `overall`"):
        house.plan()


def test_another_seed_of_the_recipe_is_no_first_look(built: House):
    """Other proxies on the same documents: a chance more to be promoted, which is paid for."""
    built.write((RECIPE + ONE_ORDER).replace("name: order", "name: order\nseed: 4"))

    looks = certificate_of(built.run())["verdict"]["looks"]

    assert (looks["number"], looks["candidate_number"], looks["openings"]) == (1, 2, 2)


def test_a_name_changes_no_look(built: House):
    built.write((RECIPE + ONE_ORDER).replace("both", "better"))

    looks = certificate_of(built.run())["verdict"]["looks"]

    assert (looks["number"], looks["candidate_number"], looks["openings"]) == (1, 1, 1)
