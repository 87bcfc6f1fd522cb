"""Stored signals and rules of all steps -> one verdict for every document of a part, and the file that keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.core.arrow import as_flags
from pipeline.core.files.shards import read_table
from pipeline.store.chain import ERROR, BasePart, Link, check_ids
from pipeline.store.decide import failures

VERDICTS = "verdicts"


def verdicts_name(index: int) -> str:
    """Return the file name of the verdicts on base part `index`."""
    return f"{VERDICTS}-{index:05d}.parquet"


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
