"""How a stack of lanes is spread over the machine: precision, lane groups, one thread per group.

On a CPU the lanes run in groups of one, each group on one thread with single-threaded kernels. Threads then scale
with the lanes (2 cores: 2 x), one lane's activations stay in the cache, and the thread count cannot change a bit
of the result, because no sum is ever split between threads. On CUDA all lanes form one group.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import torch

Precision = Literal["auto", "bf16", "fp32"]


def compute_dtype(precision: Precision, *, device: str) -> torch.dtype:
    """Return the type of the matrix products; `auto` is bfloat16 where the device multiplies it natively."""
    if precision == "auto":
        precision = "bf16" if device != "cpu" or _cpu_multiplies_bf16() else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _cpu_multiplies_bf16() -> bool:
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every torch 2
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def described(device: str) -> dict[str, str]:
    """Return the processor, its vector instructions as torch uses them, and the versions that round numbers."""
    about = {
        "processor": _processor(),
        "vectors": str(torch.backends.cpu.get_cpu_capability()),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    if torch.device(device).type == "cuda":
        about["card"] = torch.cuda.get_device_name(device)
    return about


def _processor() -> str:
    """Return the processor's name as the system knows it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def lane_groups(num_lanes: int, *, device: str, lanes_at_once: int | None) -> list[slice]:
    """Return the lanes that run as one stack; by default one by one on a CPU, all together elsewhere."""
    if lanes_at_once is None:
        lanes_at_once = 1 if device == "cpu" else num_lanes
    return [slice(start, min(start + lanes_at_once, num_lanes)) for start in range(0, num_lanes, lanes_at_once)]


@contextmanager
def spread(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of threads, each with single-threaded kernels."""
    before = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)
