"""Stored signals and rules of all steps -> one verdict for every document of a part, and the file that keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.store.dataset.chain import BasePart, Link, faults, ids_digest
from pipeline.store.dataset.decide import Reasons, named

VERDICTS = "verdicts"


def verdicts_name(index: int) -> str:
    """Return the file name of the verdicts on base part `index`."""
    return f"{VERDICTS}-{index:05d}.parquet"


def bytes_kept(verdicts: pa.Table) -> int:
    """Return the bytes of text of the documents that a part keeps."""
    return pc.sum(verdicts.column("num_bytes").filter(verdicts.column("kept"))).as_py() or 0


def judge(base: BasePart, links: Sequence[Link], ids: pa.ChunkedArray) -> pa.Table:
    """Return one row per base document: id, kept, first reason, all failed rules, the step that it broke."""
    names = [f"{link.label}.{rule.name}" for link in links for rule in link.rules]
    failed = np.zeros((len(names), base.num_rows), bool)
    reasons = Reasons(base.num_rows)
    start, digest = 0, ids_digest(ids)
    for link in links:
        found = faults(link, base, digest=digest)
        failed[start : start + len(link.rules)] = found[1:]
        reasons.add(found[1:], broken=found[0])
        start += len(link.rules)
    ends = np.cumsum(np.concatenate([[0], failed.sum(axis=0)]), dtype=np.int32)
    _, hits = np.nonzero(failed.T)
    return pa.table(
        {
            "id": ids.combine_chunks(),
            "kept": pa.array(reasons.kept),
            "reason": named(names, reasons.rule),
            "failed": pa.ListArray.from_arrays(pa.array(ends), pa.array(names, pa.string()).take(pa.array(hits))),
            "quarantined": named([link.label for link in links], reasons.broken),
        }
    )
