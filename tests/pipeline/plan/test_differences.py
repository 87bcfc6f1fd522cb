"""The reasons of a plan: against a step's own past, in values that a recipe could hold, and never a dump of Python."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.engine.run import Run
from pipeline.plan.groups import groups_of
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.store.results import close
from pipeline.store.workspace import Workspace
from tests.conftest import ROOT
from tests.pipeline.house import House, texts, write_lines

STEPS = ["length: {min_length: 20}", "line_dedup: {min_documents: 2}", "exact_dedup", "pii"]


@pytest.fixture
def built(house: House) -> House:
    house.lines("a.jsonl", ["one line of it\nand one that repeats", "another of it\nand one that repeats", *texts(8)])
    house.clean(STEPS)
    house.run()
    return house


def reasons(house: House, dataset: str = "clean") -> dict[str, str]:
    planned = house.plan().datasets[dataset]
    return {step.spec.label: step.node.reason for step in planned.steps} | {"": planned.node.reason}


def test_steps_after_a_changed_edit_say_which_step_rewrites_their_text(built: House):
    built.clean([STEPS[0], "line_dedup: {min_documents: 3}", *STEPS[2:]])

    found = reasons(built)

    assert found["line_dedup"] == "because params.min_documents 2 -> 3"
    assert found["pii"] == found["exact_dedup"] == "because `line_dedup` rewrites other text"
    assert found[""] == "because `line_dedup`, `exact_dedup` and `pii` are built anew"


def test_a_value_that_the_recipe_leaves_out_is_told_by_its_default(built: House):
    built.clean([STEPS[0], "line_dedup", *STEPS[2:]])

    assert reasons(built)["line_dedup"] == "because params.min_documents 2 -> 7"


def test_steps_put_in_and_taken_out_are_named(built: House):
    built.clean([STEPS[0], "length: {min_length: 3}", *STEPS[2:]])

    assert reasons(built)[""] == "because `length_2` was put in; `line_dedup` was taken out"
    assert reasons(built)["pii"] == "because its text is other"


def test_a_step_is_compared_with_its_own_datasets_past_and_not_with_another_recipes(built: House):
    recipe = built.recipe.read_text(encoding="utf-8")
    built.write(recipe.replace("clean:", "other:").replace("min_length: 20", "min_length: 7"))
    assert reasons(built, "other")["exact_dedup"] == "new"  # it reads other text than anything of the same step
    built.run()
    built.write(recipe.replace("min_length: 20", "min_length: 8"))

    assert reasons(built)["exact_dedup"].startswith("because decided_before.length.decides.min_length 20.0 -> 8.0")
    assert {"new"} == set(reasons_of_a_new_dataset(built, recipe).values()) - {"unchanged"}


def reasons_of_a_new_dataset(house: House, recipe: str) -> dict[str, str]:
    house.write(recipe.replace("clean:", "third:").replace("min_length: 20", "min_length: 9"))
    return {label: reason for label, reason in reasons(house, "third").items() if label in ("exact_dedup", "")}


def test_a_dataset_that_was_never_published_is_compared_with_what_read_the_same_text(built: House):
    shutil.rmtree(built.plan().datasets["clean"].node.folder)
    built.clean([STEPS[0].replace("20", "21"), *STEPS[1:]])

    assert reasons(built)["line_dedup"] == "because decided_before.length.decides.min_length 20.0 -> 21.0"


def source_reason(house: House) -> str:
    return house.plan().sources["docs"].reason.partition("; takes over")[0]


def test_changed_inputs_are_named_by_what_happened_to_them(house: House):
    for number in range(6):
        house.lines(f"part-{number}.jsonl", texts(2, start=2 * number))
    house.clean([])
    house.run()

    house.lines("part-1.jsonl", texts(2, start=50))
    assert source_reason(house) == "because input part-1 changed"
    house.lines("part-9.jsonl", texts(2, start=60))
    assert source_reason(house) == "because 1 input changed, 1 is new: part-1, part-9"
    for number in (2, 3):
        house.lines(f"part-{number}.jsonl", texts(3, start=70 + 3 * number))
    assert source_reason(house) == "because 3 inputs changed, 1 is new: part-1, part-2, part-3, ..."
    for number in (4, 5):
        (house.folder / f"part-{number}.jsonl").unlink()
    assert source_reason(house) == "because 3 inputs changed, 1 is new, 2 are gone: part-1, part-2, part-3, ..."


def test_an_input_that_came_or_went_is_named(house: House):
    for number in range(3):
        house.lines(f"part-{number}.jsonl", texts(2, start=2 * number))
    house.clean([])
    house.run()

    (house.folder / "part-2.jsonl").unlink()
    assert source_reason(house) == "because input part-2 is gone"
    house.lines("part-2.jsonl", texts(2, start=4))
    house.lines("part-9.jsonl", texts(2, start=9))
    assert source_reason(house) == "because input part-9 is new"


def test_no_reason_shows_brackets(built: House):
    for steps in (STEPS[1:], STEPS[::-1], ["patterns: {patterns: {a: x}, max_matches: {a: 3}}"]):
        built.clean(steps)
        assert not any(set("[]{}'") & set(reason) for reason in reasons(built).values())


MIXED = (
    "sources: {a: {read: jsonl, path: DIR/a.jsonl}, b: {read: jsonl, path: DIR/b.jsonl}, c: {read: jsonl, path: "
    "DIR/c.jsonl}}\ndatasets:\n  web: {from: a}\n  books: {from: b}\n  held: {from: c}\n"
    "mixtures:\n  baseline: {weights: {web: 1.0}}\n  candidate: {weights: {web: 0.5, books: 0.5}}\n"
    "proxy: {tokens: 4k}\ngate: {candidate: candidate, baseline: baseline, on: [held]}\n"
)


@pytest.fixture
def mixed(house: House) -> House:
    """A recipe whose datasets are built, and its experiment's cards, which are all that plans read."""
    for name in ("a", "b", "c"):
        house.lines(f"{name}.jsonl", texts(5, start=10 * ord(name)))
    house.write(MIXED)
    plan = house.plan()
    Run(plan=replace(plan, experiment=None), executor=Local(workers=1), progress=Silent()).execute()
    for node in plan.experiment.nodes:
        node.folder.mkdir(parents=True)
        close(node, {}, rows_in=0, rows_out=0)
    return house


