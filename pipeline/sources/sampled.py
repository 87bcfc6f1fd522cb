"""A share of a source's documents, drawn by the hash of each id: the same on every machine, whatever else is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.sources.reader import Chunk, Slice


class Sampled:
    """Reads with another reader, and keeps the rows whose ids fall below the parameter `sample`.

    A larger share holds all of a smaller one. Rows that were refused are drawn as well, by their ids.
    """

    def __init__(self, reader: Any, *, share: float) -> None:
        self.reader = reader
        self.below = int(share * 2**64)

    def slices(self) -> list[Slice]:
        slices: list[Slice] = self.reader.slices()
        return slices

    def may_break(self, piece: Slice) -> bool:
        return bool(self.reader.may_break(piece))

    def read(self, piece: Slice) -> Iterator[Chunk]:
        for chunk in self.reader.read(piece):
            drawn = np.array([self._is_drawn(id) for id in chunk.table.column("id").to_pylist()], bool)
            before = np.cumsum([0, *drawn])
            quarantined = tuple(
                replace(row, after=int(before[row.after])) for row in chunk.quarantined if self._is_drawn(row.id)
            )
            table = chunk.table.filter(pa.array(drawn))
            yield replace(chunk, table=table, quarantined=quarantined, rows_in=len(table) + len(quarantined))

    def _is_drawn(self, id: str) -> bool:
        return xxhash.xxh3_64_intdigest(id.encode("utf-8", "surrogatepass")) < self.below
