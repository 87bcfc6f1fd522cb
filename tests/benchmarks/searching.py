"""Experiments an hour of a search on two cores, and what it is worth that a card's threshold measures nothing again.

Batches of eight cards, each another threshold, on the text of `recipes/research.yaml`: the seconds until their datasets
are there, in the workspace in which the incumbent was measured and in an empty one, and the seconds of tokenizing,
training and scoring their proxies. Each repeat has thresholds that none had before.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Set
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.engine.run import Run
from pipeline.experiment.build import build_experiment
from pipeline.plan.make import make_plan
from pipeline.plan.sweep import FIRST_SEED
from pipeline.recipe.edits import Edit
from pipeline.recipe.load import load_recipe
from pipeline.research.search.bench import Asked, Bench
from pipeline.store.workspace import Workspace
from tests.benchmarks.clock import rounded
from tests.conftest import ROOT

RECIPE = ROOT / "recipes" / "research.yaml"
PLACE = "datasets.tables.gopher_quality.min_words"
CARDS = 8
REPEATS = 3


def measure_research(folder: Path, *, cores: Set[int], repeats: int = REPEATS) -> dict[str, Any]:
    """Return seconds a batch by part, and experiments an hour; leaves no file behind."""
    home, workers = folder / "research", max(1, len(cores))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    executor = Local(workers=workers)
    try:
        bench = Bench(load_recipe(RECIPE), Workspace(home / "used"), lambda: executor, Silent(), workers=workers)
        bench.run([Asked("even", (), (FIRST_SEED,))])
        found: dict[str, list[float]] = {"used": [], "empty": [], "proxies": []}
        for repeat in range(repeats):
            asked = [_card(11 + repeat * CARDS + number) for number in range(CARDS)]
            used = _started(bench, asked)
            found["used"].append(_timed(used.execute))
            found["proxies"].append(_timed(lambda used=used: build_experiment(used)))
            bench.workspace = Workspace(home / f"empty-{repeat}")
            found["empty"].append(_timed(_started(bench, asked).execute))
            bench.workspace = Workspace(home / "used")
    finally:
        executor.close()
        os.sched_setaffinity(0, before)
        shutil.rmtree(home, ignore_errors=True)
    seconds = {name: [rounded(each) for each in times] for name, times in found.items()}
    whole = [a + b for a, b in zip(found["used"], found["proxies"], strict=True)]
    return {
        "cards": CARDS,
        "cores": workers,
        "seconds": seconds,
        "experiments_an_hour": rounded(3600 * CARDS / median(whole)),
        "ratio_of_data": rounded(median(e / u for e, u in zip(found["empty"], found["used"], strict=True))),
    }


def _card(value: int) -> Asked:
    return Asked(f"words{value}", (Edit("set", PLACE, value),), (FIRST_SEED,))


def _started(bench: Bench, asked: list[Asked]) -> Run:
    plan = make_plan(load_recipe(bench.trial_recipe(asked)), bench.workspace)
    return Run(
        plan=plan, executor=bench.executor(), progress=Silent(), threads=bench.workers, workers=bench.workers,
        memory_bytes=bench.memory_bytes,
    )  # fmt: skip


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
