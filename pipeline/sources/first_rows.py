"""The first rows of a source: its slices one after the other as a single one, until there are enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.sources.reader import Chunk, Reader, Slice


class FirstRows:
    """Reads with another reader, which stops after as many rows as its parameter `limit` says."""

    def __init__(self, reader: Any) -> None:
        self.reader: Reader = reader
        self.limit: int = reader.params.limit

    def slices(self) -> list[Slice]:
        """Return all slices of the reader as one, since where a later one begins is known when the first are read."""
        parts = tuple(self.reader.slices())
        return [Slice(0, parts[0].path, parts, f"first {self.limit:,} rows from {parts[0].label}")] if parts else []

    def may_break(self, piece: Slice) -> bool:
        return any(self.reader.may_break(part) for part in piece.detail)

    def read(self, piece: Slice) -> Iterator[Chunk]:
        left = self.limit
        for part in piece.detail:
            for chunk in self.reader.read(part, most=left):
                left -= chunk.rows_in
                yield chunk
            if left <= 0:
                return
