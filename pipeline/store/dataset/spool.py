"""Texts that a measuring pass left alive, as it left them: what comes after takes them from here, not from the source.

Decompressing and editing a text again costs about four times what reading it from here does, and publishing, the audit
of a deduplication and a classifier all want the few that are left. A file for each part, unpacked and mapped when it is
read, in the dataset's scratch folder: without it, or where it lacks a row, a reader goes the long way to the same text.
It goes when the dataset is published; where the disk might not hold it, none is written.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.core.files.parquet.in_place import Stamp, stamp_of
from pipeline.core.files.writing.scratch import write_scratch
from pipeline.core.files.writing.sums import are_whole

SPARE = 4  # times what all texts may take must be free on the disk, for what is published and for other programs
ROW, TEXT, SIZE = "row", "text", "size"


@dataclass(frozen=True, slots=True)
class Spool:
    """Where the texts of a dataset's parts lie as they are after its first `links` steps."""

    folder: Path
    links: int

    def file(self, index: int) -> Path:
        """Return the file of base part `index`."""
        return self.folder / f"texts-{self.links:02d}-{index:05d}.arrow"

    def files(self, index: int) -> tuple[Path, Path]:
        """Return the files of base part `index`: sizes of all texts, and the texts, which are written last."""
        return self.file(index).with_suffix(".sizes"), self.file(index)


@dataclass(slots=True)
class Spooling:
    """Collects one part for a spool."""

    texts: list[pa.RecordBatch] = field(default_factory=list)
    sizes: list[np.ndarray] = field(default_factory=list)

    def add(self, text: pa.Array, *, rows: np.ndarray, sizes: np.ndarray) -> None:
        """Add the texts of live base rows, and the bytes of every text that they were chosen from."""
        self.texts.append(pa.record_batch({ROW: pa.array(rows, pa.int64()), TEXT: text}))
        self.sizes.append(sizes)

    def save(self, spool: Spool, index: int, *, parts: int) -> None:
        """Write a part's file, unless that many parts like this one would take too much of the disk."""
        num_bytes = sum(batch.nbytes for batch in self.texts)
        if SPARE * parts * num_bytes > shutil.disk_usage(spool.folder).free:
            return
        sizes = pa.array(np.concatenate([np.zeros(0, np.int64), *self.sizes]))

        def write(file: object) -> None:
            schema = pa.schema([(ROW, pa.int64()), (TEXT, pa.large_string())], metadata={})
            with pa.ipc.new_file(file, schema) as writer:
                for batch in self.texts:
                    writer.write_batch(batch)

        sized, path = spool.files(index)
        write_scratch(sized, lambda file: file.write(memoryview(sizes.buffers()[1] or b"")))
        write_scratch(path, write)


@dataclass(frozen=True, slots=True)
class Spooled:
    """One part of a spool."""

    rows: np.ndarray  # int64, ascending: the base rows whose texts are here
    texts: pa.ChunkedArray  # large_string, row for row
    sizes: np.ndarray  # int64[base rows]: the bytes of every text, also of those that are not here

    def texts_of(self, rows: np.ndarray) -> pa.ChunkedArray | None:
        """Return the texts of some base rows, int64 in any order; None unless all are here."""
        places = np.searchsorted(self.rows, rows)
        if len(rows) and (not len(self.rows) or (self.rows[np.minimum(places, len(self.rows) - 1)] != rows).any()):
            return None
        return self.texts.take(pa.array(places))


def spooled(spool: Spool, index: int) -> Spooled | None:
    """Return a part of a spool, mapped; None if it was not written, or a disk damaged it."""
    path = spool.file(index)
    try:
        return _opened(path, stamp_of(path))
    except FileNotFoundError:
        return None


@lru_cache(maxsize=4)  # what reads it reads it more than once
def _opened(path: Path, _: Stamp) -> Spooled | None:
    sized = path.with_suffix(".sizes")
    if not are_whole(path, sized):
        return None
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    rows = table.column(ROW).to_numpy()
    return Spooled(rows=rows, texts=table.column(TEXT), sizes=np.fromfile(sized, np.int64))
