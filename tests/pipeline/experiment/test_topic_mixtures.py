"""A dataset that is split by topic, its topics mixed and their weights searched."""

from __future__ import annotations

import random
from pathlib import Path

from pipeline.plan.sweep import found_in
from tests.pipeline.house import House

TOPICS = (
    "water rain stone river cloud falls",
    "loop array index class value error",
    "bread salt oven flour sugar spoon",
)
RECIPE = """
name: by-topic
seed: 2
sources:
  pages: {read: jsonl, path: DIR/pages.jsonl}
  other: {read: jsonl, path: DIR/other.jsonl}
datasets:
  held: {from: other}
  docs: {from: pages, by_topic: {count: 3, dimensions: 4}}
mixtures: {even: {weights: {docs: 1}, max_epochs: 8}}
proxy: {tokens: 16k, seeds: 3, held_out_bytes: 2k}
sweep: {around: even, on: {held: 1}, proxies: 8, rounds: 1, anchors: 2, stops: [0.5]}
"""


def pages(topic: int, count: int, *, seed: int) -> list[str]:
    draw, words = random.Random(seed), TOPICS[topic].split()
    return [" ".join(draw.choice(words) for _ in range(100)) for _ in range(count)]


def test_a_search_over_the_topics_of_one_dataset_finds_the_one_that_is_held_out(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("pages.jsonl", [text for topic in range(3) for text in pages(topic, 60, seed=topic)])
    house.lines("other.jsonl", pages(1, 20, seed=9))
    house.write(RECIPE)

    plan = house.run()

    texts = {name: {row["text"] for row in house.documents(name)} for name in ("docs_0", "docs_1", "docs_2")}
    assert plan.datasets["docs_0"].steps[0].node is plan.datasets["docs_2"].steps[0].node  # measured once
    weights = found_in(plan.experiment.rounds[-1].node)["optimum"]["weights"]
    wanted = max(weights, key=lambda name: weights[name])
    assert weights[wanted] > 0.8 and texts[wanted] == set(pages(1, 60, seed=1))
