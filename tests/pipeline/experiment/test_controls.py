"""What must not be promoted, judged by real proxies of the smallest tier on text that every machine has.

A known-bad mixture is a control: a gate that promotes it measures nothing. Three mixtures of the same documents: as
they are, with a fifth of the words shuffled, and with a fifth of the text repeated ten times.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.verdict.gate import GateRule, decide
from eval.verdict.paired import compare
from pipeline.core.files.parquet.shards import read_table
from pipeline.experiment.compare import DOCUMENTS
from pipeline.experiment.scores import bits_on
from pipeline.plan.lanes import LaneName
from tests.pipeline.experiment.small_experiment import certificate_of
from tests.pipeline.house import House
from tests.samples import proof

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a minute on two cores that do nothing else

SOURCES = """
name: controls
seed: 5
sources:
  docs: {read: installed_docs, packages: [numpy, pyarrow]}
  other: {read: installed_docs, packages: [networkx]}
datasets:
  all: {from: docs, steps: [exact_dedup]}
  held: {from: other, steps: [exact_dedup]}
"""
RECIPE = """
name: controls
seed: 5
sources:
  clean_pages: {read: jsonl, path: DIR/clean.jsonl}
  shuffled_pages: {read: jsonl, path: DIR/shuffled.jsonl}
  repeated_pages: {read: jsonl, path: DIR/repeated.jsonl}
  held_pages: {read: jsonl, path: DIR/held.jsonl}
datasets:
  held: {from: held_pages}
  clean: {from: clean_pages}
  shuffled: {from: shuffled_pages}
  repeated: {from: repeated_pages}
mixtures:
  clean: {weights: {clean: 1}, max_epochs: 16}
  shuffled: {weights: {shuffled: 1}, max_epochs: 16}
  repeated: {weights: {repeated: 1}, max_epochs: 16}
proxy: {tier: t0, tokens: 250k, seeds: 4}
gate: {candidate: shuffled, baseline: clean, on: [held]}
"""
# To train on about what a proxy reads, as a pool far larger hides what is repeated; to score, which costs each proxy
# half as much as its training by a megabyte, as in eval/LOG.md and `make test-whole`.
BYTES = {"all": 1_000_000, "held": proof(200_000, whole=1_000_000)}


def texts_of(folder: Path) -> dict[str, list[str]]:
    """Return about a million bytes of training text, and held-out text of other packages."""
    house = House(folder)
    house.write(SOURCES)
    house.run()
    draw, found = random.Random(5), {}
    for name, size in BYTES.items():
        texts = [row["text"] for row in house.documents(name)]
        draw.shuffle(texts)
        ends = np.cumsum([len(text.encode()) for text in texts])
        found[name] = texts[: int(np.searchsorted(ends, size))]
    return found


def shuffled(text: str, draw: random.Random) -> str:
    """Return the text with a fifth of its words dealt out anew among their places."""
    words = text.split(" ")
    places = draw.sample(range(len(words)), len(words) // 5)
    for place, word in zip(places, [words[place] for place in draw.sample(places, len(places))], strict=True):
        words[place] = word
    return " ".join(words)


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Return a house with the three texts, in which the proxies of the clean one are trained once."""
    texts, house = texts_of(tmp_path_factory.mktemp("texts")), House(tmp_path_factory.mktemp("controls"))
    clean, draw, fifth = texts["all"], random.Random(7), len(texts["all"]) // 5
    house.lines("clean.jsonl", clean)
    house.lines("held.jsonl", texts["held"])
    house.lines("shuffled.jsonl", [shuffled(text, draw) for text in clean])
    house.lines("repeated.jsonl", [*clean[:fifth] * 10, *clean[fifth:]])
    return house


def judged(house: House, *, candidate: str) -> dict[str, Any]:
    """Return the certificate of a worse mixture against the clean one."""
    house.write(RECIPE.replace("candidate: shuffled", f"candidate: {candidate}"))
    return certificate_of(house.run(threads=2))


def told(certificate: dict[str, Any]) -> str:
    gain = certificate["comparisons"][0]["overall"]
    return f"gain {gain['gain']:.4f} ({gain['low']:.4f} to {gain['high']:.4f}), deviation {gain['lane_sd']:.4f}"


def test_a_fifth_of_the_words_shuffled_is_rejected(controls: House):
    found = judged(controls, candidate="shuffled")

    assert found["verdict"]["outcome"] == "reject", told(found)


def test_a_fifth_of_the_text_repeated_ten_times_is_rejected(controls: House):
    """Of a pool that a proxy reads about once; seven tenths of what it reads are repeats then."""
    found = judged(controls, candidate="repeated")

    assert found["verdict"]["outcome"] == "reject", told(found)


@pytest.mark.parametrize("mixture", ["clean", "shuffled", "repeated"])
def test_of_proxies_of_one_mixture_no_half_is_promoted_over_the_other(controls: House, mixture: str):
    """A/A: every way to deal four proxies to two arms."""
    controls.write(RECIPE)
    experiment = controls.run(threads=2).experiment
    assert experiment is not None and experiment.comparison is not None
    documents = read_table(experiment.comparison.folder / DOCUMENTS)
    bits = np.stack([bits_on(experiment, LaneName(mixture, 1.0, seed), ["held"]) for seed in range(4)])

    outcomes = []
    for half in itertools.combinations(range(4), 2):
        rest = [seed for seed in range(4) if seed not in half]
        comparison = compare(
            bits_candidate=bits[[*half]],
            bits_baseline=bits[rest],
            num_bytes=documents.column("num_bytes").to_numpy(),
            domain=documents.column("domain").to_pylist(),
            cluster=documents.column("cluster").to_numpy(),
            replicates=0,
        )
        outcomes.append(decide([comparison], rule=GateRule(min_gain=0.0, min_seeds=2)).outcome)

    assert len(outcomes) == 6 and outcomes.count("promote") <= 1  # one of the three splits may by chance
