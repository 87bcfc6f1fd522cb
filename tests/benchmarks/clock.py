"""Work to do, timed: every repeat of ours stands beside one of the rival's, so that both meet the same machine.

A measurement is the median of at least five repeats with the smallest and the largest beside it. The first call is
kept apart: it compiles kernels and fills caches. Seconds are those of the wall clock; processor seconds tell how much
of the core the measurement had, which is what to look at before believing a figure from a busy machine.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

MIN_SECONDS = 0.1  # a repeat that is shorter is run several times over


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Work:
    """Something that can be done again and again over the same text; `before` is not timed."""

    name: str
    run: Callable[[], object]
    num_documents: int
    size_bytes: int
    num_tokens: int = 0
    before: Callable[[], object] = _nothing


@dataclass(slots=True)
class Timing:
    """The repeats of one work."""

    work: Work
    first_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    def rates(self, amount: float) -> dict[str, float]:
        """Return amount per second: that of the median repeat, of the slowest and of the fastest."""
        return {
            "median": rounded(amount / median(self.seconds)),
            "min": rounded(amount / max(self.seconds)),
            "max": rounded(amount / min(self.seconds)),
        }

    def as_plain(self) -> dict[str, Any]:
        """Return everything that was measured, for the result file."""
        work = self.work
        plain: dict[str, Any] = {
            "cpu_seconds": [rounded(value) for value in self.cpu_seconds],
            "documents": work.num_documents,
            "first_call_seconds": rounded(self.first_seconds),
            "seconds": [rounded(value) for value in self.seconds],
            "size_bytes": work.size_bytes,
        }
        if work.num_tokens:
            plain |= {"tokens": work.num_tokens, "tokens_per_second": self.rates(work.num_tokens)}
        if work.size_bytes:
            plain |= {"mb_per_second": self.rates(work.size_bytes / 1e6)}
        return plain | {"documents_per_second": self.rates(work.num_documents)}


def interleaved(works: Sequence[Work], *, repeats: int) -> list[Timing]:
    """Run all works once, then `repeats` times in turn: A B A B, never A A B B."""
    timings = [Timing(work=work) for work in works]
    loops = []
    for timing in timings:
        timing.first_seconds, _ = _timed(timing.work, loops=1)
        again, _ = _timed(timing.work, loops=1) if timing.first_seconds < 5 else (timing.first_seconds, 0.0)
        loops.append(math.ceil(MIN_SECONDS / max(again, 1e-4)))
    for _ in range(repeats):
        for timing, times in zip(timings, loops, strict=True):
            seconds, cpu_seconds = _timed(timing.work, loops=times)
            timing.seconds.append(seconds)
            timing.cpu_seconds.append(cpu_seconds)
    return timings


def _timed(work: Work, *, loops: int) -> tuple[float, float]:
    """Return wall and processor seconds of one run."""
    gc.collect()
    wall = cpu = 0.0
    for _ in range(loops):
        work.before()
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        work.run()
        wall += time.perf_counter() - wall_start
        cpu += time.process_time() - cpu_start
    return wall / loops, cpu / loops


def rounded(value: float) -> float:
    """Keep four significant digits."""
    return float(f"{value:.4g}")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, smallest and largest."""
    return {"median": rounded(median(values)), "min": rounded(min(values)), "max": rounded(max(values))}
