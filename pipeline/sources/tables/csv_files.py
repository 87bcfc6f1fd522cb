"""CSV and TSV files into documents: one a row, columns by the names in the first line, plain, gzip or Zstandard.

Every value is text as it stands, so a number keeps its zeros. Quoted values may hold line ends, for which a file cannot
be cut: it is one slice, read in blocks of bounded memory. A row with more or fewer values than there are columns is
quarantined as `unparsable`, one that is not UTF-8 as `invalid_utf8`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.reading.lines import BOM, iterate_blocks
from pipeline.sources.files import FileParams, FileReader
from pipeline.sources.formats import advice, delimiter_of, format_of
from pipeline.sources.reader import Chunk, Slice
from pipeline.sources.rows import ChunkBuilder, printable
from pipeline.sources.tables.chunker import TableChunker

_HALVES = re.compile("[\udc80-\udcff]")
SPARE_BYTES = 1 << 20  # of a value beyond the longest document: it is refused as too large and not as a broken file


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

    def check(self) -> None:
        """Raise RecipeError unless the paths name files and the first of them has the columns."""
        first = self.files()[0].path
        if format_of(first) not in ("csv", "text", "unknown"):
            raise RecipeError(f"sources.{self.source}: {advice(first, reader='csv')}")
        try:
            problem = self._problem(self._names(first))
        except DataError:
            return  # an unreadable file is the run's to name, after the others
        if problem:
            raise RecipeError(f"sources.{self.source}: {first} {problem}")

    def names(self) -> list[str]:
        return [printable(name) for name in self._names(self.files()[0].path)]

    def slices(self) -> list[Slice]:
        return [Slice(index, str(file.path), (file.label,), file.path.name) for index, file in enumerate(self.files())]

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        path, (label,) = Path(piece.path), piece.detail
        names = self._names(path)
        if problem := self._problem(names):
            raise DataError(f"{path}: {problem}")
        rows = ChunkBuilder(
            source=self.source, origin=self.params.origin, max_document_bytes=self.params.max_document_bytes, most=most
        )
        chosen = self._chosen(names)
        with self._rows(path) as table:
            for number, values in enumerate(table):
                if not self.params.columns and number == 0:
                    continue
                self._add(rows, names, values, chosen, f"{label} row {number + 1}", f"{self.source}/{label}:{number}")
                if rows.full:
                    yield rows.take()
                if rows.enough:
                    break
        if rows.num_rows:
            yield rows.take()

    def _add(
        self, rows: ChunkBuilder, names: Sequence[str], values: Sequence[str], chosen: Sequence[str], place: str,
        id: str,
    ) -> None:  # fmt: skip
        """Keep a row as a document, or quarantine it."""
        if not values:
            return None  # a blank line
        if len(values) != len(names):
            told = f"{len(values)} values for {len(names)} columns: {', '.join(values)}"
            return rows.reject("unparsable", id=id, place=place, excerpt=told)
        row = dict(zip(names, values, strict=True))
        if not all(map(_is_whole, values)):
            return rows.reject("invalid_utf8", id=id, place=place, excerpt=row[self.params.text])
        if self.params.id is not None:
            if not row[self.params.id]:
                return rows.reject("null_id", id=id, place=place, excerpt=row[self.params.text])
            id = row[self.params.id]
        return rows.add(id=id, text=row[self.params.text], metadata={name: row[name] for name in chosen}, place=place)

    def _chosen(self, names: Sequence[str]) -> list[str]:
        """Return the columns that become metadata."""
        return self._chunker().metadata_columns(_schema(names))

    def _problem(self, names: Sequence[str]) -> str:
        return self._chunker().problem(_schema(names))

    def _chunker(self) -> TableChunker:
        return TableChunker(params=self.params, source=self.source)

    def _names(self, path: Path) -> list[str]:
        """Return the names of the columns, as the recipe or the first line has them."""
        if self.params.columns:
            return list(self.params.columns)
        with self._rows(path) as table:
            names = next(table, [])
        if not all(map(_is_whole, names)):
            raise DataError(
                f"{path}: its first line, which names the columns, is not UTF-8. Save it as UTF-8, or take it out."
            )
        return names

    def _delimiter(self, path: Path) -> str:
        if self.params.delimiter is not None:
            return self.params.delimiter
        beginning = next(iterate_blocks(path, start=0, end=-1), b"").removeprefix(BOM)
        return delimiter_of(beginning) or ("\t" if ".tsv" in path.name.lower() else ",")

    @contextmanager
    def _rows(self, path: Path) -> Iterator[Iterator[list[str]]]:
        """Open a table; DataError where its quotes cannot be told apart."""
        text = io.TextIOWrapper(
            io.BufferedReader(_Blocks(path)), encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        before = csv.field_size_limit(self.params.max_document_bytes + SPARE_BYTES)
        try:
            yield csv.reader(text, delimiter=self._delimiter(path))
        except csv.Error as error:
            raise DataError(
                f"{path}: cannot be read as a table ({error}). A quote that is never closed does that, or a value "
                f"longer than {self.params.max_document_bytes + SPARE_BYTES:,} characters (max_document_bytes decides)."
            ) from error
        finally:
            csv.field_size_limit(before)


def _is_whole(value: str) -> bool:
    """Say whether a value was UTF-8: other bytes were read as halves of characters."""
    return value.isascii() or _HALVES.search(value) is None


def _schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


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
