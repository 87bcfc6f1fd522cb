"""A house with finished proxies and enough held-out documents for a round of claims."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.house import House
from tests.pipeline.queries.errors.planted import material
from tests.pipeline.queries.export.exporting import text_of

RECIPE = """name: errors
seed: 3
sources: {one: {read: jsonl, path: DIR/one.jsonl}, two: {read: jsonl, path: DIR/two.jsonl}}
datasets: {held: {from: one, steps: [length: {min_words: 5}]}, raw: {from: two},
  good: {from: two, steps: [length: {min_words: 60}]}}
mixtures: {raw: {weights: {raw: 1}}, both: {weights: {raw: 1, good: 3}}}
proxy: {tokens: 4k, seeds: 3, held_out_bytes: 400k}
gate: {candidate: both, baseline: raw, on: [held]}
"""


def trained(folder: Path) -> House:
    """Run the recipe: two mixtures, three seeds, 400 held-out documents."""
    house = House(folder)
    house.lines("one.jsonl", [text[:120] for text in material(count=400).texts])  # short, so that they are scored soon
    house.lines("two.jsonl", [text_of(1_000 + number, 20 + 2 * number) for number in range(60)])
    house.write(RECIPE)
    house.run()
    return house
