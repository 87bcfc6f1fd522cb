"""A search of seconds: two kinds of pages, four thousand tokens for each proxy, three settings that may move."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.recipe.load import load_recipe
from pipeline.research.night.night import Night
from pipeline.research.proposers.ideas import Adviser
from pipeline.research.record.clock import Clock
from pipeline.research.record.ledger import Ledger
from pipeline.research.search.bench import Bench
from pipeline.research.search.search import Search
from tests.pipeline.house import House

RECIPE = """
name: small
sources:
  plain: {read: jsonl, path: DIR/plain.jsonl}
  mixed: {read: jsonl, path: DIR/mixed.jsonl}
  open: {read: jsonl, path: DIR/open.jsonl}
  shut: {read: jsonl, path: DIR/shut.jsonl}
datasets:
  looked: {from: open, steps: [exact_dedup]}
  judged: {from: shut, steps: [exact_dedup]}
  rivers: {from: plain, steps: [gopher_quality: {min_words: 30}, exact_dedup]}
  markets: {from: mixed, steps: [exact_dedup]}
mixtures: {even: {weights: {rivers: 1, markets: 1}, max_epochs: 50}}
proxy: {tokens: 4k, seeds: 6, held_out_bytes: 30k}
research:
  incumbent: even
  on: {looked: 1}
  space:
    weights: {least: {markets: 0.05}}
    set: {datasets.rivers.gopher_quality.min_words: {low: 10, high: 60}}
    remove_step: [markets.exact_dedup]
  budget: {experiments: 10, hours: 1}
  batch: 4
  person: []
gate: {candidate: head, baseline: even, on: [judged], min_gain: 0.004, confidence: 0.6}
"""
FAR = RECIPE.replace("markets: 1}, max", "markets: 4}, max")  # from the best, so that there is a gain to claim
RIVERS = ("water", "rain", "stone", "river", "cloud", "the", "of", "falls", "slowly", "into", "valley", "green")
MARKETS = ("price", "market", "share", "trade", "bank", "the", "of", "rises", "quickly", "above", "value", "money")


def pages(words: Sequence[str], *, seed: int, count: int = 60, length: int = 120) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choice(words) for _ in range(draw.randint(length // 4, length))) for _ in range(count)]


def furnished(folder: Path, recipe: str = RECIPE) -> House:
    folder.mkdir(exist_ok=True)
    house = House(folder)
    house.lines("plain.jsonl", pages(RIVERS, seed=1))
    house.lines("mixed.jsonl", pages(MARKETS, seed=2))
    house.lines("open.jsonl", pages(RIVERS, seed=3))
    house.lines("shut.jsonl", pages(RIVERS, seed=4))
    house.write(recipe)
    return house


def verdict_of(claim: Mapping[str, Any]) -> dict[str, Any]:
    """Stand in for the gate, which has tests of its own: a search must write down whatever it says."""
    return {"outcome": "promote", "sentence": f"Promote: {claim['gate']['candidate']} is better.", "report": ""}


def night_of(
    house: House,
    *,
    judge: Callable[[Mapping[str, Any]], Mapping[str, Any]] = verdict_of,
    hours: float = 1.0,
    advisers: Sequence[Adviser] = (),
) -> Night:
    """Return a night of a house's recipe, which goes on where its ledger ends."""
    recipe = load_recipe(house.recipe)
    folder = house.workspace.root / "research" / recipe.name
    executor = Local(workers=1)
    bench = Bench(recipe, house.workspace, lambda: executor, Silent())
    return Night(Search(recipe, bench, Ledger(folder), Silent()), Clock.of(folder), judge, hours, advisers)


def ledger_of(house: House) -> Path:
    """Return the file of a search's events."""
    return house.workspace.root / "research" / "small" / "ledger.jsonl"
