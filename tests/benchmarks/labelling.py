"""Seconds and memory of 10,000 labels by `tamis run`, bought from the loopback server of the tests in a process beside.

One by one, with 16 requests in flight, and in Message Batches. The server answers at once, so what is measured is our
own work: sampling, requests, the ledger with its fsyncs, reading answers, the report. Two cores: the server has one of
them to itself most of the time. Linux only, for the memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core.files.parquet.shards import write_table
from tests.benchmarks.corpus import documents_of
from tests.benchmarks.growth import watched
from tests.benchmarks.machine import ROOT

DOCUMENTS = 10_000
WAYS = {"single": "concurrency: 16", "batches": "batches: true"}
SERVER = """
import sys
from tests.claude_server import claude_server
with claude_server() as server:
    print(server.base_url, flush=True)
    sys.stdin.read()
"""
RECIPE = f"""name: labelling
seed: 17
sources:
  docs: {{read: parquet, path: documents.parquet, id: id, metadata: none}}
datasets:
  labelled:
    from: docs
    steps:
      - label: {{teacher: claude, documents: {DOCUMENTS}, second_reading: 0, twins: 0, max_usd: 100, HOW}}
"""


def measure_labelling(folder: Path, *, cores: Set[int]) -> dict[str, Any]:
    """Return seconds and peak memory of each way to buy the labels; leaves no file behind."""
    if not Path("/proc/self/statm").exists():
        return {"absent": "needs /proc"}
    one, home = set(os.sched_getaffinity(0)), folder / "labelling"
    home.mkdir()
    os.sched_setaffinity(0, set(cores))
    try:
        documents = pa.concat_tables(list(documents_of("docs"))).slice(0, DOCUMENTS)
        write_table(home / "documents.parquet", documents.select(["id", "text"]))
        ways = {way: _bought(home, how) for way, how in WAYS.items()}
    finally:
        os.sched_setaffinity(0, one)
        shutil.rmtree(home, ignore_errors=True)
    return {"documents": len(documents), "recipe": RECIPE, "ways": ways}


def _bought(home: Path, how: str) -> dict[str, Any]:
    (home / "labelling.yaml").write_text(RECIPE.replace("HOW", how), encoding="utf-8")
    with _server() as base_url:
        asked = {"ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "none", "NO_PROXY": "127.0.0.1"}
        found = watched(home, recipe="labelling.yaml", workers=1, environment=asked)
    shutil.rmtree(home / "workspace")
    return found


@contextmanager
def _server() -> Iterator[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
