"""Measuring a part while its slice is read, before anybody knows which part of the dataset it will be.

The text of a slice is in memory once it is read and judged; measuring it there and then saves decompressing it again.
But parts are numbered when all slices are read, as one may give none or several, and ids are made unique then. So what
is measured ahead waits in the scratch folders, by the names of the source and of the part's file, and the measuring
pass takes it over by renaming. A part that was rewritten meanwhile has another name and is measured then, as is
whatever is not there.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from pipeline.core.files.writing.sums import move_whole
from pipeline.core.sketch import sketch_file
from pipeline.engine.measure import MeasureTask, measure_part
from pipeline.store.dataset.chain import BasePart, ChainReader

AHEAD = "ahead"
_SLICE = re.compile(r"slice-(\d+)-(\d+)\.parquet")
CHUNKS = 1000  # of one slice, at most: their numbers have three digits


def slice_file(number: int, chunk: int) -> str:
    """Return the name of the part that a chunk of a slice becomes."""
    return f"slice-{number:05d}-{chunk:03d}.parquet"


def number_of(name: str) -> int | None:
    """Return a number for the part of that name, which no other of its source has; None for one rewritten since."""
    found = _SLICE.fullmatch(name)
    return int(found[1]) * CHUNKS + int(found[2]) if found else None


def redirected(task: MeasureTask, source: str) -> MeasureTask:
    """Return the task with all that it writes put where it waits; `source` is the name of the source's folder."""
    return replace(
        task,
        steps=tuple((ref, replace(link, folder=link.folder / "scratch" / AHEAD / source)) for ref, link in task.steps),
        sketches=tuple(replace(ref, scratch=_beside(ref.scratch, source)) for ref in task.sketches),
        spool=None if task.spool is None else replace(task.spool, folder=_beside(task.spool.folder, source)),
    )


def _beside(scratch: Path, source: str) -> Path:
    return scratch / f"{AHEAD}-{source}"


def measure_ahead(task: MeasureTask, table: pa.Table, *, path: Path) -> None:
    """Measure the documents that will lie at `path`, the folder of their source being its parent."""
    number = number_of(path.name)
    assert number is not None
    base = BasePart(index=number, path=path, num_rows=table.num_rows)
    there = redirected(replace(task, reader=ChainReader(base=base, links=())), path.parent.name)
    for folder in (*(link.folder for _, link in there.steps), *(ref.scratch for ref in there.sketches)):
        folder.mkdir(parents=True, exist_ok=True)
    if there.spool is not None:
        there.spool.folder.mkdir(parents=True, exist_ok=True)
    measure_part(there, tables=[table])


def measure_next(task: MeasureTask) -> int:
    """Take over what was measured ahead of a part, and measure the rest; return the number of documents."""
    base = task.reader.base
    number = number_of(base.path.name)
    if number is not None and not task.reader.links:
        there = redirected(task, base.path.parent.name)
        for (_, waits), (_, link) in zip(there.steps, task.steps, strict=True):
            move_whole(waits.file(number), link.file(base.index))
        for ref, waiting in zip(task.sketches, there.sketches, strict=True):
            move_whole(sketch_file(waiting.scratch, number), sketch_file(ref.scratch, base.index))
        if task.spool is not None and there.spool is not None:
            for there_file, file in zip(there.spool.files(number), task.spool.files(base.index), strict=True):
                move_whole(there_file, file)
    return measure_part(task)
