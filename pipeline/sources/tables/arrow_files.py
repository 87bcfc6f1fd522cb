"""Arrow files (IPC, Feather version 2) and streams into documents: one a row, a record batch at a time.

What a batch says of its own layout is checked before it is read, since a wrong offset makes a reader crash; a file that
does so all the same costs a worker of its own and not the run. A file is one slice, as is usual for what a data loader
leaves behind; larger corpora are better kept as parquet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.types as kinds

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.reading.lines import FREE_BYTES, MAX_EXPANSION
from pipeline.sources.files import FileParams, FileReader
from pipeline.sources.formats import advice
from pipeline.sources.reader import Chunk, Slice
from pipeline.sources.rows import printable
from pipeline.sources.tables.chunker import TableChunker, first_of
from pipeline.sources.tables.columns import decoded

ROWS = 1024  # of a batch at a time, so that a large one is not held twice


class ArrowReader(FileReader):
    """Reads a text column, an id column and metadata columns of Arrow files."""

    name: ClassVar[str] = "arrow"
    version: ClassVar[int] = 1
    Params = FileParams
    params: FileParams

    def __init__(self, *, params: FileParams, source: str, base: Path) -> None:
        super().__init__(params=params, source=source, base=base)
        self.chunker = TableChunker(params=params, source=source)

    def check(self) -> None:
        """Raise RecipeError unless the paths name files and the first of them has the columns."""
        first = self.files()[0].path
        try:
            problem = self.chunker.problem(_schema_of(first))
        except DataError:
            return  # an unreadable file is the run's to name, after the others
        if problem:
            raise RecipeError(f"sources.{self.source}: {first} {problem}")

    def names(self) -> list[str]:
        return [printable(name) for name in _schema_of(self.files()[0].path).names]

    def slices(self) -> list[Slice]:
        return [Slice(index, str(file.path), (file.label,), file.path.name) for index, file in enumerate(self.files())]

    def may_break(self, piece: Slice) -> bool:
        return True

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        path, (label,) = Path(piece.path), piece.detail
        if problem := self.chunker.problem(_schema_of(path)):
            raise DataError(f"{path}: {problem}")
        yield from self.chunker.chunks(first_of(self._batches(path), most), label=label, first_row=0)

    def _batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        budget = FREE_BYTES + MAX_EXPANSION * path.stat().st_size
        try:
            for batch in _record_batches(path):
                budget -= batch.nbytes
                if budget < 0:
                    raise DataError(f"{path}: grows more than {MAX_EXPANSION}-fold when decoded. Take it out.")
                wanted = batch.select(self.chunker.columns(batch.schema))
                _unread(wanted).validate(full=True)
                for start in range(0, wanted.num_rows, ROWS):
                    yield decoded(wanted.slice(start, ROWS))
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error


def _record_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file:
        if _is_stream(path):
            yield from pa.ipc.open_stream(file)
            return
        reading = pa.ipc.open_file(file)
        for index in range(reading.num_record_batches):
            yield reading.get_batch(index)


def _is_stream(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) != b"ARROW1"


def _schema_of(path: Path) -> pa.Schema:
    try:
        with pa.OSFile(str(path)) as file:
            return (pa.ipc.open_stream if _is_stream(path) else pa.ipc.open_file)(file).schema
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    way_out = advice(path, reader="arrow") or "Write it again or take it out of the recipe."
    return DataError(f"{path}: cannot be read as an Arrow file ({reason}). {way_out}")


def _unread(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose text is bytes: whether these are UTF-8 is asked row by row, later."""
    as_bytes = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}
    columns = [
        column.view(as_bytes[column.type]) if kinds.is_string(column.type) or column.type in as_bytes else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
