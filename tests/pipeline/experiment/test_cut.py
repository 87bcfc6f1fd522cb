"""A search that drops the worst of a round half-trained, on proxies of a few thousand tokens."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.experiment.lanes import WEIGHTS
from pipeline.plan.groups import groups_of, to_come_in
from pipeline.plan.sweep import CUT, FOUND, found_in, told_in
from pipeline.queries.proxies.arms import find_arms
from pipeline.queries.proxies.lanes import find_lane, find_lanes
from pipeline.queries.trackers.runs import told_of
from tests.pipeline.experiment.conftest import Furnish
from tests.pipeline.experiment.small_experiment import pages
from tests.pipeline.experiment.test_search import RECIPE
from tests.pipeline.house import House, contents

PLAIN = RECIPE.partition("gate:")[0].replace("tokens: 8k", "tokens: 16k").replace("proxies: 8", "proxies: 16")
HALVED = PLAIN.replace("anchors: 2", "anchors: 2, stops: [0.5], keep: 0.5")


def one_round(recipe: str) -> str:
    """Return a recipe with the first round alone, in which the same mixtures are tried."""
    return recipe.replace("proxies: 16, rounds: 2", "proxies: 8, rounds: 1")


def furnished(folder: Path, recipe: str = HALVED) -> House:
    """Return a house in which one of two datasets has nothing of what is held out."""
    house, draw = House(folder), random.Random(7)
    letters = [" ".join("".join(draw.choices("bcdfgaeiou", k=5)) for _ in range(120)) for _ in range(60)]
    for name, texts in (("one", letters), ("two", pages(2)), ("three", pages(3)), ("four", pages(4))):
        house.lines(f"{name}.jsonl", texts)
    house.write(recipe)
    return house


@pytest.fixture(scope="module")
def furnish() -> Furnish:
    return furnished


@pytest.mark.slow
def test_the_worst_are_dropped_and_the_rest_go_on_to_the_bits_of_proxies_that_never_stopped(first_run, tmp_path):
    plan = first_run[1]
    first, found = plan.experiment.cuts[0], plan.experiment.rounds[0]
    told = told_in(first.node, CUT)
    going = {run["lane"]["name"] for run in told["runs"] if not run["dropped"]}
    worst = max(run["goal"] for run in told["runs"] if not run["dropped"])
    plain = furnished(tmp_path, one_round(PLAIN))

    plain.run()

    assert 0 < len(found.lanes) == len(going) < len(first.lanes) == 10 and told["tokens"] == 4096
    assert all(
        run["goal"] > worst and "worse than the best" in run["dropped"] for run in told["runs"] if run["dropped"]
    )
    assert sum(run["lane"]["mixture"] == "even" for run in told["runs"] if not run["dropped"]) == 2
    for lane in found.lanes:
        ours = plan.experiment.lanes[lane].folder
        theirs = plain.workspace.root / "lane" / ours.name
        assert (ours / WEIGHTS).read_bytes() == (theirs / WEIGHTS).read_bytes()


def test_what_was_dropped_counts_with_what_it_would_have_come_to_and_judges_nothing(first_run):
    found = found_in(first_run[1].experiment.rounds[-1].node)

    stopped = [run for run in found["runs"] if run["stopped"]]
    whole = [run for run in found["runs"] if not run["stopped"]]
    assert len(stopped) + len(whole) == 18 and found["accuracy"]["num_runs"] == len(whole)
    assert all(run["stopped"]["until"] == 0.5 and run["stopped"]["why"] for run in stopped)
    assert min(run["goal"] for run in stopped) > min(run["goal"] for run in whole)
    worst = max(stopped, key=lambda run: run["stopped"]["metrics"]["dev"])
    assert worst["goal"] == max(run["goal"] for run in found["runs"])


def test_what_a_dropped_proxy_would_have_gone_on_from_is_taken_away(first_run):
    assert not list(first_run[0].workspace.root.glob("lane/*/scratch"))


def test_a_halved_search_has_nothing_to_do_twice(first_run):
    house = first_run[0]
    before = contents(house.workspace.root)

    assert not house.plan().to_build
    house.run()

    assert contents(house.workspace.root) == before


def test_under_a_new_name_a_search_drops_whom_it_dropped_and_finds_the_same(first_run, tmp_path):
    house, before = furnished(tmp_path, HALVED.replace("anchors: 2", "anchors: 2, as: best")), first_run[1].experiment
    shutil.copytree(first_run[0].workspace.root, house.workspace.root)

    renamed = house.plan()

    def ids(experiment):
        return [[experiment.lanes[lane].identity for lane in found.lanes] for found in experiment.rounds]

    assert ids(renamed.experiment) == ids(before)
    assert {node.kind for node in renamed.to_build} == {"mixture"}
    assert all("proposed" not in lane.mixture for lane in renamed.experiment.lanes)

    last = renamed.experiment.rounds[-1].node
    shutil.rmtree(last.folder)
    again = house.run().experiment.rounds[-1].node

    told, was = found_in(again), found_in(before.rounds[-1].node)
    assert (again.identity, told["optimum"]) == (last.identity, was["optimum"])
    assert [run["goal"] for run in told["runs"]] == [run["goal"] for run in was["runs"]]


def test_a_proxy_of_a_search_is_whole_unless_its_stop_is_named(first_run):
    workspace, experiment = first_run[0].workspace, first_run[1].experiment
    dropped = next(run["lane"] for run in told_in(experiment.cuts[0].node, CUT)["runs"] if run["dropped"])

    assert [lane.name for lane in find_lanes(workspace, "even")] == ["even/seed1000/lr1", "even/seed1001/lr1"]
    assert find_lane(workspace, "even/seed1000/lr1").facts.until == 1
    assert find_lane(workspace, "even/seed1000/lr1/to0.5").facts.until == 0.5
    assert [lane.facts.seed for lane in find_lanes(workspace, "even/to0.5")] == [1000, 1001]
    with pytest.raises(RecipeError, match=rf"a search stopped it on its way. Name {dropped['name']}/to0.5"):
        find_lane(workspace, dropped["name"])


def test_half_trained_proxies_are_none_of_a_mixture_that_is_compared(first_run):
    dropped = next(run["lane"] for run in told_in(first_run[1].experiment.cuts[0].node, CUT)["runs"] if run["dropped"])

    even, other = find_arms(first_run[0].workspace, ["even", dropped["mixture"]])

    assert [found.lane.facts.until for found in even.lanes] == [1, 1] and not other.lanes


@pytest.mark.slow
def test_a_halved_search_that_was_killed_at_its_stop_ends_with_the_same_bytes(first_run, tmp_path):
    house = furnished(tmp_path, one_round(HALVED))
    command = [sys.executable, "-m", "pipeline", "run", str(house.recipe), "-w", str(house.workspace.root)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not list(house.workspace.root.glob(f"search/*/{CUT}")) and time.monotonic() < until:
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    shutil.rmtree(next(house.workspace.root.glob("lane/*-to0.5-*")))  # one look is lost besides

    plan = house.run()

    (cut,), (found,), reference = plan.experiment.cuts, plan.experiment.rounds, first_run[1].experiment
    assert told_in(cut.node, CUT)["runs"] == told_in(reference.cuts[0].node, CUT)["runs"]
    assert found.lanes == reference.rounds[0].lanes
    for lane in found.lanes:
        one, other = plan.experiment.lanes[lane].folder, reference.lanes[lane].folder
        assert (one / WEIGHTS).read_bytes() == (other / WEIGHTS).read_bytes()


def test_before_a_stop_a_plan_knows_what_comes_to_it_and_that_the_rest_follows(tmp_path):
    plan = furnished(tmp_path).plan()

    assert len(plan.experiment.cuts) == 1 and not plan.experiment.rounds and plan.experiment.rounds_to_come == 2
    assert "What round 1 shows half-trained decides which of its proxies go on. Round 2 follows" in to_come_in(plan)
    names = [group.name for group in groups_of(plan, alike=lambda node: node.complete)]
    assert "round 1: 10 proxies to 50 % on dev" in names


@pytest.mark.parametrize(
    ("stops", "said"),
    [
        ("[0.5, 0.2]", "sweep.stops is .*; each must be later than the one before it"),
        ("[1.0]", "it must be less than 1"),
    ],
)
def test_stops_that_cannot_be_meant_are_refused(tmp_path, stops, said):
    house = furnished(tmp_path, HALVED.replace("[0.5]", stops))

    with pytest.raises(RecipeError, match=said):
        house.plan()


def test_trackers_are_told_the_rate_of_the_whole_schedule_and_no_projected_score(first_run):
    plan = first_run[0].plan()
    told = {run.name: run for run in told_of(plan)}

    early = next(lane for lane in plan.experiment.lanes if lane.until < 1)
    whole = next(lane for lane in plan.experiment.lanes if lane.until == 1)
    rates = [[row.values["train/learning_rate"] for row in told[f"proxy/{lane}"].rows] for lane in (early, whole)]
    assert 0 < len(rates[0]) < len(rates[1]) and rates[0] == rates[1][: len(rates[0])]
    runs = told_in(plan.experiment.rounds[-1].node, FOUND)["runs"]
    measured = [row.step for row in told["search"].rows if "goal" in row.values]
    assert measured == [number for number, run in enumerate(runs, start=1) if not run["stopped"]]
    assert len(measured) < len(runs)
