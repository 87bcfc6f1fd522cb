"""Time that grows with the text, told without the seconds of one machine: by a quarter of it, and by plain Python.

Quadratic work on a quarter of a megabyte takes ten seconds and more, so both bounds are wide. What counts is the
processor's time of this process, whatever else runs beside it, and a work that seems slow is measured once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

MEGABYTE = 1_000_000
SIZE = 250_000  # of a text: steps take milliseconds for it, squares seconds
GROWTH = 8  # times as long, at most, for four times the size
LOOPS = 100  # at most: what plain Python takes to look at as many characters so often, 3 seconds a megabyte
QUICK = 16  # loops, an eighth of a second; less is not compared with a quarter, since it is mostly noise


def slowness(work: Callable[[int], object], *, size: int = SIZE, loops: float = LOOPS) -> str:
    """Return what speaks against linear time in `work`, which is given a size, or nothing."""
    work(size // 1000)  # compiles
    told = ""
    for _ in range(2):
        whole = seconds_of(lambda: work(size))
        if whole <= QUICK * loop_seconds(size):
            return ""
        quarter = seconds_of(lambda: work(size // 4))
        allowed = loops * loop_seconds(size)
        if whole <= min(GROWTH * quarter, allowed):
            return ""
        told = f"{whole:.2f} s, and {quarter:.2f} s for a quarter; at most {GROWTH} times that and {allowed:.2f} s"
    return told


def seconds_of(work: Callable[[], object]) -> float:
    """Return the processor time that this process spends on some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def loop_seconds(size: int) -> float:
    """Return how long plain Python takes here to look at so many characters."""
    return size / MEGABYTE * _megabyte_seconds()


@cache
def _megabyte_seconds() -> float:
    text = "x" * MEGABYTE
    return min(seconds_of(lambda: sum(character == "y" for character in text)) for _ in range(3))
