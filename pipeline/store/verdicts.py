"""Stored signals and rules of all steps -> one verdict for every document of a part, and the file that keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.core.arrow import as_flags
from pipeline.core.files.shards import read_table
from pipeline.store.chain import ERROR, BasePart, Link, check_ids
from pipeline.store.decide import Reasons, failures, named

VERDICTS = "verdicts"


def verdicts_name(index: int) -> str:
    """Return the file name of the verdicts on base part `index`."""
    return f"{VERDICTS}-{index:05d}.parquet"


def judge(base: BasePart, links: Sequence[Link], ids: pa.ChunkedArray) -> pa.Table:
    """Return one row per base document: id, kept, first reason, all failed rules, the step that it broke."""
    names = [f"{link.label}.{rule.name}" for link in links for rule in link.rules]
    failed = np.zeros((len(names), base.num_rows), bool)
    reasons = Reasons(base.num_rows)
    start = 0
    for link in links:
        wanted = sorted({rule.signal for rule in link.rules} | {ERROR})
        check_ids(link.file(base.index), ids)
        table = read_table(link.file(base.index), columns=wanted)
        mine = failed[start : start + len(link.rules)]
        mine[:] = failures(link.rules, table)
        reasons.add(mine, broken=as_flags(table.column(ERROR).is_valid()))
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
