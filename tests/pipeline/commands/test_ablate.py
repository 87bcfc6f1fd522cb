from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.ablate import ablation_text
from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.files.reading.strict_yaml import parse
from pipeline.engine.progress import Silent
from pipeline.plan.make import make_plan
from pipeline.queries.trackers.runs import told_of
from pipeline.recipe.ablation import ablation_of
from pipeline.recipe.load import load_recipe
from tests.pipeline.experiment.small_experiment import pages
from tests.pipeline.house import House

RECIPE = """
name: worth
sources: {one: {read: jsonl, path: DIR/one.jsonl}, two: {read: jsonl, path: DIR/two.jsonl}}
datasets:
  held: {from: two, steps: [exact_dedup]}
  clean: {from: one, steps: [length: {min_words: 5}, exact_dedup]}
mixtures: {all: {weights: {clean: 1}}, kept: {weights: {clean: 1}, max_epochs: 8}}
proxy: {tokens: 4k, seeds: 3, held_out_bytes: 1k}
gate: {candidate: kept, baseline: all, on: [held]}
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("ablate"))
    house.lines("one.jsonl", [*pages(1), *pages(1)[:5], "too short"])
    house.lines("two.jsonl", pages(2))
    house.write(RECIPE)
    return house


def ablate(house: House, *options: str) -> str:
    command = [sys.executable, "-m", "pipeline", "ablate", str(house.recipe), "-w", str(house.workspace.root)]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=True, timeout=200).stdout


def test_every_step_is_told_with_its_worth_and_what_it_drops(house: House):
    found = json.loads(ablate(house, "--json"))

    steps = {f"{row['dataset']}.{row['step']}": row for row in found["steps"]}
    assert set(steps) == {"clean.length", "clean.exact_dedup"}
    assert steps["clean.exact_dedup"]["documents"] == {"clean": {"with": 60, "without": 65}}
    assert steps["clean.length"]["documents"] == {"clean": {"with": 60, "without": 61}}
    assert all(row["low"] <= row["effect"] <= row["high"] for row in found["steps"])
    assert Path(found["report"]).is_file()
    assert not (house.workspace.root / "looks.json").exists()  # nothing was judged


def test_trackers_are_told_what_each_step_is_worth(house: House):
    rows = {row["step"]: row for row in json.loads(ablate(house, "--json"))["steps"]}
    data = ablation_of(parse(house.recipe.read_text(), path=house.recipe).data, name="worth", only=()).data

    runs = told_of(make_plan(load_recipe(data), house.workspace))

    told = sorted((run for run in runs if run.name.startswith("comparison/")), key=lambda run: run.name)
    gains = {tuple(run.results[f"{name}/overall"] for name in ("gain", "gain_low", "gain_high")) for run in told}
    assert gains == {(row["effect"], row["low"], row["high"]) for row in rows.values()}
    assert all(run.facts["candidate"] == "kept" and run.facts["seeds"] == 3 for run in told)


def test_steps_that_stay_are_told_in_a_line(house: House):
    found = json.loads(ablate(house, "--json"))

    assert found["needed"] == [] and "Not left out" not in ablation_text(found)
    text = ablation_text({**found, "needed": ["clean.label"]})
    assert "Not left out, as other steps need them: clean.label." in text.splitlines()


def test_a_run_without_a_verdict_says_that_none_was_asked_for(house: House):
    ablate(house)
    ablation = ablation_of(parse(house.recipe.read_text(), path=house.recipe).data, name="worth")

    outcome = run_recipe({**ablation.data, "seed": 0}, workspace=house.workspace, workers=1, progress=Silent())

    assert not outcome.built  # all of it is there
    assert outcome.sentence == "The gate asks for no verdict, so nothing was judged."


def test_again_it_trains_nothing_and_says_the_same_in_a_table(house: House):
    text = ablate(house)

    assert "Bits per byte that kept needs less with the step than without it:" in text
    assert "It read documents that a gate judges by (held), and no look was counted" in text
    assert "It read documents" not in ablation_text({**json.loads(ablate(house, "--json")), "judged_too": []})
    assert "clean.exact_dedup" in text and "clean 60 of 65 documents" in text
