"""Time and peak memory of a whole cleaning recipe by `tamis run`, at 1x, 4x and 16x the text, beside a plain copy.

Of several languages and kinds, the text is a third the quickstart's, a third source code of the standard library and a
third made of the words and sentences by which spaCy shows 14 languages. Three documents, and a recipe with nothing to
do, are run for the seconds that starting takes.

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
import sysconfig
import time
from collections.abc import Collection, Iterator, Mapping, Set
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.core import rng
from pipeline.core.files.parquet.shards import write_table
from pipeline.core.text.batch import Batch
from tests.benchmarks.clock import rounded
from tests.benchmarks.corpus import SEED, documents_of
from tests.benchmarks.machine import surroundings, tamis

COPIES = (3, 12, 48)  # of 29 MB of text
KINDS_COPIES = 12  # of the text of several kinds
LANGUAGES = ("de", "fr", "es", "it", "pl", "ru", "el", "tr", "ar", "he", "hi", "ja", "zh", "ko")
START_REPEATS = 5
CHANGED = 0.03  # of the bytes drawn
WORKERS = 2  # in the last run
COPY_REPEATS = 3
POLL_SECONDS = 0.1
SOURCE = "{read: parquet, path: documents/*.parquet, id: id, metadata: none}"
RECIPE = f"""name: growth
seed: 17
sources:
  web: {SOURCE}
datasets:
  clean:
    from: web
    steps:
      - language
      - gopher_quality
      - gopher_repetition
      - c4_quality: {{terminal_punctuation: false}}
      - fineweb_quality
      - exact_dedup
      - minhash_dedup
"""


def measure_growth(folder: Path, *, cores: Set[int]) -> dict[str, Any]:
    """Return a run at each size and how time and memory grow between them; leaves no file behind."""
    if not Path("/proc/self/statm").exists():
        return {"absent": "needs /proc"}
    originals = pa.concat_tables(list(documents_of("docs"))).combine_chunks()
    one = set(os.sched_getaffinity(0))
    runs: list[dict[str, Any]] = []
    for copies in COPIES:
        both = copies == COPIES[-1]
        runs += _runs(originals, folder / f"growth-{copies}", copies=copies, cores=cores if both else (), warm=not runs)
        os.sched_setaffinity(0, one)
    kinds = _runs(_several_kinds(originals), folder / "kinds", copies=KINDS_COPIES, cores=cores, warm=False)
    os.sched_setaffinity(0, one)
    growth = [_grown(runs[0], run) for run in runs[1:-1]]
    return {"growth": growth, "kinds": kinds, "recipe": RECIPE, "runs": runs, "starts": _starts(folder / "starts")}


def _runs(originals: pa.Table, place: Path, *, copies: int, cores: Collection[int], warm: bool) -> list[dict[str, Any]]:
    """Return a run on this process's core and, if more cores are given, one with WORKERS on them."""
    (place / "documents").mkdir(parents=True)
    try:
        size = _generate(originals, place / "documents", copies=copies)
        (place / "growth.yaml").write_text(RECIPE, encoding="utf-8")
        size["copy_seconds"] = _copied(place / "documents", place / "copy.parquet")
        if warm:
            watched(place, workers=1)  # so that compiling is measured in none
            shutil.rmtree(place / "workspace")
        runs = [watched(place, workers=1) | size]
        if cores:
            shutil.rmtree(place / "workspace")
            os.sched_setaffinity(0, set(cores))
            runs.append(watched(place, workers=WORKERS) | size)
        return runs
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _several_kinds(originals: pa.Table) -> pa.Table:
    """Return as much text as `originals` has: a third of it, code, and documents in LANGUAGES, in turn."""
    third = pc.sum(pc.binary_length(originals.column("text"))).as_py() // 3
    code = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    kinds = (
        originals.column("text").to_pylist(),
        (path.read_text(encoding="utf-8", errors="replace").replace("\0", "") for path in code),
        _in_languages(),
    )
    texts: list[str] = []
    for kind in kinds:
        size = 0
        for text in kind:
            texts.append(text)
            size += len(text.encode())
            if size > third:
                break
    order = rng.generator(SEED, "benchmarks", "kinds").permutation(len(texts))
    ids = [f"kind{number}" for number in range(len(texts))]
    return pa.table({"id": ids, "text": pa.array([texts[place] for place in order], pa.large_string())})


def _in_languages() -> Iterator[str]:
    """Yield documents of a few paragraphs, in one language each: its sentences, and its frequent words drawn."""
    draw = rng.generator(SEED, "benchmarks", "languages")
    sentences = {code: import_module(f"spacy.lang.{code}.examples").sentences for code in LANGUAGES}
    words = {code: sorted(import_module(f"spacy.lang.{code}.stop_words").STOP_WORDS) for code in LANGUAGES}
    while True:
        code = LANGUAGES[int(draw.integers(len(LANGUAGES)))]
        paragraphs = []
        for _ in range(int(draw.integers(1, 9))):
            drawn = [" ".join(draw.choice(words[code], 14)).capitalize() + "." for _ in range(int(draw.integers(1, 6)))]
            paragraphs.append(" ".join([str(draw.choice(sentences[code])), *drawn]))
        yield "\n".join(paragraphs)


def _starts(folder: Path) -> dict[str, float]:
    """Return the median seconds of a run of three documents, and of one that has nothing to do."""
    folder.mkdir()
    (folder / "three.jsonl").write_text('{"text": "one two three"}\n{"text": "four five"}\n{"text": "six"}\n')
    recipe = RECIPE.replace(SOURCE, "{read: jsonl, path: three.jsonl}")
    (folder / "three.yaml").write_text(recipe, encoding="utf-8")
    command, environment = tamis("run", "three.yaml"), surroundings(one_thread=True)
    seconds: dict[str, list[float]] = {"three_documents": [], "nothing_to_do": []}
    for _ in range(START_REPEATS):
        shutil.rmtree(folder / "workspace", ignore_errors=True)
        for found in seconds.values():
            started = time.perf_counter()
            subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
            found.append(time.perf_counter() - started)
    return {name: rounded(median(found)) for name, found in seconds.items()}


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


def watched(
    folder: Path, *, workers: int, recipe: str = "growth.yaml", environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a recipe in processes of its own, which inherit the cores of this one; return seconds and peaks."""
    command = tamis("run", recipe, "--workers", str(workers))
    environment = surroundings(one_thread=workers == 1) | dict(environment or {})
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
