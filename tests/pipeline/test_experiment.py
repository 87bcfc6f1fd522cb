"""What an experiment's bytes depend on: its ingredients, and not the order in which a recipe lists them."""

from __future__ import annotations

import random

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
