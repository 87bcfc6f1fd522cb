"""A recipe for many machines, with a step that takes its time; and a wait for its files."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.pipeline.house import House
from tests.process import Tamis

SLOW = '''
import time
import pyarrow as pa
from tamis import Measured, MeasuringStep, Signal

class Slow(MeasuringStep):
    """Takes its time."""
    name = "slow"
    signals = (Signal("size", pa.int64(), "characters", "Length."),)
    def measure(self, batch):
        time.sleep(0.3)
        return Measured({"size": [len(text) for text in batch.strings()]})
'''
DATASETS = """
sources: {docs: {read: jsonl, path: "docs-*.jsonl", id: id}, other: {read: jsonl, path: held.jsonl, id: id}}
datasets:
  raw: {from: docs, steps: [unique_ids, slow, exact_dedup]}
  clean: {from: raw, steps: [length: {min_words: 8}, line_dedup, minhash_dedup]}
  held: {from: other}
"""
PROXIES = """
mixtures: {raw: {weights: {raw: 1}}, clean: {weights: {clean: 1}}}
proxy: {tokens: 4k, seeds: 3, held_out_bytes: 1k}
gate: {candidate: clean, baseline: raw, on: [held]}
"""
WORDS = ("water", "rain", "stone", "river", "cloud", "the", "of", "falls", "on", "a", "hill", "and", "stays")


def furnished(folder: Path, *, proxies: bool) -> Tamis:
    """Write the recipe, its step and its documents, some of which come twice."""
    folder.mkdir()
    house = House(folder)
    for number in range(12):
        found = pages(40, start=number * 40 % 300)
        rows = [{"id": f"d{number}-{row}", "text": text} for row, text in enumerate(found)]
        house.lines(f"docs-{number:02d}.jsonl", rows)
    house.lines("held.jsonl", [{"id": f"h{row}", "text": text} for row, text in enumerate(pages(30, start=5000))])
    (folder / "slow.py").write_text(SLOW, encoding="utf-8")
    (folder / "recipe.yaml").write_text("name: far" + DATASETS + (PROXIES if proxies else ""), encoding="utf-8")
    return Tamis(folder)


def pages(count: int, *, start: int) -> list[str]:
    return [
        f"page {number} begins\n"
        + " ".join(WORDS[(number * 7 + k * k * (1 + number % 5)) % len(WORDS)] for k in range(6 + number % 60))
        for number in range(start, start + count)
    ]


def wait_for(tamis: Tamis, pattern: str, *, count: int, process: subprocess.Popen[str] | None = None) -> None:
    """Wait until so many files of a pattern are there, while the process runs."""
    deadline = time.monotonic() + 200
    while len(list(tamis.workspace.glob(pattern))) < count:
        ended = process is not None and process.poll() is not None
        assert not ended and time.monotonic() < deadline, "the run could not be disturbed"
        time.sleep(0.02)
