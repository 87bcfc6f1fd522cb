"""Stored signals and edits of all steps -> one part's verdicts and the documents that are kept, written together.

The texts come from the spool of the last measuring pass, or are read again, a row group at a time. Documents that are
dropped are left out before any edit is applied; their final size comes from the ranges that a step would have kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core import document
from pipeline.core.arrow import as_flags
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.files.writing.sums import are_whole
from pipeline.store.dataset.chain import Chain, ChainReader, part_name
from pipeline.store.dataset.stored_dataset import StoredDataset, StoredPart, StoredRule, StoredStep
from pipeline.store.dataset.verdicts import bytes_kept, judge, verdicts_name

if TYPE_CHECKING:
    from pipeline.plan.graph import PlannedDataset


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
    kept_bytes: int  # of text


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
    verdicts = read_table(verdicts_path, columns=["kept", "reason", "quarantined", "num_bytes"])
    return Published(
        index=index, rows_in=verdicts.num_rows, rows_out=int(np.count_nonzero(as_flags(verdicts.column("kept")))),
        dropped=_counts(verdicts.column("reason")), quarantined=_counts(verdicts.column("quarantined")),
        kept_bytes=bytes_kept(verdicts),
    )  # fmt: skip


def _counts(reasons: pa.ChunkedArray) -> dict[str, int]:
    return {pair["values"]: pair["counts"] for pair in pc.value_counts(reasons.drop_null()).to_pylist()}


def stored_dataset(chain: Chain, planned: PlannedDataset, *, kept_bytes: int) -> StoredDataset:
    """Return what a dataset's card holds of the documents, steps and rules behind it."""
    steps = (
        StoredStep(
            label=step.spec.label,
            step=step.spec.step.name,
            folder=f"{step.node.kind}/{step.node.folder.name}",
            identity=step.node.identity,
            edits=step.spec.step.edits,
            params=step.spec.step.params.model_dump(mode="json"),
        )
        for step in planned.steps
    )
    return StoredDataset(
        rules=tuple(StoredRule.of(rule, step=link.label) for link in chain.links for rule in link.rules),
        steps=tuple(steps),
        base=tuple(
            StoredPart(f"{part.path.parent.parent.name}/{part.path.parent.name}/{part.path.name}", part.num_rows)
            for part in chain.base
        ),
        inputs=tuple(planned.spec.inputs),
        kept_bytes=kept_bytes,
    )
