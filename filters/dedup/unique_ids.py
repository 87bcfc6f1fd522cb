"""`unique_ids`: one document per id, where inputs are joined that may name different documents alike.

Sources make their own ids unique while they are read; ids of two inputs can still meet (`part-0:17` of two folders).
The first in part order keeps the id. The engine puts this step before all others in a dataset with several inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import xxhash

from filters.dedup.equal_keys import EqualKeys, group
from filters.dedup.keep import Rows
from pipeline.core.files.writing.scratch import until_reboot
from pipeline.core.step import Gathering, GatheringStep, Part, Quantile, Rule, Signal


class UniqueIds(GatheringStep):
    """Drop documents whose id an earlier document has."""

    name: ClassVar[str] = "unique_ids"
    version: ClassVar[int] = 1
    signals = (Signal("is_repeated", pa.int8(), "0 or 1", "1 if an earlier document has the same id."),)

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("repeated_id", "is_repeated", "<=", 0),)

    def gather(self, work: Gathering) -> None:
        rows, scratch = Rows.of(work.parts), until_reboot(work.scratch)
        keys = EqualKeys.of(scratch, rows.starts, memory_bytes=work.memory_bytes // work.workers)
        jobs = [_Job(part, place, keys) for place, part in enumerate(rows.parts)]
        work.map(_save_keys, jobs, label="ids")
        found = work.map(group, keys.all_partitions(), label="equal ids")
        work.write_by(_columns, jobs, label="repeated ids")
        work.details["repeated"] = sum(tally.duplicates for tally in found)


@dataclass(frozen=True, slots=True)
class _Job:
    part: Part
    place: int  # in the order of parts
    keys: EqualKeys


def _save_keys(job: _Job) -> None:
    """Save the XXH3-128 of each id of a part, unless they are there."""
    if not job.keys.is_saved(job.place):
        ids = job.part.load(("id",)).column("id").to_pylist()
        joined = b"".join(xxhash.xxh3_128_digest(name.encode()) for name in ids)
        high, low = np.frombuffer(joined, np.uint64).reshape(-1, 2).T
        job.keys.save(job.place, high, low, scores=np.zeros(len(ids)))


def _columns(job: _Job) -> dict[str, np.ndarray]:
    row, kept, _ = job.keys.members_of(job.place)
    repeated = np.zeros(job.part.num_rows, np.int8)
    repeated[row - job.keys.starts[job.place]] = kept != row
    return {"is_repeated": repeated}
