"""A house with a gate whose proxies were trained for one step, for tests of what is done with finished proxies."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.house import House
from tests.pipeline.queries.export.exporting import text_of

RECIPE = """name: small
seed: 3
sources: {one: {read: jsonl, path: DIR/one.jsonl}, two: {read: jsonl, path: DIR/two.jsonl}}
datasets: {held: {from: one}, raw: {from: two}, good: {from: two, steps: [exact_dedup]}}
mixtures: {raw: {weights: {raw: 1}}, both: {weights: {raw: 1, good: 3}}}
proxy: {tokens: 4k, seeds: 3, held_out_bytes: 2k}
gate: {candidate: both, baseline: raw, on: [held]}
"""


def trained(folder: Path) -> House:
    """Build everything: six proxies, `raw` and `both` with seeds 0 to 2, and their scores on `held`."""
    house = House(folder)
    house.lines("one.jsonl", [text_of(number, 60) for number in range(40)])
    house.lines("two.jsonl", [text_of(1_000 + number, 120) for number in range(60)])
    house.write(RECIPE)
    house.run()
    return house
