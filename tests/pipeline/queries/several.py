"""Three mixtures trained and scored in one workspace, and a fourth by a later run, for tests of what compares them."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.house import House
from tests.pipeline.queries.export.exporting import text_of

HOSTILE = "<script>alert(1)</script> & <b>bold</b>"
RECIPE = """name: several
seed: 3
sources: {one: {read: jsonl, path: DIR/one.jsonl}, two: {read: jsonl, path: DIR/two.jsonl},
  three: {read: jsonl, path: DIR/three.jsonl}}
datasets: {held: {from: one}, also: {from: three}, raw: {from: two},
  good: {from: two, steps: [length: {min_words: 60}]}}
mixtures: {raw: {weights: {raw: 1}}, both: {weights: {raw: 1, good: 3}}, good: {weights: {good: 1}, max_epochs: 8}}
proxy: {tokens: 4k, seeds: 3, held_out_bytes: 6k, learning_rates: [1.0, 0.3]}
gate: {candidate: both, baseline: raw, on: [held, also]}
promote: {as: docs-en}
"""
LATER = RECIPE.replace("good: 3", "good: 1")


def several(folder: Path) -> House:
    """Run RECIPE, then LATER, which trains another `both`: `both` is now the later one."""
    house = House(folder)
    house.lines("one.jsonl", [f"{HOSTILE} {text_of(number, 60)}" for number in range(40)])
    house.lines("two.jsonl", [text_of(1_000 + number, 20 + 2 * number) for number in range(60)])
    house.lines("three.jsonl", [text_of(5_000 + number, 80) for number in range(40)])
    for recipe in (RECIPE, LATER):
        house.write(recipe)
        house.run()
    return house
