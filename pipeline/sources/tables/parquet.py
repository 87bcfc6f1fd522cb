"""Parquet files into documents: whole row groups packed into slices of about 64 MiB, read 64 rows at a time.

A file whose bytes are broken is a DataError that names it; pyarrow checks page checksums where the writer left some.
Rows are numbered from 0 over the whole file, so an id does not depend on where the slices are cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.parquet.in_place import InPlace
from pipeline.core.files.parquet.opened import RowGroup, reading
from pipeline.core.files.parquet.parquet_bounds import BATCH_ROWS, ROW_BYTES
from pipeline.core.files.parquet.shards import (
    Stretch,
    is_text_elsewhere,
    iterate_batches,
    row_groups_of,
    schema_of,
    stretches,
)
from pipeline.core.files.reading.lines import FREE_BYTES, MAX_EXPANSION
from pipeline.sources.files import FileParams, FileReader
from pipeline.sources.reader import SLICE_BYTES, Chunk, Slice
from pipeline.sources.rows import printable
from pipeline.sources.tables.chunker import TableChunker, first_of

MANY_GROUPS, SMALL_BYTES = 64, 256 << 10  # that many row groups of fewer bytes are read too slowly to stay


class ParquetParams(FileParams):
    """Which files, which of their columns, and whether their text is stored again."""

    in_place: bool = Field(
        default=True,
        description="Read the text where it lies, ever after, instead of storing a copy: the files must stay. "
        "With `limit` or `sample` a copy of these rows is stored.",
    )


class ParquetReader(FileReader):
    """Reads a text column, an id column and metadata columns of parquet files."""

    name: ClassVar[str] = "parquet"
    version: ClassVar[int] = 4
    Params = ParquetParams
    params: ParquetParams

    def __init__(self, *, params: ParquetParams, source: str, base: Path) -> None:
        super().__init__(params=params, source=source, base=base)
        self.chunker = TableChunker(params=params, source=source)
        self._looked: tuple[Slice, list[Stretch]] | None = None  # at the slice that is read next

    def check(self) -> None:
        """Raise RecipeError unless the paths name files and the first of them has the columns."""
        first = self.files()[0]
        try:
            with reading(first.path):
                problem = self.chunker.problem(schema_of(first.path))
        except DataError:
            return  # an unreadable shard is the run's to name, after the others
        if problem:
            raise RecipeError(f"sources.{self.source}: {first.path} {problem}")

    def names(self) -> list[str]:
        return [printable(name) for name in schema_of(self.files()[0].path).names]

    def locations(self) -> dict[str, Path]:
        stays = self.params.in_place and self.params.takes_all
        return {file.label: file.where for file in self.files()} if stays else {}

    def slices(self) -> list[Slice]:
        slices: list[Slice] = []
        for file in self.files():
            row = 0
            for start, stop, rows in _packed(_row_groups(file.path)):
                label = f"{file.path.name} rows {row}-{max(row + rows - 1, row)}"
                slices.append(Slice(len(slices), str(file.path), (file.label, start, stop, row), label))
                row += rows
        return slices

    def may_break(self, piece: Slice) -> bool:
        """Say whether a slice decodes to so much that its rows cannot be read 64 at a time."""
        try:
            return not _is_ordinary(self._stretches(piece))
        except DataError:
            return False  # refused without being decoded

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        path = Path(piece.path)
        label, start, stop, first_row = piece.detail
        with reading(path):
            schema = schema_of(path)
            problem = self.chunker.problem(schema)
            if problem:
                raise DataError(f"{path}: {problem}")
            groups = row_groups_of(path)[start : None if stop < 0 else stop]
            found = self._stretches(piece)

            if (
                self.params.in_place
                and self.params.takes_all
                and _is_ordinary(found)
                and self._can_stay(path, schema, groups)
            ):
                screened = self.chunker.screened(
                    (batch for stretch in found for batch in self._batches(path, stretch)),
                    label=label, first_row=first_row, group_rows=[group.rows for group in groups],
                )  # fmt: skip
                if screened is not None:
                    text_in = InPlace(
                        file=label, blake3="", column=self.params.text, first_group=start,
                        past_group=start + len(groups), skipped=screened.skipped,
                    )  # fmt: skip
                    yield Chunk(screened.table, screened.quarantined, screened.rows_in, text_in, screened.text)
                    return
            yield from self._chunks(path, _first_of(found, most), label=label, first_row=first_row)

    def _stretches(self, piece: Slice) -> list[Stretch]:
        if self._looked is None or self._looked[0] != piece:
            path, (_, start, stop, _) = Path(piece.path), piece.detail
            groups = range(start, len(row_groups_of(path)) if stop < 0 else stop)
            columns, most = self.chunker.columns(schema_of(path)), ROW_BYTES + self.params.max_document_bytes
            self._looked = piece, stretches(path, row_groups=groups, columns=columns, row_bytes=most)
        return self._looked[1]

    def _batches(self, path: Path, stretch: Stretch) -> Iterator[pa.RecordBatch]:
        groups, columns = range(stretch.first, stretch.past), self.chunker.columns(schema_of(path))
        return iterate_batches(path, row_groups=groups, columns=columns, batch_rows=stretch.batch_rows)

    def _chunks(self, path: Path, found: Sequence[Stretch], *, label: str, first_row: int) -> Iterator[Chunk]:
        """Yield what the bounds allow as documents, and the rest as quarantined: the same rows on every machine."""
        budget = FREE_BYTES + MAX_EXPANSION * path.stat().st_size
        for stretch in found:
            past = first_row + stretch.rows
            if stretch.batch_rows and budget >= 0:
                batches = first_of(self._batches(path, stretch), stretch.rows)
                for chunk in self.chunker.chunks(batches, label=label, first_row=first_row):
                    yield chunk
                    first_row += chunk.rows_in
                    budget -= chunk.table.nbytes
                    if budget < 0:
                        break
                else:
                    continue
            yield self.chunker.refused(range(first_row, past), label=label, reason=stretch.why or "decodes_too_large")
            first_row = past

    def _can_stay(self, path: Path, schema: pa.Schema, groups: Sequence[RowGroup]) -> bool:
        """Say whether a slice's text may be read from its file ever after."""
        crumbs = len(groups) > MANY_GROUPS and sum(group.size_bytes for group in groups) < SMALL_BYTES * len(groups)
        return self.chunker.can_stay(schema) and not crumbs and not is_text_elsewhere(path)


