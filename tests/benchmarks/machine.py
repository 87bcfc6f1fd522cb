"""What a figure was measured on, without any name that says where; and how a process is held to one core."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = (
    "ARROW_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM",
)  # fmt: skip
PACKAGES = (
    "datatrove", "numba", "numpy", "polars", "py3langid", "pyarrow", "rensa", "sentencepiece", "spacy", "torch",
    "xxhash",
)  # fmt: skip


def hold_to_one_core() -> set[int]:
    """Pin this process to its last core and every library to one thread; return the cores it had. Call it first."""
    for name in ONE_THREAD:
        os.environ[name] = "false" if name == "TOKENIZERS_PARALLELISM" else "1"
    if not hasattr(os, "sched_setaffinity"):
        return set()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    return cores


def tamis(*arguments: str) -> list[str]:
    """Return the command that runs a verb of this tree in a process of its own."""
    return [sys.executable, "-c", "from pipeline.cli import main; main()", *arguments]


def surroundings(*, one_thread: bool) -> dict[str, str]:
    """Return the environment of such a process: this tree first, byte code kept, libraries on one thread or free."""
    left_out = {"PYTHONDONTWRITEBYTECODE"} | (set() if one_thread else set(ONE_THREAD))
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    return kept | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}


def hold_libraries_to_one_thread() -> None:
    """Set what the environment does not reach."""
    import pyarrow as pa
    import torch

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    torch.set_num_threads(1)


def installed(package: str) -> str | None:
    """Return a package's version, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Return processor, cores, memory and versions."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "pinned": hasattr(os, "sched_setaffinity"),
        "python": platform.python_version(),
        "system": platform.system(),
        "vectors": "avx512" if "avx512f" in _cpu_field("flags").split() else platform.machine(),
        "versions": {name: found for name in PACKAGES if (found := installed(name)) is not None},
    }


def load() -> float:
    """Return how many processes wanted a core in the last minute."""
    return round(os.getloadavg()[0], 2)


def _cpu() -> str:
    name = _cpu_field("model name")
    family, model = _cpu_field("cpu family"), _cpu_field("model")
    return f"{name} (family {family}, model {model})" if name else platform.processor() or platform.machine()


def _cpu_field(key: str) -> str:
    """Return one field of the first processor, empty where the system does not tell."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in fields if name.strip() == key), "")
