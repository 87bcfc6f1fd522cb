"""`unique_ids`: one document per id, where inputs are joined that may name different documents alike.

Sources make their own ids unique while they are read; ids of two inputs can still meet (`part-0:17` of two folders).
The first in part order keeps the id. The engine puts this step before all others in a dataset with several inputs.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.core.step import Gathering, GatheringStep, Part, Quantile, Rule, Signal


class UniqueIds(GatheringStep):
    """Drop documents whose id an earlier document has."""

    name: ClassVar[str] = "unique_ids"
    version: ClassVar[int] = 1
    signals = (Signal("is_repeated", pa.int8(), "0 or 1", "1 if an earlier document has the same id."),)

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("repeated_id", "is_repeated", "<=", 0),)

    def gather(self, work: Gathering) -> None:
        found = work.map(_digests, list(work.parts), label="ids")
        keys = np.concatenate([np.zeros((0, 2), np.uint64), *found])
        first = np.unique(keys, axis=0, return_index=True)[1]
        repeated = np.ones(len(keys), np.int8)
        repeated[first] = 0
        start = 0
        for part in work.parts:
            work.write(part, {"is_repeated": repeated[start : start + part.num_rows]})
            start += part.num_rows
        work.details["repeated"] = int(repeated.sum())


def _digests(part: Part) -> np.ndarray:
    """Return uint64[num_docs, 2]: the XXH3-128 of each id."""
    ids = part.load(("id",)).column("id").to_pylist()
    joined = b"".join(xxhash.xxh3_128_digest(name.encode()) for name in ids)
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)