def _is_ordinary(found: Sequence[Stretch]) -> bool:
    return all(stretch.batch_rows == BATCH_ROWS[0] for stretch in found)


def _first_of(found: Sequence[Stretch], most: int | None) -> list[Stretch]:
    """Return stretches of so many rows; where many rows are one entry, that counts as all of them."""
    if most is None:
        return list(found)
    before = np.cumsum([0, *(stretch.rows for stretch in found)]).tolist()
    pairs = zip(found, before, strict=False)
    return [replace(stretch, rows=min(stretch.rows, most - start)) for stretch, start in pairs if start < most]


def _row_groups(path: Path) -> list[RowGroup]:
    """Return the row groups, none for a file that cannot be opened: reading its slice will say so."""
    try:
        return row_groups_of(path)
    except DataError:
        return []


def _packed(groups: list[RowGroup]) -> Iterator[tuple[int, int, int]]:
    """Yield (first group, group after the last, rows) of slices; one open-ended slice where no group is known."""
    if not groups:
        yield 0, -1, 0
    start = 0
    while start < len(groups):
        stop, size = start + 1, groups[start].size_bytes
        while stop < len(groups) and size + groups[stop].size_bytes <= SLICE_BYTES:
            size += groups[stop].size_bytes
            stop += 1
        yield start, stop, sum(group.rows for group in groups[start:stop])
        start = stop
