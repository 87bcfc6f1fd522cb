"""The one module that reads and writes parquet: tables in, durable files out, and back.

zstd level 1 writes 480 MB/s on one core; level 3 took 1.4 times as long for 9 % fewer bytes (see DECISIONS).
The bytes depend on the table alone: row groups cut by the size of the text, no timestamps, a fixed writer version.
Every page carries a CRC, so a flipped bit is an error that names the file; without one a fifth of the flips in short
texts read as other text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pyarrow as pa

from pipeline.core.errors import DataError
from pipeline.core.files.parquet.in_place import InPlace
from pipeline.core.files.parquet.opened import RowGroup, WholeFile, WithTextElsewhere, opened, reading
from pipeline.core.files.parquet.parquet_bounds import AT_ONCE_BYTES, BATCH_ROWS, most_rows, rows_at_once
from pipeline.core.files.writing.durable import write_atomically

GROUP_BYTES = 4 << 20  # of text in a row group: what is measured at once, so that its words stay in the cache


def write_table(path: Path, table: pa.Table, *, text_in: InPlace | None = None, unfinished: bool = False) -> None:
    """Write one parquet file durably and atomically, a new row group after every GROUP_BYTES of text.

    With `text_in` the table holds every column of documents but the text, which is read from there ever after.
    """
    if text_in is not None:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **text_in.footer()})

    def write(file: BinaryIO) -> None:
        from pyarrow.parquet import ParquetWriter  # 0.03 s, which runs with nothing to do need not

        with ParquetWriter(file, table.schema, **_options(table.schema)) as writer:
            for start, stop in windows(table):
                writer.write_table(table.slice(start, stop - start), row_group_size=max(stop - start, 1))

    write_atomically(path, write, unfinished=unfinished)


def windows(table: pa.Table) -> list[tuple[int, int]]:
    """Cut a table into runs of rows of about GROUP_BYTES of its column `text`; one run where it has none."""
    import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

    if "text" not in table.column_names or not table.num_rows:
        return [(0, table.num_rows)]
    sizes = pc.fill_null(pc.binary_length(table.column("text")), 0)
    ends = np.cumsum(sizes.to_numpy(), dtype=np.int64)
    found: list[tuple[int, int]] = []
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + GROUP_BYTES, side="right")))
        found.append((start, stop))
        start = stop
    return found


def write_tables(path: Path, tables: Iterable[pa.Table], *, schema: pa.Schema, unfinished: bool = False) -> None:
    """Write tables of one schema durably and atomically into one file, a row group each; holds one at a time."""

    def write(file: BinaryIO) -> None:
        from pyarrow.parquet import ParquetWriter

        with ParquetWriter(file, schema, **_options(schema)) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=max(table.num_rows, 1))

    write_atomically(path, write, unfinished=unfinished)


def _options(schema: pa.Schema) -> dict[str, Any]:
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": _dictionary_columns(schema),
        "write_page_checksum": True,
    }


def _dictionary_columns(schema: pa.Schema) -> list[str]:
    """Columns worth a dictionary: all but long text and ids, where building one is wasted work."""
    plain = {"id", "text", "metadata"}
    return [field.name for field in schema if field.name not in plain and not pa.types.is_floating(field.type)]


def read_table(path: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one parquet file that Tamis or a user wrote; an unreadable file is a DataError that names it."""
    with reading(path), opened(path) as file:
        wanted = list(columns) if columns is not None else list(file.schema.names)
        _check_columns(file, path, wanted)
        return file.read(wanted)


