"""A source -> documents on disk: slices read in parallel, ids made unique, what cannot be used quarantined.

A document id names one document. Where two rows claim the same id the first in slice order keeps it and the later ones
are quarantined as `duplicate_id`; their part is rewritten beside the original, which is then removed.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.core.errors import DataError, listed_names
from pipeline.core.files.names import INPUTS
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.engine.executors import Executor
from pipeline.engine.input_guard import Files, files_of_source, unchanged
from pipeline.engine.measure import MeasureTask
from pipeline.engine.progress import Progress
from pipeline.engine.read import Read, ReadTask, read_slice
from pipeline.engine.settled import locate
from pipeline.engine.take_over import slice_keys, take_slices
from pipeline.sources.capped import Capped, cap_told
from pipeline.sources.first_rows import FirstRows
from pipeline.sources.quarantine import OF_COLUMNS, QUARANTINE, counted, refuse_empty, save
from pipeline.sources.reader import Slice
from pipeline.sources.rows import printable
from pipeline.sources.sampled import Sampled
from pipeline.store.dataset.stored_source import SLICES, StoredSlice, StoredSource
from pipeline.store.input_hashes import InputHashes
from pipeline.store.node import Node
from pipeline.store.results import close

MANY_IDS = 200_000  # from which on importing polars pays


@dataclass(frozen=True, slots=True)
class Ahead:
    """What to measure while a source is read: for which nodes, and which of the user's files their steps read."""

    tasks: tuple[MeasureTask, ...] = ()
    nodes: tuple[Node, ...] = ()
    files: Files = field(default_factory=dict)


def build_source(
    reader: Any, node: Node, *, hashes: InputHashes, executor: Executor, progress: Progress,
    ahead: Callable[[int], Ahead] = lambda slices: Ahead(), earlier: Sequence[Path] = (),
) -> float:  # fmt: skip
    """Read all slices of a source and write its card; DataError if its files changed since they were planned.

    What `earlier` sources read of the same files is taken over from them. `ahead` is told how many slices there are,
    and says what to measure of those that are read at once. Return the seconds of that.
    """
    started = time.monotonic()
    node.folder.mkdir(parents=True, exist_ok=True)
    reading: Any = whole_or_part(reader)
    slices, notes = reading.slices(), reader.notes()
    files_read = files_of_source(reader, node, hashes=hashes)  # after the slices: no file that was not planned is one
    for note in notes:
        progress.say(f"{node.name}: {note}")
    measuring = ahead(len(slices))
    content = StoredSource.from_payload(node.payload).hashes()
    locate(reader, node)
    keys = slice_keys(reader, slices, payload=node.payload) if not reader.params.stops else []
    taken = take_slices(node, slices, keys, earlier=earlier)
    unread = [part for part in slices if part.index not in taken.slices]
    tasks = [ReadTask(part.label, reading, part, node.folder, content, measuring.tasks) for part in unread]
    doing = f"read {node.name} and measure" if measuring.tasks else f"read {node.name}"
    progress.begin(doing, total=len(tasks), unit="slices")
    with unchanged({**measuring.files, **files_read}, hashes=hashes, nodes=[node, *measuring.nodes]):
        read = executor.map(
            read_slice, tasks, label=f"source {node.name}", apart=lambda task: reading.may_break(task.slice),
            done=lambda result: progress.advance(1, documents=result.rows_in),
        )  # fmt: skip
    found = taken.slices | {part.index: result for part, result in zip(unread, read, strict=True)}
    results = [found[part.index] for part in slices]
    both = sum(result.seconds for result in results)
    share = sum(result.ahead_seconds for result in results) / both if both else 0.0
    measured = share * (time.monotonic() - started)
    if not any(result.in_place for result in results):
        (node.folder / INPUTS).unlink(missing_ok=True)
    files = {name: rows for result in results for name, rows in result.files}
    rejected = [list(item) for result in results for item in result.quarantined]
    slices_read = [
        StoredSlice(key, result.rows_in, len(result.quarantined), result.in_place).plain()
        for key, result in zip(keys, results, strict=bool(keys))
    ]
    originals = _make_ids_unique(node, files, rejected, labels=_labels(slices, results))
    rows_out = sum(files.values())
    counts = Counter(str(row[2]) for row in rejected)
    rows_in = sum(result.rows_in for result in results)
    told = f", {taken.rows:,} taken over" if taken.slices else ""
    progress.end(counted(rows_in=rows_in, reasons=counts) + told)
    empty = _without_rows(node, slices, results, refused={str(row[0]) for row in rejected})
    if empty and rows_in and reading is reader:
        notes = [*notes, f"{len(empty)} without a row: {listed_names(empty)}."]
        progress.say(f"{node.name}: {notes[-1]}")
    if reader.params.is_capped:
        notes = [*notes, cap_told(reader.params, [node.folder / name for name in files])]
        progress.say(f"{node.name}: {notes[-1]}")
    if not rows_out:
        _refuse(node, reader, rejected, rows_in=rows_in, reasons=counts)
    (node.folder / QUARANTINE).unlink(missing_ok=True)  # of a run that could use no row
    if rejected:
        save(node.folder, rejected)
    extra = {QUARANTINE: len(rejected)} if rejected else {}
    for name in originals:
        (node.folder / name).unlink(missing_ok=True)
    close(
        node, files | extra, rows_in=rows_in, rows_out=rows_out, quarantined=counts,
        details=({"notes": notes} if notes else {}) | ({SLICES: slices_read} if slices_read else {}),
        seconds=time.monotonic() - started - measured, known=taken.files,
    )  # fmt: skip
    return measured


