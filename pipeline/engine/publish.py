"""Stored signals and edits of all steps -> one part's verdicts and the documents that are kept, written together.

The text is read for the second time here, a row group at a time. Documents that are dropped are left out before any
edit is applied; their final size comes from the ranges that a step would have kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core import document
from pipeline.core.files.shards import read_table, write_table
from pipeline.core.files.sums import are_whole
from pipeline.store.chain import ERROR, BasePart, ChainReader, Link, check_ids, part_name
from pipeline.store.decide import as_flags, failures


@dataclass(frozen=True, slots=True)
class PublishTask:
    """Decide one part by the rules of all links and write its documents and verdicts."""

    label: str
    reader: ChainReader
    folder: Path


@dataclass(frozen=True, slots=True)
class Published:
    """One published part: rows in and out, first failures by `step.rule`, quarantined by step."""

    index: int
    rows_in: int
    rows_out: int
    dropped: Mapping[str, int]
    quarantined: Mapping[str, int]


VERDICTS = "verdicts"


def verdicts_name(index: int) -> str:
    """Return the file name of the verdicts on base part `index`."""
    return f"{VERDICTS}-{index:05d}.parquet"


def publish_part(task: PublishTask) -> Published:
    """Write `part-NNNNN.parquet` (documents kept) and `verdicts-NNNNN.parquet` (one row for every base document)."""
    index = task.reader.base.index
    path, verdicts_path = task.folder / part_name(index), task.folder / verdicts_name(index)
    if not are_whole(path, verdicts_path):
        ids = read_table(task.reader.base.path, columns=["id"]).column("id")
        verdicts = judge(task.reader.base, task.reader.links, ids)
        kept, sizes = [document.SCHEMA.empty_table()], [np.zeros(0, np.int64)]
        for documents, num_bytes in task.reader.some(document.SCHEMA.names, rows=as_flags(verdicts.column("kept"))):
            kept.append(documents.cast(document.SCHEMA))
            sizes.append(num_bytes)
        verdicts = verdicts.append_column("num_bytes", pa.array(np.concatenate(sizes)))
        documents = pa.concat_tables(kept).combine_chunks()  # no bound of theirs shows
        write_table(path, documents, unfinished=True)
        write_table(verdicts_path, verdicts, unfinished=True)
    verdicts = read_table(verdicts_path, columns=["kept", "reason", "quarantined"])
    return Published(
        index=index, rows_in=verdicts.num_rows, rows_out=int(np.count_nonzero(as_flags(verdicts.column("kept")))),
        dropped=_counts(verdicts.column("reason")), quarantined=_counts(verdicts.column("quarantined")),
    )  # fmt: skip


def _counts(reasons: pa.ChunkedArray) -> dict[str, int]:
    return {pair["values"]: pair["counts"] for pair in pc.value_counts(reasons.drop_null()).to_pylist()}


def judge(base: BasePart, links: Sequence[Link], ids: pa.ChunkedArray) -> pa.Table:
    """Return one row per base document: id, kept, first reason, all failed rules, the step that it broke."""
    names = [f"{link.label}.{rule.name}" for link in links for rule in link.rules]
    failed = np.zeros((len(names), base.num_rows), bool)
    first, broken = np.full(base.num_rows, -1), np.full(base.num_rows, -1)  # a rule's number, a link's; -1: none
    start = 0
    for number, link in enumerate(links):
        wanted = sorted({rule.signal for rule in link.rules} | {ERROR})
        check_ids(link.file(base.index), ids)
        table = read_table(link.file(base.index), columns=wanted)
        going = (first < 0) & (broken < 0)
        broken[going & as_flags(table.column(ERROR).is_valid())] = number
        mine = failed[start : start + len(link.rules)]
        mine[:] = failures(link.rules, table)
        dropped = (first < 0) & (broken < 0) & mine.any(axis=0)
        first[dropped] = start + mine[:, dropped].argmax(axis=0) if len(mine) else -1
        start += len(link.rules)
    ends = np.cumsum(np.concatenate([[0], failed.sum(axis=0)]), dtype=np.int32)
    _, hits = np.nonzero(failed.T)
    return pa.table(
        {
            "id": ids.combine_chunks(),
            "kept": pa.array((first < 0) & (broken < 0)),
            "reason": _named(names, first),
            "failed": pa.ListArray.from_arrays(pa.array(ends), pa.array(names, pa.string()).take(pa.array(hits))),
            "quarantined": _named([link.label for link in links], broken),
        }
    )


def _named(names: Sequence[str], numbers: np.ndarray) -> pa.Array:
    """Return string[len(numbers)]: the name of each number, null for -1."""
    return pa.array(names, pa.string()).take(pa.array(numbers, mask=numbers < 0))
