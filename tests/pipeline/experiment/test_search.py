"""A search in rounds, from a recipe to a mixture that was found, on proxies of a few thousand tokens."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.experiment.findings.found import found_by
from pipeline.experiment.promote import promote_mixture
from pipeline.plan.sweep import FOUND
from pipeline.queries.trackers.runs import told_of
from pipeline.recipe.load import load_recipe
from tests.pipeline.experiment.conftest import Furnish
from tests.pipeline.experiment.small_experiment import pages
from tests.pipeline.house import House, contents
from tests.samples import proof

RECIPE = """
name: search
sources:
  one: {read: jsonl, path: DIR/one.jsonl}
  two: {read: jsonl, path: DIR/two.jsonl}
  three: {read: jsonl, path: DIR/three.jsonl}
  four: {read: jsonl, path: DIR/four.jsonl}
datasets:
  dev: {from: three, steps: [exact_dedup]}
  test: {from: four, steps: [exact_dedup]}
  raw: {from: one, steps: [exact_dedup]}
  good: {from: two, steps: [exact_dedup]}
mixtures: {even: {weights: {raw: 1, good: 1}, max_epochs: 8}}
proxy: {tokens: 8k, seeds: 3, held_out_bytes: 1k}
sweep: {around: even, on: {dev: 1}, proxies: 8, rounds: 2, anchors: 2}
gate: {candidate: proposed, baseline: even, on: [test]}
"""


def furnished(folder: Path) -> House:
    house = House(folder)
    for number, name in enumerate(("one", "two", "three", "four")):
        house.lines(f"{name}.jsonl", pages(number + 1))
    house.write(RECIPE)
    return house


@pytest.fixture(scope="module")
def furnish() -> Furnish:
    return furnished


def test_rounds_follow_from_each_other_and_a_gate_judges_what_they_find(first_run):
    plan = first_run[1]

    assert [len(found.lanes) for found in plan.experiment.rounds] == [6, 4]  # two of the first are anchors
    assert plan.experiment.rounds_to_come == 0 and plan.experiment.certificate is not None
    assert {lane.mixture for lane in plan.experiment.judged} == {"even", "proposed"}
    assert {lane.seed for lane in plan.experiment.judged} == {0, 1, 2}
    assert {lane.seed for found in plan.experiment.rounds for lane in found.lanes} == {1000, 1001}


def test_what_was_found_is_told_with_all_that_it_rests_on(first_run):
    found = json.loads((first_run[1].experiment.rounds[-1].node.folder / FOUND).read_bytes())

    assert len(found["runs"]) == 10 and found["anchors"] == 2 and found["noise_sd"] > 0
    assert sum(found["optimum"]["weights"].values()) == pytest.approx(1)
    assert found["next"] == [] and found["accuracy"]["num_runs"] == 10
    assert all(sum(run["weights"]) == pytest.approx(1) for run in found["runs"])


def test_trackers_are_told_of_weights_against_scores_by_proxy(first_run):
    house, plan = first_run
    found = json.loads((plan.experiment.rounds[-1].node.folder / FOUND).read_bytes())

    (told,) = (run for run in told_of(house.plan()) if run.name == "search")

    assert [row.step for row in told.rows] == list(range(1, 11))
    for row, run in zip(told.rows, found["runs"], strict=True):
        assert [row.values["weight/good"], row.values["weight/raw"]] == run["weights"]
        assert (row.values["bits_per_byte/dev"], row.values["goal"]) == (run["metrics"]["dev"], run["goal"])
    assert told.results["found/goal"] == found["optimum"]["value"]


def test_before_its_first_round_a_plan_knows_that_round_and_how_many_follow(tmp_path):
    plan = furnished(tmp_path).plan()

    assert len(plan.experiment.rounds) == 1 and plan.experiment.rounds_to_come == 1
    assert plan.experiment.comparison is None and "proposed" not in plan.mixtures


def test_a_second_run_has_nothing_to_do(built):
    before = contents(built.workspace.root)

    assert not built.plan().to_build
    built.run()
    assert contents(built.workspace.root) == before


def test_a_search_that_lost_its_last_round_ends_with_the_same_bytes(built):
    before = contents(built.workspace.root)
    rounds = built.plan().experiment.rounds
    shutil.rmtree(rounds[-1].node.folder)
    for lane in rounds[-1].lanes[:2]:
        shutil.rmtree(built.plan().experiment.lanes[lane].folder)

    built.run()

    assert contents(built.workspace.root) == before


def test_the_name_of_what_is_found_costs_no_proxy(built):
    built.write(RECIPE.replace("on: {dev: 1},", "on: {dev: 1}, as: better,").replace("proposed", "better"))

    kinds = {node.kind for node in built.plan().to_build}

    assert "lane" not in kinds and "search" not in kinds


def test_the_recipe_with_the_found_mixture_builds_on_all_that_is_there(built):
    found = found_by(built.plan())
    plan = House(built.folder).plan()

    assert found is not None and found.mixture == "proposed" and found.proxies == 10
    recipe = load_recipe(found.recipe)
    assert recipe.sweep is None and recipe.name == "search-proposed"
    assert recipe.mixtures["proposed"] == plan.mixtures["proposed"]
    built.write(found.recipe.read_text())
    assert {node.kind for node in built.plan().to_build} <= {"comparison", "certificate", "tokenizer"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("around: even", "around: evn", "sweep.around: unknown mixture `evn`. Did you mean even"),
        ("on: {dev: 1}", "on: {test: 1}", "sweep.on: `test` also stands in gate.on; what a search looked at cannot"),
        ("on: {dev: 1}", "on: {raw: 1}", "sweep.on: `raw` is also trained on, by mixture `even`"),
        ("on: {dev: 1}", "on: {dv: 1}", "sweep.on.dv: unknown dataset `dv`. Did you mean dev"),
        (
            "dev: {from: three, steps: [exact_dedup]}",
            "dev: {from: test}",
            "sweep.on: `dev` and `test` of gate.on have documents of one source or file; what a search looked at",
        ),
        ("path: DIR/three.jsonl", "path: DIR/four.jsonl", "sweep.on: `dev` and `test` of gate.on have documents"),
        ("{raw: 1, good: 1}", "{good: 1}", "sweep.around: `even` has one dataset; a search needs two or more"),
        ("rounds: 2", "rounds: 3", "8 proxies in 3 rounds are fewer than four to a round"),
        ("anchors: 2", "anchors: 2, as: even", "sweep.as: `even` is a mixture already"),
        ("anchors: 2", "anchors: 2, least: {god: 0.1}", "sweep.least.god: unknown dataset of the mixture `god`"),
        ("anchors: 2", "anchors: 2, least: {raw: 0.6, good: 0.6}", "least: the weights sum to 1.2"),
        ("proposed", "propsed", "gate.candidate: unknown mixture `propsed`. Did you mean proposed"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused_before_any_work(tmp_path, old, new, said):
    house = furnished(tmp_path)
    house.write(RECIPE.replace(old, new))

    with pytest.raises(RecipeError, match=said):
        house.plan()


def test_a_mixture_that_is_tried_again_is_trained_again(tmp_path: Path):
    """Narrow limits leave one mixture: every proxy of it has a seed of its own, or one would count as many."""
    house = furnished(tmp_path)
    house.write(RECIPE.replace("anchors: 2", "anchors: 2, least: {raw: 0.5, good: 0.5}"))

    experiment = house.plan().experiment

    lanes = experiment.rounds[0].lanes
    assert len({experiment.lanes[lane].identity for lane in lanes}) == len(lanes) == 6


def test_limits_that_the_supply_of_text_leaves_no_weights_are_told(tmp_path: Path):
    house = furnished(tmp_path)
    scarce = RECIPE.replace("max_epochs: 8", "max_epochs: 0.3")
    house.write(scarce.replace("anchors: 2", "anchors: 2, most: {raw: 0.3}"))

    with pytest.raises(RecipeError, match=r"sweep.most: together with what the datasets can give .* raw 0.300 at most"):
        house.run()


def test_what_the_gate_judges_by_may_have_dropped_what_the_search_looks_at(tmp_path):
    house = furnished(tmp_path)
    guarded = "steps: [exact_dedup, decontaminate: {against: [dev]}]"
    house.write(
        RECIPE.replace("path: DIR/three.jsonl", "path: DIR/four.jsonl").replace(
            "test: {from: four, steps: [exact_dedup]}", f"test: {{from: four, {guarded}}}"
        )
    )

    assert house.plan().recipe.sweep is not None


def test_nothing_is_promoted_before_the_search_has_found_it(tmp_path):
    house = furnished(tmp_path)
    house.write(RECIPE + "promote: {as: docs}\n")

    with pytest.raises(RecipeError, match="the search has not found `proposed` yet; run the recipe first"):
        promote_mixture(house.plan(), None, override="because")


def test_the_recipe_with_the_found_mixture_has_a_name_of_the_length_that_recipes_allow(built):
    long = "p" * 60
    built.write(RECIPE.replace("on: {dev: 1},", f"on: {{dev: 1}}, as: {long},").replace("proposed", long))

    found = found_by(built.plan())

    assert found is not None and load_recipe(found.recipe).name == f"rch-{long}"
    plan = built.plan()
    secret = re.sub(r"path: [^,}\s]+", "path: 'https://me:CANARY@a.org/b?sig=CANARY'", plan.recipe.text, count=1)
    again = found_by(replace(plan, recipe=replace(plan.recipe, text=secret)))
    assert again is not None and "https://a.org/b?..." in (text := again.recipe.read_text(encoding="utf-8"))
    assert "CANARY" not in text and text.splitlines()[1].endswith("put them back before you run it.")


def chain_of_words(seed: int) -> Callable[[random.Random], str]:
    """Return what writes texts of a Markov chain over 300 made words, six of which may follow each."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=3 + number % 6)) for number in range(300)]
    following = {word: draw.sample(words, 6) for word in words}

    def text(draw: random.Random) -> str:
        found = [draw.choice(words)]
        for _ in range(149):
            found += draw.choices(following[found[-1]], (0.4, 0.25, 0.15, 0.1, 0.06, 0.04))
        return " ".join(found)

    return text


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_proxies_find_a_planted_optimum_of_three_sources(tmp_path: Path):
    """Six Markov chains that differ in their words only, of which the sources write three, two and one.

    Held-out text has as much of each. No chain is easier than another, so by symmetry the best mixture reads equally
    much of each: a half, a third, a sixth. (Of three sources with one chain each and held-out text of a half, three
    tenths and a fifth, the best weights are not these: what is read less is learnt worse; eval/LOG.md.) The figures
    of eval/LOG.md are those of the larger search, which `make test-whole` runs.
    """
    texts, held, tokens, proxies, rounds = proof((220, 15, "30k", 16, 2), whole=(750, 60, "100k", 20, 3))
    house, draw = House(tmp_path), random.Random(100)
    chains = [chain_of_words(seed) for seed in range(6)]
    sources = {"a": chains[:3], "b": chains[3:5], "c": chains[5:], "held": chains}
    for name, several in sources.items():
        count = held if name == "held" else texts
        house.lines(f"{name}.jsonl", [chain(draw) for chain in several for _ in range(count)])
    house.write(
        "name: planted\nseed: 5\nsources:\n"
        + "".join(f"  {name}_pages: {{read: jsonl, path: DIR/{name}.jsonl}}\n" for name in sources)
        + "datasets:\n"
        + "".join(f"  {name}: {{from: {name}_pages, steps: [exact_dedup]}}\n" for name in sources)
        + "mixtures: {even: {weights: {a: 1, b: 1, c: 1}, max_epochs: 8}}\n"
        f"proxy: {{tokens: {tokens}, seeds: 3}}\n"
        f"sweep: {{around: even, on: {{held: 1}}, proxies: {proxies}, rounds: {rounds}}}\n"
    )

    found = house.run(threads=2).mixtures["proposed"].weights

    planted = {"a": 1 / 2, "b": 1 / 3, "c": 1 / 6}
    assert sum(abs(found.get(name, 0) - share) for name, share in planted.items()) < 0.1, found


def test_the_verb_prints_what_was_found_and_refuses_a_recipe_without_a_search(built: House):
    def sweep(recipe: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline", "sweep", str(recipe), "-w", str(built.workspace.root)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    found = sweep(built.recipe)
    without = sweep(built.workspace.root / "reports" / "search-proposed.yaml")

    assert found.returncode == 3 and "nothing to do" in found.stdout  # its tiny proxies decide nothing
    assert "Predicted from 10 proxies:" in found.stdout and "search-proposed.yaml" in found.stdout
    assert without.returncode == 2 and "has no `sweep:`, so there is nothing to search" in without.stderr
