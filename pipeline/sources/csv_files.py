"""CSV and TSV files into documents: one a row, columns by the names in the first line, plain, gzip or Zstandard.

Every value is text as it stands, so a number keeps its zeros. Quoted values may hold line ends, for which a file cannot
be cut: it is one slice, read in blocks of bounded memory. A row with more or fewer values than the first line has names
is quarantined as `unparsable`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.lines import BOM, iterate_blocks
from pipeline.sources.files import FileParams, FileReader
from pipeline.sources.formats import advice, delimiter_of, format_of
from pipeline.sources.reader import Chunk, Quarantined, Slice
from pipeline.sources.rows import printable
from pipeline.sources.tables import TableChunker, first_of

BLOCK_BYTES = 1 << 20
ROW_FACTOR = 2  # a quote within quotes is written twice


class CsvParams(FileParams):
    """Which files, which of their columns, and how values are told apart."""

    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1,
        description="Mark between two values; told from the first two lines unless given: comma, tab, ; or |.",
    )  # fmt: skip
    columns: tuple[str, ...] = Field(
        default=(), description="Names of the columns, where the first line does not give them."
    )


class CsvReader(FileReader):
    """Reads one document per row of a table of text."""

    name: ClassVar[str] = "csv"
    version: ClassVar[int] = 1
    Params = CsvParams
    params: CsvParams

    def __init__(self, *, params: CsvParams, source: str, base: Path) -> None:
        super().__init__(params=params, source=source, base=base)
        self.chunker = TableChunker(params=params, source=source)

    def check(self) -> None:
        """Raise RecipeError unless the paths name files and the first of them has the columns."""
        first = self.files()[0].path
        if format_of(first) not in ("csv", "text", "unknown"):
            raise RecipeError(f"sources.{self.source}: {advice(first, reader='csv')}")
        try:
            problem = self.chunker.problem(_schema(self._names(first)))
        except DataError:
            return  # an unreadable file is the run's to name, after the others
        if problem:
            raise RecipeError(f"sources.{self.source}: {first} {problem}")

    def names(self) -> list[str]:
        return [printable(name) for name in self._names(self.files()[0].path)]

    def slices(self) -> list[Slice]:
        return [Slice(index, str(file.path), (file.label,), file.path.name) for index, file in enumerate(self.files())]

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        path, (label,), wrong = Path(piece.path), piece.detail, list[Quarantined]()
        names = self._names(path)
        if problem := self.chunker.problem(_schema(names)):
            raise DataError(f"{path}: {problem}")
        try:
            batches = first_of(self._batches(path, names, label, wrong), most)
            for chunk in self.chunker.chunks(batches, label=label, first_row=0):
                yield from self._told(wrong)
                yield chunk
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{path}: cannot be read as a table ({str(error).splitlines()[0]}). A quote that is never closed, or a "
                f"row longer than {self._block_bytes():,} bytes (max_document_bytes decides), does that."
            ) from error
        yield from self._told(wrong)

    def _told(self, wrong: list[Quarantined]) -> Iterator[Chunk]:
        if wrong:
            yield Chunk(SCHEMA.empty_table(), tuple(wrong), len(wrong))
            wrong.clear()

    def _block_bytes(self) -> int:
        return max(BLOCK_BYTES, ROW_FACTOR * self.params.max_document_bytes + BLOCK_BYTES)

    def _names(self, path: Path) -> list[str]:
        """Return the names of the columns, as the recipe or the first line has them."""
        if self.params.columns:
            return list(self.params.columns)
        from pyarrow.csv import ParseOptions, ReadOptions, open_csv

        options = ParseOptions(delimiter=self._delimiter(path), newlines_in_values=True, invalid_row_handler=_skip)
        try:
            with open_csv(_stream(path), ReadOptions(use_threads=False, block_size=self._block_bytes()), options) as at:
                return list(at.schema.names)
        except pa.ArrowInvalid as error:
            raise DataError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]}).") from error

    def _delimiter(self, path: Path) -> str:
        if self.params.delimiter is not None:
            return self.params.delimiter
        beginning = next(iterate_blocks(path, start=0, end=-1), b"").removeprefix(BOM)
        return delimiter_of(beginning) or ("\t" if ".tsv" in path.name.lower() else ",")

    def _batches(self, path: Path, names: list[str], label: str, wrong: list[Quarantined]) -> Iterator[pa.RecordBatch]:
        from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, open_csv

        def refuse(row: Any) -> str:
            place = f"{label} row {row.number}" if row.number is not None else label
            excerpt = f"{row.actual_columns} values for {row.expected_columns} columns: {row.text}"
            id = f"{self.source}/{label}:row {row.number}"
            wrong.append(Quarantined(id, place, "unparsable", printable(excerpt)))
            return "skip"

        given = list(self.params.columns) or None
        with open_csv(
            _stream(path),
            ReadOptions(use_threads=False, block_size=self._block_bytes(), column_names=given),
            ParseOptions(delimiter=self._delimiter(path), newlines_in_values=True, invalid_row_handler=refuse),
            ConvertOptions(
                column_types={name: pa.binary() for name in names}, null_values=[], strings_can_be_null=False,
                include_columns=self.chunker.columns(_schema(names)),
            ),
        ) as reading:  # fmt: skip
            for batch in reading:
                columns = [column.view(pa.string()) for column in batch.columns]  # checked for UTF-8 row by row
                yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _skip(row: Any) -> str:
    return "skip"


def _schema(names: list[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


def _stream(path: Path) -> pa.PythonFile:
    return pa.PythonFile(_Blocks(path), mode="r")


class _Blocks(io.RawIOBase):
    """A file's decoded bytes, for a reader that asks for some at a time."""

    def __init__(self, path: Path) -> None:
        self.blocks = iterate_blocks(path, start=0, end=-1)
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.rest:
            self.rest = memoryview(next(self.blocks, b""))
        size = min(len(self.rest), len(buffer))
        buffer[:size] = self.rest[:size]
        self.rest = self.rest[size:]
        return size
