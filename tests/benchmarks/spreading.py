"""What a task costs on a Ray cluster of this machine beside the plain pool, and what a second worker is worth.

The plain pool with one worker is this process itself.

Empty tasks give the overhead of one; tasks that keep a core busy for TASK_SECONDS give tasks a second with one worker
and with two. Each executor is started before the clock is, and has every worker used once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Set
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.engine.executors import Executor, Local
from pipeline.engine.on_ray import OnRay
from tests.benchmarks.clock import rounded

EMPTY_TASKS = 300
BUSY_TASKS = 20
TASK_SECONDS = 0.05  # of processor time
REPEATS = 3


def measure_ray(folder: Path, *, cores: Set[int], repeats: int = REPEATS) -> dict[str, Any]:
    """Return milliseconds an empty task, and busy tasks a second, by executor and number of workers."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        found: dict[str, Any] = {}
        for workers in (1, 2):
            found[f"ray, {workers}"] = _measured(
                partial(OnRay, address=None, folder=folder, workers=workers), repeats=repeats
            )
            found[f"local, {workers}"] = _measured(partial(Local, workers=workers), repeats=repeats)
    finally:
        os.sched_setaffinity(0, before)
    return {"task_seconds": TASK_SECONDS, "cores": len(cores), "by_executor": found}


def _measured(make: Callable[[], Executor], *, repeats: int) -> dict[str, Any]:
    started = time.perf_counter()
    executor = make()
    try:
        executor.map(_busy, range(8), label="warm")
        warm = time.perf_counter() - started
        empty = [_timed(executor, _empty, EMPTY_TASKS) for _ in range(repeats)]
        busy = [_timed(executor, _busy, BUSY_TASKS) for _ in range(repeats)]
    finally:
        executor.close()
    return {
        "start_seconds": rounded(warm),
        "milliseconds_a_task": rounded(1000 * median(empty) / EMPTY_TASKS),
        "busy_tasks_a_second": rounded(BUSY_TASKS / median(busy)),
    }


def _timed(executor: Executor, function: Callable[[int], None], count: int) -> float:
    started = time.perf_counter()
    executor.map(function, range(count), label="bench")
    return time.perf_counter() - started


def _empty(_: int) -> None:
    return None


def _busy(_: int) -> None:
    end = time.process_time() + TASK_SECONDS
    while time.process_time() < end:
        pass
