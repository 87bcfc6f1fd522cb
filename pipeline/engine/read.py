"""What a worker does with one slice of a source: its chunks become parts, each written whole, and measured if asked.

A task run twice writes once: it finds the files of an earlier one that was killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core import document
from pipeline.core.files.parquet.shards import write_table
from pipeline.core.files.stores.stored import present
from pipeline.core.files.writing.durable import write_text
from pipeline.core.files.writing.sums import are_whole, is_whole
from pipeline.engine.ahead import measure_ahead, slice_file
from pipeline.engine.measure import MeasureTask


@dataclass(frozen=True, slots=True)
class ReadTask:
    """Read one slice of a source into parts."""

    label: str
    reader: Any
    slice: Any
    folder: Path
    content: Mapping[str, str]  # BLAKE3 of the files whose text may stay in place, by label
    ahead: tuple[MeasureTask, ...] = ()  # what to measure of the documents while they are in memory


@dataclass(frozen=True, slots=True)
class Read:
    """What one slice gave: part files in order and rows that went in."""

    files: tuple[tuple[str, int], ...]  # name, rows
    rows_in: int
    quarantined: tuple[Any, ...]  # [id, place, reason, excerpt] each
    in_place: bool  # some of its text was left where it lies
    seconds: float = 0.0  # that the slice took
    ahead_seconds: float = 0.0  # of these, measuring


def read_slice(task: ReadTask) -> Read:
    """Write a slice's chunks as parts `slice-NNNNN-KKK.parquet`; one finished before a kill is not read again."""
    note = task.folder / "scratch" / f"slice-{task.slice.index:05d}.json"
    before = _noted(note, task.folder)
    if before is not None:
        return before
    present(Path(task.slice.path))  # a file of a URL may have made room for others since
    files: list[tuple[str, int]] = []
    quarantined: list[Any] = []
    rows_in = 0
    in_place = False
    started, ahead_seconds = time.monotonic(), 0.0
    for number, chunk in enumerate(task.reader.read(task.slice)):
        rows_in += chunk.rows_in
        in_place |= chunk.text_in is not None
        quarantined.extend([item.id, item.place, item.reason, item.excerpt] for item in chunk.quarantined)
        name = slice_file(task.slice.index, number)
        if chunk.table.num_rows:
            if not is_whole(task.folder / name):
                text_in = chunk.text_in and replace(chunk.text_in, blake3=task.content[chunk.text_in.file])
                table = chunk.table if text_in is not None else chunk.table.cast(document.SCHEMA)
                write_table(task.folder / name, table, text_in=text_in, unfinished=True)
            files.append((name, chunk.table.num_rows))
            before_ahead = time.monotonic()
            for measuring in task.ahead if chunk.documents is not None else ():
                measure_ahead(measuring, chunk.documents, path=task.folder / name)
            ahead_seconds += time.monotonic() - before_ahead
    note.parent.mkdir(exist_ok=True)
    write_text(note, json.dumps([files, rows_in, quarantined, in_place]), unfinished=True)
    return Read(
        files=tuple(files), rows_in=rows_in, quarantined=tuple(quarantined), in_place=in_place,
        seconds=time.monotonic() - started, ahead_seconds=ahead_seconds,
    )  # fmt: skip


def _noted(note: Path, folder: Path) -> Read | None:
    """Return what a finished slice gave, if its files are all there as they were written."""
    if not is_whole(note):
        return None
    files, rows_in, quarantined, in_place = json.loads(note.read_bytes())
    if not are_whole(*(folder / name for name, _ in files)):
        return None
    named = tuple((name, rows) for name, rows in files)
    return Read(files=named, rows_in=rows_in, quarantined=tuple(quarantined), in_place=in_place)
