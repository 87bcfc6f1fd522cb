"""Time and peak memory of a whole cleaning recipe by `tamis run`, at 1x, 4x and 16x the text, beside a plain copy.

The text is the quickstart's, repeated; every copy but the first has 3 % of its bytes drawn and replaced where they are
lower-case letters, so that copies of a document share few 5-word runs and pass for documents of their own. The run is
a process of its own on one core, start-up, report and fsyncs included; the largest text is run with two workers too.
All its processes are looked at ten times a second in /proc: the sum counts a page that several share once (PSS), the
largest process is the kernel's own high-water mark (VmHWM). The plain copy reads each parquet file whole and writes it
again, zstd, in this process and on the same core. Linux only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Set
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core import rng
from pipeline.core.files.shards import write_table
from pipeline.core.text.batch import Batch
from tests.benchmarks.clock import rounded
from tests.benchmarks.corpus import SEED, documents_of
from tests.benchmarks.machine import surroundings, tamis

COPIES = (3, 12, 48)  # of 29 MB of text
CHANGED = 0.03  # of the bytes drawn
WORKERS = 2  # in the last run
COPY_REPEATS = 3
POLL_SECONDS = 0.1
RECIPE = """name: growth
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


def measure_growth(folder: Path, *, cores: Set[int]) -> dict[str, Any]:
    """Return a run at each size and how time and memory grow between them; leaves no file behind."""
    if not Path("/proc/self/statm").exists():
        return {"absent": "needs /proc"}
    originals = pa.concat_tables(list(documents_of("docs"))).combine_chunks()
    runs = []
    for copies in COPIES:
        place = folder / f"growth-{copies}"
        (place / "documents").mkdir(parents=True)
        try:
            size = _generate(originals, place / "documents", copies=copies)
            (place / "growth.yaml").write_text(RECIPE, encoding="utf-8")
            size["copy_seconds"] = _copied(place / "documents", place / "copy.parquet")
            if not runs:
                _watched(place, workers=1)  # so that compiling is measured in none
                shutil.rmtree(place / "workspace")
            runs.append(_watched(place, workers=1) | size)
            if copies == COPIES[-1]:
                shutil.rmtree(place / "workspace")
                if cores:
                    os.sched_setaffinity(0, set(cores))
                runs.append(_watched(place, workers=WORKERS) | size)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return {"growth": [_grown(runs[0], run) for run in runs[1:-1]], "recipe": RECIPE, "runs": runs}


def _grown(small: dict[str, Any], large: dict[str, Any]) -> dict[str, float]:
    """Return how many times the text, the time and the memory of the small run the large one has."""
    keys = {"text": "size_bytes", "time": "seconds", "memory": "peak_sum_gb"}
    return {name: rounded(large[key] / small[key]) for name, key in keys.items()}


def _copied(folder: Path, target: Path) -> float:
    """Return the seconds that a plain copy of all files takes, the median of some repeats."""
    seconds = []
    for _ in range(COPY_REPEATS):
        started = time.perf_counter()
        for path in sorted(folder.iterdir()):
            pq.write_table(pq.ParquetFile(path).read(use_threads=False), target, compression="zstd")
        seconds.append(time.perf_counter() - started)
    target.unlink()
    return rounded(median(seconds))


def _generate(originals: pa.Table, folder: Path, *, copies: int) -> dict[str, Any]:
    """Write the copies; return documents, bytes of text and bytes of parquet."""
    base = Batch.from_table(originals)
    paths = [folder / f"copy-{copy:03d}.parquet" for copy in range(copies)]
    for copy, path in enumerate(paths):
        write_table(path, _copy(base, copy))
    return {
        "documents": copies * len(base),
        "parquet_bytes": sum(path.stat().st_size for path in paths),
        "size_bytes": copies * int(base.offsets[-1]),
    }


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


def _watched(folder: Path, *, workers: int) -> dict[str, Any]:
    """Run the recipe in processes of its own, which inherit the cores of this one; return seconds and peaks."""
    command = tamis("run", "growth.yaml", "--workers", str(workers))
    environment = surroundings(one_thread=workers == 1)
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
            raise RuntimeError(f"tamis run ended with {process.returncode}:\n{log.read()[-3000:]}")
    found = {
        "peak_process_gb": rounded(max(peaks.values()) / 1e9),
        "peak_sum_gb": rounded(peak_sum / 1e9),
        "processes": len(peaks),
        "seconds": rounded(seconds),
        "workers": workers,
    }
    print(f"{folder.name}: {found}", file=sys.stderr, flush=True)
    return found


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
