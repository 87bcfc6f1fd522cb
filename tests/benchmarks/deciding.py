"""Seconds that `tamis what-if` takes as a whole verb, Python's start included, for a million documents.

The documents are the quickstart's, cut to 400 characters, repeated, each copy with its number before the text so that
none is another's duplicate. A run measures them once; then each question is asked several times in a process of its
own. Processor seconds tell what an idle core would need; on a busy machine the wall's seconds are those of the others.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.files.parquet.shards import write_table
from tests.benchmarks.clock import rounded
from tests.benchmarks.corpus import documents_of
from tests.benchmarks.machine import surroundings, tamis

DOCUMENTS = 1_000_000
CHARACTERS = 400
REPEATS = 5
RECIPE = """name: deciding
seed: 17
sources:
  web: {read: parquet, path: documents/*.parquet, id: id, metadata: none}
datasets:
  clean:
    from: web
    steps:
      - gopher_quality: {min_words: 20}
      - gopher_repetition
      - c4_quality: {terminal_punctuation: false, min_sentences: 1}
      - fineweb_quality
      - exact_dedup
      - label: {teacher: offline}
      - quality: {keep_fraction: 0.7}
"""
QUESTIONS: dict[str, dict[str, float]] = {
    "one threshold": {"gopher_quality.min_words": 40},
    "three thresholds": {
        "gopher_quality.min_words": 40, "gopher_repetition.max_top_2_gram": 0.15, "fineweb_quality.max_list_ratio": 0.2,
    },
    "a target share": {"quality.keep_fraction": 0.5},
    "a threshold and a target share": {"gopher_quality.min_words": 40, "quality.keep_fraction": 0.5},
}  # fmt: skip


def measure_what_if(folder: Path, *, documents: int = DOCUMENTS, repeats: int = REPEATS) -> dict[str, Any]:
    """Return the seconds of each question, by wall and by processor; leaves no file behind."""
    home = folder / "what_if"
    (home / "documents").mkdir(parents=True)
    try:
        count = _generate(home / "documents", documents)
        (home / "deciding.yaml").write_text(RECIPE, encoding="utf-8")
        time.sleep(3)  # files that have just been written are hashed again
        _tamis(home, "run", "deciding.yaml", "--workers", "1")
        found = {name: _asked(home, settings, repeats=repeats) for name, settings in QUESTIONS.items()}
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return {"documents": count, "questions": found, "recipe": RECIPE}


def _generate(folder: Path, wanted: int) -> int:
    """Write numbered copies of the documents, a file each, until `wanted` stand there; return how many."""
    original = pa.concat_tables(list(documents_of("docs"))).combine_chunks()
    ids = original.column("id").combine_chunks()
    text = pc.utf8_slice_codeunits(original.column("text").combine_chunks(), 0, CHARACTERS)
    count = copy = 0
    while count < wanted:
        rows = min(len(ids), wanted - count)
        number = pa.scalar(str(copy), pa.large_string())
        texts = pc.binary_join_element_wise(number, text[:rows], pa.scalar(" ", pa.large_string()))
        names = pc.binary_join_element_wise(ids[:rows], number.cast(pa.string()), "#")
        write_table(folder / f"copy-{copy:03d}.parquet", pa.table({"id": names, "text": texts}))
        count, copy = count + rows, copy + 1
    return count


def _asked(home: Path, settings: dict[str, float], *, repeats: int) -> dict[str, Any]:
    flags = [flag for key, value in settings.items() for flag in ("--set", f"datasets.clean.{key}={value}")]
    times = [_tamis(home, "what-if", "deciding.yaml", *flags) for _ in range(repeats + 1)][1:]
    wall, cpu = ([rounded(each[kind]) for each in times] for kind in (0, 1))
    return {"cpu_seconds": cpu, "seconds": wall, "median_cpu_seconds": median(cpu), "median_seconds": median(wall)}


def _tamis(home: Path, *arguments: str) -> tuple[float, float]:
    """Run a verb; return seconds by wall and by processor, its own processes' together."""
    command, environment = tamis(*arguments), surroundings(one_thread=False)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ran = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode != 0:
        raise RuntimeError(f"tamis {arguments[0]} ended with {ran.returncode}:\n{ran.stderr[-3000:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