def reasons_of_experiment(house: House) -> dict[str, str]:
    """Return kind and name -> reason; of lanes and scores as a plan groups them."""
    groups = groups_of(house.plan(), alike=lambda node: node.reason)
    return {f"{group.nodes[0].kind} {group.name}": group.nodes[0].reason for group in groups}


def test_a_changed_weight_is_told_by_dataset(mixed: House):
    mixed.write(MIXED.replace("web: 0.5, books: 0.5", "web: 0.7, books: 0.3"))

    found = reasons_of_experiment(mixed)

    assert found["tokenizer recipe"] == found["mixture baseline"] == found["lane baseline: 3 seeds"] == "unchanged"
    told = "because the weight of `books` 0.5 -> 0.3; the weight of `web` 0.5 -> 0.7"
    assert found["mixture candidate"] == told
    assert found["lane candidate: 3 seeds"] == found["comparison recipe"] == "because candidate is built anew"
    assert found["score candidate: 3 seeds on held"] == "because lane is built anew"


def test_a_seed_more_is_told_by_mixture_and_leaves_the_others(mixed: House):
    mixed.write(MIXED.replace("tokens: 4k", "tokens: 4k, seeds: 4"))

    found = reasons_of_experiment(mixed)

    assert found["lane baseline: 3 seeds"] == "unchanged" and found["lane baseline: seed 3"] == "new"
    assert found["score baseline: seed 3 on held"] == "new"
    assert found["comparison recipe"] == "because seeds 3 -> 4"


def test_datasets_and_mixtures_that_came_or_went_are_told(mixed: House):
    mixed.write(MIXED.replace("web: 0.5, books: 0.5", "books: 1"))
    told = reasons_of_experiment(mixed)["mixture candidate"]
    assert told == "because `web` was taken out; the weight of `books` 0.5 -> 1"

    mixed.write(MIXED.replace("proxy:", "  third: {weights: {books: 1}}\nproxy:"))
    assert reasons_of_experiment(mixed)["comparison recipe"] == "because mixture `third` was put in"

    swapped = MIXED.replace("web: 0.5, books: 0.5", "web: 1")
    mixed.write(swapped.replace("baseline: {weights: {web", "baseline: {weights: {books"))
    assert reasons_of_experiment(mixed)["tokenizer recipe"] == "unchanged"
    mixed.write(swapped)
    assert reasons_of_experiment(mixed)["tokenizer recipe"] == "because `books` was taken out"


SETTINGS: dict[str, tuple[dict[str, object], dict[str, int]]] = {
    "another weight": ({"mixtures.candidate.weights": {"web": 0.5, "textbooks": 0.5}}, {
        "mixture candidate": 1, "lane candidate: 5 seeds x 2 rates": 10,
        "score candidate: 5 seeds x 2 rates on code, news, science": 30,
    }),
    "a sixth seed": ({"proxy.seeds": 6}, {
        "lane baseline: seed 5 x 2 rates": 2, "lane candidate: seed 5 x 2 rates": 2,
        "score baseline: seed 5 x 2 rates on code, news, science": 6,
        "score candidate: seed 5 x 2 rates on code, news, science": 6,
    }),
    "one rate less": ({"proxy.learning_rates": [1.0]}, {}),
    "another held-out set": ({"gate.on": ["news", "science", "held"], "gate.guards": {}}, {
        "tokens held": 1, "score baseline: 5 seeds x 2 rates on held": 10,
        "score candidate: 5 seeds x 2 rates on held": 10,
    }),
    "another group": ({"gate.group_by": "site"}, {}),
}  # fmt: skip


@pytest.mark.parametrize("change", SETTINGS)
def test_only_what_is_new_of_compare_mixtures_is_paid_for(tmp_path, monkeypatch, change: str):
    """As the recipe's head says: whatever is edited, proxies that are there are not trained again."""
    monkeypatch.chdir(tmp_path)
    for name in ("web", "textbooks", "heldout/news", "heldout/science", "heldout/code"):
        path = tmp_path / "data" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_lines(path, [f"a page of {name}"])
    text = (ROOT / "recipes" / "compare_mixtures.yaml").read_text(encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        text.replace("  # both sides lose", "  held: {from: code_pages, steps: [length]}\n  # both sides")
    )
    settings, wanted = SETTINGS[change]

    plans = [make_plan(load_recipe(recipe, settings=each), Workspace(tmp_path / "w")) for each in ({}, settings)]

    before = {node.identity for node in plans[0].nodes}
    groups = groups_of(plans[1], alike=lambda node: node.identity in before)
    anew = {
        f"{group.nodes[0].kind} {group.name}": len(group.nodes)
        for group in groups
        if group.nodes[0].identity not in before
    }
    verdict = {"comparison compare-mixtures": 1, "certificate compare-mixtures": 1}
    assert anew == wanted | verdict
