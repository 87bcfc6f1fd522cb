"""A recipe with two mixtures and a gate, on a few thousand tokens; and what its certificate says."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from pipeline.plan.graph import Plan
from tests.pipeline.house import House

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


def pages(seed: int) -> list[str]:
    draw = random.Random(seed)
    return [
        " ".join(draw.choice(["water", "rain", "stone", "river", "cloud", "the", "of", "falls"]) for _ in range(120))
        for _ in range(60)
    ]


def furnished(folder: Path) -> House:
    house = House(folder)
    house.lines("one.jsonl", pages(1))
    house.lines("two.jsonl", pages(2))
    house.write(RECIPE + ONE_ORDER)
    return house


def certificate_of(plan: Plan) -> dict[str, Any]:
    assert plan.experiment is not None and plan.experiment.certificate is not None
    return json.loads((plan.experiment.certificate.folder / "certificate.json").read_text())
