"""A source's documents up to a number of them, or up to so many bytes of text: the first in the order of the files.

What follows is not read, and what is refused behind the next document is not counted. The cap counts documents and not
rows, after `sample` drew its share, so a capped sample is spread over the source as far as the cap allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.files.parquet.shards import read_table
from pipeline.sources.reader import Chunk, ReaderParams, Slice


class Capped:
    """Reads with another reader, and stops before the first document beyond `max_documents` or `max_bytes`."""

    def __init__(self, reader: Any, *, params: ReaderParams) -> None:
        self.reader = reader
        self.documents = params.max_documents
        self.size_bytes = params.max_bytes

    def slices(self) -> list[Slice]:
        """Return all slices of the reader as one, since where the cap is met is known when the others are read."""
        parts = tuple(self.reader.slices())
        return [Slice(0, parts[0].path, parts, f"documents up to the cap from {parts[0].label}")] if parts else []

    def may_break(self, piece: Slice) -> bool:
        return any(self.reader.may_break(part) for part in piece.detail)

    def read(self, piece: Slice) -> Iterator[Chunk]:
        documents, size = 0, 0
        for part in piece.detail:
            for chunk in self.reader.read(part):
                ends = size + np.cumsum(sizes_of(chunk.table.column("text")))
                fit = len(ends) if self.size_bytes is None else int(np.searchsorted(ends, self.size_bytes, "right"))
                fit = fit if self.documents is None else min(fit, self.documents - documents)
                documents, size = documents + fit, int(ends[fit - 1]) if fit else size
                is_met = fit < len(ends) or documents == self.documents or size == self.size_bytes
                table = chunk.table.slice(0, fit)
                refused = tuple(row for row in chunk.quarantined if not is_met or row.after <= fit)
                yield replace(chunk, table=table, quarantined=refused, rows_in=len(table) + len(refused))
                if is_met:
                    return


def sizes_of(texts: pa.ChunkedArray) -> np.ndarray:
    """Return int64[num_docs]: the bytes of UTF-8 of each text."""
    import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

    return np.asarray(pc.binary_length(texts), np.int64)


def cap_told(params: ReaderParams, parts: Sequence[Path]) -> str:
    """Return what a cap left of a source, for its card."""
    sizes = [sizes_of(read_table(part, columns=["text"]).column("text")) for part in parts]
    caps = [
        f"{key}: {value:,}" for key in ("max_documents", "max_bytes") if (value := getattr(params, key)) is not None
    ]
    documents, size = sum(map(len, sizes)), sum(int(each.sum()) for each in sizes)
    return f"Holds the first {documents:,} documents, {size:,} bytes of text ({', '.join(caps)})."