def whole_or_part(reader: Any) -> Any:
    """Return what reads as much of a source as its `limit`, `sample`, `max_documents` and `max_bytes` say."""
    reading = reader if reader.params.limit is None else FirstRows(reader)
    reading = reading if reader.params.sample == 1 else Sampled(reading, share=reader.params.sample)
    return Capped(reading, params=reader.params) if reader.params.is_capped else reading


def _refuse(node: Node, reader: Any, rejected: list[list[str]], *, rows_in: int, reasons: Mapping[str, int]) -> None:
    """End with no document to go on with: what was refused is kept, to be looked at."""
    shutil.rmtree(node.folder)
    if rejected:
        node.folder.mkdir()
        save(node.folder, rejected)
    cap = reader.params.max_bytes
    if cap is not None and OF_COLUMNS.isdisjoint(reasons):
        told = f" of {rows_in:,} rows" if rows_in else ""
        raise DataError(
            f"sources.{node.name}: no document{told} fits into max_bytes: {cap:,}; the first one must. Raise it, or "
            "take it out to see which rows are no documents."
        )
    refuse_empty(
        f"sources.{node.name}", rows_in=rows_in, reasons=reasons, first=next((row[1] for row in rejected), ""),
        readers=[reader],
        way_out="Set `text:` (and `id:`) of the source to the keys that hold the text and the id.",
    )  # fmt: skip


def _without_rows(
    node: Node, slices: Sequence[Slice], results: Sequence[Read], *, refused: Collection[str]
) -> list[str]:
    """Return the files of a source, or the slices, that gave nothing at all, not even a row that was refused."""
    files = StoredSource.from_payload(node.payload).files
    hollow = [file.file for file in files if not file.size and f"{node.name}/{file.file}" not in refused]
    given = [piece.label for piece, result in zip(slices, results, strict=True) if files and not result.rows_in]
    return hollow + given


def _labels(slices: Sequence[Slice], results: Sequence[Read]) -> dict[str, tuple[str, int]]:
    """Return what each part was read from, and how many of that slice's documents stand in the parts before it."""
    found: dict[str, tuple[str, int]] = {}
    for piece, result in zip(slices, results, strict=True):
        before = 0
        for name, rows in result.files:
            found[name] = (piece.label, before)
            before += rows
    return found


def _make_ids_unique(
    node: Node, files: dict[str, int], rejected: list[list[str]], *, labels: Mapping[str, tuple[str, int]]
) -> list[str]:
    """Rewrite the parts in which an id comes back; return the names of the originals."""
    fast = sum(files.values()) > MANY_IDS
    repeated = _repeated_hashes(node, files, fast=fast)
    if not len(repeated):
        return []
    originals = []
    seen: set[str] = set()  # of the few ids that share a hash with another
    for name in list(files):
        ids = read_table(node.folder / name, columns=["id"]).column("id")
        keep = np.ones(len(ids), dtype=bool)
        for row in np.flatnonzero(np.isin(_hashes(ids, fast=fast), repeated)):
            again = ids[int(row)].as_py()
            keep[row] = again not in seen
            seen.add(again)
        if keep.all():
            continue
        table = read_table(node.folder / name)
        label, before = labels[name]
        for lost in np.flatnonzero(~keep).tolist():
            excerpt = printable(table.column("text")[lost].as_py())
            place = f"document {before + lost + 1} of {label}"
            rejected.append([table.column("id")[lost].as_py(), place, "duplicate_id", excerpt])
        unique = name.replace(".parquet", "-unique.parquet")  # sorts where the original did
        write_table(node.folder / unique, table.filter(pa.array(keep)))
        originals.append(name)
        del files[name]
        files[unique] = int(keep.sum())
    return originals


def _repeated_hashes(node: Node, files: Mapping[str, int], *, fast: bool) -> np.ndarray:
    """Return the hashes that two ids have: 16 bytes of memory an id, however long it is."""
    found = [_hashes(read_table(node.folder / name, columns=["id"]).column("id"), fast=fast) for name in files]
    hashes = np.sort(np.concatenate([np.zeros(0, np.uint64), *found]))
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def _hashes(ids: pa.ChunkedArray, *, fast: bool) -> np.ndarray:
    """Return uint64[num_ids] for this process alone, as another version of polars has other hashes.

    Python's own loop takes 0.5 us an id, polars a hundredth of that and 0.1 s to import.
    """
    if not fast:
        return np.array([xxhash.xxh3_64_intdigest(name) for name in ids.cast(pa.binary()).to_pylist()], np.uint64)
    import polars as pl

    return pl.Series(ids).hash().to_numpy()
