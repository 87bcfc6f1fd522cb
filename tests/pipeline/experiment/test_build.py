"""What an experiment's bytes depend on: its ingredients, and not the order in which a recipe lists them."""

from __future__ import annotations

import json
import random

import pytest

from pipeline.core.errors import RecipeError
from tests.pipeline.house import House, contents

RECIPE = """
name: order
sources: {one: {read: jsonl, path: DIR/one.jsonl}, two: {read: jsonl, path: DIR/two.jsonl}}
datasets:
  held: {from: one, steps: [exact_dedup]}
  also: {from: one, steps: [exact_dedup: {keep: longest}]}
  raw: {from: two, steps: [exact_dedup]}
  good: {from: two, steps: [exact_dedup: {normalise: words}]}
proxy: {tokens: 4k, seeds: 3, held_out_bytes: 1k}
"""
ONE_ORDER = """mixtures: {raw: {weights: {raw: 1}}, both: {weights: {raw: 1, good: 3}}}
gate: {candidate: both, baseline: raw, on: [held, also]}
"""
OTHER_ORDER = """mixtures: {both: {weights: {good: 3, raw: 1}}, raw: {weights: {raw: 1}}}
gate: {candidate: both, baseline: raw, on: [also, held]}
"""


def pages(seed: int) -> list[str]:
    draw = random.Random(seed)
    return [
        " ".join(draw.choice(["water", "rain", "stone", "river", "cloud", "the", "of", "falls"]) for _ in range(120))
        for _ in range(60)
    ]


def test_the_order_of_mixtures_and_held_out_sets_does_not_show(house: House):
    house.lines("one.jsonl", pages(1))
    house.lines("two.jsonl", pages(2))
    house.write(RECIPE + ONE_ORDER)
    house.run()
    before = contents(house.workspace.root)
    house.workspace.root.rename(house.folder / "first")

    house.write(RECIPE + OTHER_ORDER)
    house.run()

    assert contents(house.workspace.root) == before
    assert any(name.startswith("comparison/") for name in before)


def test_another_weight_reuses_the_other_mixture_and_learns_from_its_earlier_lanes(house: House):
    house.lines("one.jsonl", pages(1))
    house.lines("two.jsonl", pages(2))
    house.write(RECIPE + ONE_ORDER)
    first = house.run().experiment
    certificate = json.loads((first["certificate"].folder / "certificate.json").read_text())

    house.write(RECIPE + ONE_ORDER.replace("good: 3", "good: 1"))
    second = house.run().experiment
    learnt = json.loads((second["certificate"].folder / "certificate.json").read_text())

    assert second["mixture.raw"].identity == first["mixture.raw"].identity
    assert second["mixture.both"].identity != first["mixture.both"].identity
    assert certificate["earlier"] == []
    (earlier,) = learnt["earlier"]
    assert earlier["comparisons"] == [first["comparison"].identity]
    assert earlier["lanes"] == 3  # of the other `both`; those of `raw` are this comparison's own
    assert earlier["deviations"].keys() == {"held", "also", "overall"}
    assert learnt["comparisons"][0]["overall"]["earlier_freedom"] in (0, 2)


def test_more_seeds_change_no_mixture(house: House):
    house.lines("one.jsonl", pages(1))
    house.lines("two.jsonl", pages(2))
    house.write(RECIPE + ONE_ORDER)
    before = house.plan().experiment

    house.write((RECIPE + ONE_ORDER).replace("seeds: 3", "seeds: 9"))
    after = house.plan().experiment

    changed = {key for key in before if before[key].identity != after[key].identity}
    assert changed == {"comparison", "certificate"}


def test_proxies_of_so_few_tokens_decide_nothing(house: House):
    house.lines("one.jsonl", pages(1))
    house.lines("two.jsonl", pages(2))
    house.write(RECIPE + ONE_ORDER)

    plan = house.run()
    verdict = json.loads((plan.experiment["certificate"].folder / "certificate.json").read_text())["verdict"]

    assert verdict["outcome"] == "undecided"
    assert "Each proxy read 4,096 tokens; at this tier a verdict needs 250,000." in verdict["sentence"]
    assert "Set proxy.tokens to 250,000 or more" in verdict["next_step"]


def test_an_edit_that_changes_no_token_brings_no_new_evidence(house: House):
    """The lanes would be the very same ones, trained once more."""
    house.lines("one.jsonl", pages(1))
    house.lines("two.jsonl", pages(2))
    house.write(RECIPE + ONE_ORDER)
    first = house.run().experiment["comparison"].identity

    house.write(RECIPE + ONE_ORDER.replace("{weights: {raw: 1}}", "{weights: {raw: 1}, max_epochs: 5}"))
    second = house.run().experiment

    assert second["comparison"].identity != first
    assert json.loads((second["certificate"].folder / "certificate.json").read_text())["earlier"] == []


def test_no_held_out_set_may_be_called_what_their_mean_is_called(house: House):
    house.lines("one.jsonl", pages(1))
    house.lines("two.jsonl", pages(2))
    house.write((RECIPE + ONE_ORDER).replace("held,", "overall,").replace("held:", "overall:"))

    with pytest.raises(RecipeError, match="no set may be called `overall`"):
        house.plan()
