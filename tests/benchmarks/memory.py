"""Peak memory and time of `winnow run` on 0.25 and 1 GB of text: filters and both deduplications, as a user runs them.

The text is the quickstart's, repeated; every copy but the first has 3 % of its bytes drawn and replaced where they are
lower-case letters, so that copies of a document share few 5-word runs and pass for documents of their own. All
processes of the run are looked at ten times a second in /proc: the sum counts a page that several share once (PSS),
the largest process is the kernel's own high-water mark (VmHWM). Linux only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core import rng
from pipeline.core.shards import write_table
from pipeline.core.text import Batch
from tests.benchmarks.clock import rounded
from tests.benchmarks.corpus import SEED, documents_of
from tests.benchmarks.machine import ONE_THREAD

ROOT = Path(__file__).resolve().parents[2]
SIZES = (250_000_000, 1_000_000_000)  # bytes of text
CHANGED = 0.03  # of the bytes drawn
WORKERS = 2
POLL_SECONDS = 0.1
RECIPE = """name: memory
seed: 17
sources:
  web: {read: parquet, path: documents/*.parquet, id: id, metadata: none}
datasets:
  clean:
    from: web
    steps:
      - language
      - gopher_quality
      - gopher_repetition
      - c4_quality: {terminal_punctuation: false}
      - fineweb_quality
      - exact_dedup
      - minhash_dedup
"""


def measure_memory(folder: Path, *, cores: Set[int]) -> dict[str, Any]:
    """Return the runs at each size and how time and memory grow between them; leaves no file behind."""
    if not Path("/proc/self/statm").exists():
        return {"absent": "needs /proc"}
    if cores:
        os.sched_setaffinity(0, set(cores))
    originals = pa.concat_tables(list(documents_of("docs"))).combine_chunks()
    runs = [_run_at(size, originals, folder / f"memory-{size}") for size in SIZES]
    small, large = runs[0], runs[-1]
    times = large["size_bytes"] / small["size_bytes"]
    growth = {
        "memory_ratio": rounded(large["peak_sum_gb"] / small["peak_sum_gb"]),
        "time_ratio": rounded(large["seconds"] / small["seconds"]),
        "times": rounded(times),
    }
    return {"growth": growth, "recipe": RECIPE, "runs": runs, "workers": WORKERS}


def _run_at(size: int, originals: pa.Table, folder: Path) -> dict[str, Any]:
    (folder / "documents").mkdir(parents=True)
    try:
        num_documents, size_bytes, file_bytes = _generate(originals, folder / "documents", size=size)
        (folder / "memory.yaml").write_text(RECIPE, encoding="utf-8")
        found = _watched(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found |= {"documents": num_documents, "parquet_bytes": file_bytes, "size_bytes": size_bytes}
    print(f"memory at {size_bytes / 1e9:.2f} GB: {found}", file=sys.stderr, flush=True)
    return found


def _generate(originals: pa.Table, folder: Path, *, size: int) -> tuple[int, int, int]:
    """Write copies until `size` bytes of text stand there; return documents, bytes of text, bytes of parquet."""
    base = Batch.from_table(originals)
    size_of_copy = int(base.offsets[-1])
    num_documents = size_bytes = file_bytes = 0
    for copy in range(-(-size // size_of_copy)):
        path = folder / f"copy-{copy:03d}.parquet"
        write_table(path, _copy(base, copy))
        num_documents += len(base)
        size_bytes += size_of_copy
        file_bytes += path.stat().st_size
    return num_documents, size_bytes, file_bytes


def _copy(base: Batch, copy: int) -> pa.Table:
    """Return the documents with ids of their own and, but for the first copy, a few other letters."""
    draw = rng.generator(SEED, "benchmarks", "copy", copy)
    data = base.data[: base.offsets[-1]].copy()
    if copy:
        places = draw.integers(0, len(data), int(CHANGED * len(data)))
        places = places[(data[places] >= ord("a")) & (data[places] <= ord("z"))]
        data[places] = draw.integers(ord("a"), ord("z") + 1, len(places), dtype=np.uint8)
    text = pa.LargeStringArray.from_buffers(len(base), pa.py_buffer(base.offsets), pa.py_buffer(data))
    return pa.table({"id": [f"{id}#{copy}" for id in base.ids.to_pylist()], "text": text})


def _watched(folder: Path) -> dict[str, Any]:
    """Run the recipe in its own processes; return seconds and peaks."""
    environment = {key: value for key, value in os.environ.items() if key not in ONE_THREAD}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [
        sys.executable, "-c", "from pipeline.cli import main; main()", "run", "memory.yaml", "--workers", str(WORKERS)
    ]  # fmt: skip
    started = time.perf_counter()
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        peak_sum, peaks = 0, dict[int, int]()
        while process.poll() is None:
            held = {pid: _memory(pid) for pid in _family(process.pid)}
            peak_sum = max(peak_sum, sum(now for now, _ in held.values()))
            peaks |= {pid: max(peak, peaks.get(pid, 0)) for pid, (_, peak) in held.items()}
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - started
        log.seek(0)
        if process.returncode != 0:
            raise RuntimeError(f"winnow run ended with {process.returncode}:\n{log.read()[-3000:]}")
    return {
        "peak_process_gb": rounded(max(peaks.values()) / 1e9),
        "peak_sum_gb": rounded(peak_sum / 1e9),
        "processes": len(peaks),
        "seconds": rounded(seconds),
    }


def _family(pid: int) -> list[int]:
    """Return a process and all that it started."""
    family, waiting = [], [pid]
    while waiting:
        family.append(waiting.pop())
        for path in Path(f"/proc/{family[-1]}/task").glob("*/children"):
            try:
                waiting.extend(int(child) for child in path.read_text().split())
            except OSError:  # it has just ended
                continue
    return family


def _memory(pid: int) -> tuple[int, int]:
    """Return a process's share of the memory now and the most that it ever held, in bytes; 0 once it has ended."""
    try:
        now, ever = (Path(f"/proc/{pid}/{name}").read_text() for name in ("smaps_rollup", "status"))
    except OSError:
        return 0, 0
    return _kilobytes(now, "Pss:") * 1024, _kilobytes(ever, "VmHWM:") * 1024


def _kilobytes(text: str, key: str) -> int:
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(key)), 0)