def iterate_tables(path: Path, *, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield a file's rows in tables of whole row groups, small ones together; an empty file yields one empty table."""
    wanted = list(columns)
    with reading(path), opened(path) as file:
        _check_columns(file, path, wanted)
        for first, past in _packed(file.groups):
            yield file.read_groups(first, past, wanted)
        if not file.groups:
            yield file.read(wanted)


def _packed(groups: Sequence[RowGroup]) -> Iterator[tuple[int, int]]:
    """Yield (first, past) of runs of row groups of at most GROUP_BYTES, or of one that is larger."""
    first, size = 0, 0
    for index, group in enumerate(groups):
        if index > first and size + group.size_bytes > GROUP_BYTES:
            yield first, index
            first, size = index, 0
        size += group.size_bytes
    if groups:
        yield first, len(groups)


def read_rows(path: Path, rows: Iterable[int], *, columns: Sequence[str]) -> pa.Table:
    """Read some rows of a file, in ascending order; of the row groups only those that hold one, one at a time."""
    wanted = np.array(sorted(set(rows)), np.int64)
    with reading(path), opened(path) as file:
        _check_columns(file, path, columns)
        starts = np.cumsum([0, *(group.rows for group in file.groups)])
        if len(wanted) and wanted[-1] >= starts[-1]:
            raise DataError(f"{path}: has no row {wanted[-1]}; it has {starts[-1]}. Run the recipe again.")
        found = [pa.Table.from_batches([], schema=pa.schema([file.schema.field(name) for name in columns]))]
        owner = np.searchsorted(starts, wanted, side="right") - 1
        for group in np.unique(owner).tolist():
            table = file.take(group, wanted[owner == group] - starts[group], list(columns))
            found.append(table.replace_schema_metadata())
        return pa.concat_tables(found)


def _check_columns(file: WholeFile | WithTextElsewhere, path: Path, columns: Sequence[str]) -> None:
    missing = sorted(set(columns) - set(file.schema.names))
    if missing:
        raise DataError(f"{path}: has no column `{missing[0]}`; it has {', '.join(file.schema.names)}.")


def schema_of(path: Path) -> pa.Schema:
    """Return a parquet file's Arrow schema."""
    with reading(path), opened(path) as file:
        return file.schema


def is_text_elsewhere(path: Path) -> bool:
    """Say whether a documents file takes its text from another."""
    with reading(path), opened(path) as file:
        return isinstance(file, WithTextElsewhere)


def row_groups_of(path: Path) -> list[RowGroup]:
    """Return a parquet file's row groups."""
    with reading(path), opened(path) as file:
        return list(file.groups)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring row groups of a foreign file that are read alike: so many rows at a time, 0 for not at all."""

    first: int
    past: int
    batch_rows: int
    rows: int
    why: Literal["", "decodes_too_large", "too_many_rows"] = ""  # they are not read


def stretches(path: Path, *, row_groups: range, columns: Sequence[str], row_bytes: int) -> list[Stretch]:
    """Say how some row groups can be read within bounds, whatever their values decode to; none of them is decoded.

    `row_bytes` is what one row may take, its pages included. DataError for pages that are none.
    """
    with reading(path), opened(path) as file, path.open("rb") as handle:
        if isinstance(file, WithTextElsewhere):  # one of ours
            return [Stretch(row_groups.start, row_groups.stop, BATCH_ROWS[0], sum(g.rows for g in file.groups))]
        found: list[Stretch] = []
        first_row = sum(group.rows for group in file.groups[: row_groups.start])
        most, held = most_rows(path.stat().st_size), 0  # bytes of small groups that one batch may span
        for group in row_groups:
            rows, past = file.groups[group].rows, group + 1
            first_row += rows
            if first_row > most:
                found.append(Stretch(group, past, 0, rows, "too_many_rows"))
                continue
            leaves = file.leaves(group, columns, handle.fileno())
            at_once, size = rows_at_once(handle.fileno(), leaves, rows=rows, row_bytes=row_bytes)
            held = held + size if rows < BATCH_ROWS[0] else size
            last = found[-1] if found else None
            if last is not None and at_once == last.batch_rows == BATCH_ROWS[0] and held <= AT_ONCE_BYTES:
                found[-1] = Stretch(last.first, past, at_once, last.rows + rows)
                continue
            held = size
            found.append(Stretch(group, past, at_once, rows, "" if at_once else "decodes_too_large"))
        return found


def iterate_batches(
    path: Path, *, row_groups: Sequence[int], columns: Sequence[str], batch_rows: int = BATCH_ROWS[0]
) -> Iterator[pa.RecordBatch]:
    """Yield some row groups of a foreign file a few rows at a time, so that a bomb cannot fill the memory."""
    with reading(path), opened(path) as file:
        yield from file.batches(row_groups, list(columns), batch_rows)
