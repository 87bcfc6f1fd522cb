"""The only door to parquet: tables in, durable files out, and back.

A file is written under a temporary name, fsynced and renamed, so a name that exists is a whole file; its folder is
fsynced too, unless the name may wait for another file in that folder that says that all are there, such as a card.
zstd level 1 writes 480 MB/s on one core; level 3 took 1.4 times as long for 9 % fewer bytes (see DECISIONS).
The bytes depend on the table alone: row groups cut by the size of the text, no timestamps, a fixed writer version.
Every page carries a CRC, so a flipped bit is an error that names the file; without one a fifth of the flips in short
texts read as other text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError, ServiceError, mend_writing
from pipeline.core.in_place import InPlace, file_of

GROUP_BYTES = 4 << 20  # of text in a row group: what is measured at once, so that its words stay in the cache

TEXT = "text"
TAKEN_ROWS = 1024  # unpacked at a time where a few rows of a group are wanted

BATCH_ROWS = 64  # as fast as 65,536 (1.2 GB/s against 0.5 GB/s of 4 kB texts, pyarrow 26): they stay in the cache


def write_atomically(path: Path, write: Callable[[BinaryIO], object], *, name_may_wait: bool = False) -> None:
    """Call `write(file)` on a temporary neighbour of `path`, make it durable, then rename it to `path`.

    Where the name may wait, a power cut can still lose the file, whole; a killed process never does.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if not name_may_wait:
            sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ServiceError(f"{path}: cannot be written ({error.strerror or error}). {mend_writing(error)}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text durably and atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_table(path: Path, table: pa.Table, *, text_in: InPlace | None = None, name_may_wait: bool = False) -> None:
    """Write one parquet file durably and atomically, a new row group after every GROUP_BYTES of text.

    With `text_in` the table holds every column of documents but the text, which is read from there ever after.
    """
    if text_in is not None:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **text_in.footer()})

    def write(file: BinaryIO) -> None:
        with pq.ParquetWriter(file, table.schema, **_options(table.schema)) as writer:
            for start, stop in windows(table):
                writer.write_table(table.slice(start, stop - start), row_group_size=max(stop - start, 1))

    write_atomically(path, write, name_may_wait=name_may_wait)


def windows(table: pa.Table) -> list[tuple[int, int]]:
    """Cut a table into runs of rows of about GROUP_BYTES of its column `text`; one run where it has none."""
    if "text" not in table.column_names or not table.num_rows:
        return [(0, table.num_rows)]
    sizes = pc.fill_null(pc.binary_length(table.column("text")), 0)  # numpy through DLPack, as in pipeline.decide
    ends = np.cumsum(np.concatenate([np.from_dlpack(chunk) for chunk in sizes.chunks]), dtype=np.int64)
    found: list[tuple[int, int]] = []
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + GROUP_BYTES, side="right")))
        found.append((start, stop))
        start = stop
    return found


def write_tables(path: Path, tables: Iterable[pa.Table], *, schema: pa.Schema) -> None:
    """Write tables of one schema durably and atomically into one file, a row group each; holds one at a time."""

    def write(file: BinaryIO) -> None:
        with pq.ParquetWriter(file, schema, **_options(schema)) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=max(table.num_rows, 1))

    write_atomically(path, write)


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
    """Read one parquet file that Winnow or a user wrote; an unreadable file is a DataError that names it."""
    with reading(path), _open(path) as file:  # pq.read_table would import pandas: 0.6 s
        wanted = list(columns) if columns is not None else list(file.schema.names)
        _check_columns(file, path, wanted)
        return file.read(wanted)


def iterate_tables(path: Path, *, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield a file's row groups as tables; an empty file yields one empty table."""
    wanted = list(columns)
    with reading(path), _open(path) as file:
        _check_columns(file, path, wanted)
        for group in range(len(file.groups)):
            yield file.read_group(group, wanted)
        if not file.groups:
            yield file.read(wanted)


def read_rows(path: Path, rows: Iterable[int], *, columns: Sequence[str]) -> pa.Table:
    """Read some rows of a file, in ascending order; of the row groups only those that hold one, one at a time."""
    wanted = np.array(sorted(set(rows)), np.int64)
    with reading(path), _open(path) as file:
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


def _integers(values: np.ndarray) -> pa.Array:
    """Return int64 values as an Arrow array; `pa.array` would import pandas: 0.2 s."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values, np.int64))])


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group as the footer describes it; the footer of a hostile file lies, so a bound on nothing."""

    rows: int
    size_bytes: int


class _Stored:
    """An open file that holds all of its columns."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self.file = file
        self.schema = file.schema_arrow
        groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
        self.groups = [RowGroup(rows=group.num_rows, size_bytes=group.total_byte_size) for group in groups]

    def read(self, columns: list[str]) -> pa.Table:
        return self.file.read(columns=columns, use_threads=False).select(columns)

    def read_group(self, group: int, columns: list[str]) -> pa.Table:
        return self.file.read_row_group(group, columns=columns, use_threads=False).select(columns)

    def take(self, group: int, rows: np.ndarray, columns: list[str]) -> pa.Table:
        """Return some rows of a group, ascending; what lies behind the last of them is not unpacked."""
        found, start = [], 0
        for batch in self.batches([group], columns, TAKEN_ROWS):
            here = rows[(rows >= start) & (rows < start + len(batch))]
            if len(here):
                found.append(batch.take(_integers(here - start)))
            start += len(batch)
            if start > rows[-1]:
                break
        return pa.Table.from_batches(found).select(columns)

    def batches(self, groups: Sequence[int], columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        return self.file.iter_batches(batch_size=batch_rows, row_groups=groups, columns=columns, use_threads=False)


class _WithTextElsewhere:
    """An open file whose text lies in another, as `core/in_place.py` says; its row groups are those of the text."""

    def __init__(self, file: pq.ParquetFile, *, text: InPlace, path: Path, opened: ExitStack) -> None:
        self.rest, self.text, self.path, self.opened = _Stored(file), text, path, opened
        fields = list(self.rest.schema)
        fields.insert(SCHEMA.names.index(TEXT), SCHEMA.field(TEXT))
        self.schema = pa.schema(fields)

    @cached_property
    def file(self) -> _Stored:
        where = file_of(self.path, self.text)
        self.opened.enter_context(reading(where))  # so that a damaged input is named, not what points to it
        return _Stored(self.opened.enter_context(_parquet(where)))

    @cached_property
    def kept(self) -> list[np.ndarray | None]:
        """Of each group, which of its rows are documents; None for all of them."""
        skipped = np.array(self.text.skipped, np.int64)
        found: list[np.ndarray | None] = []
        start = 0
        for group in range(self.text.first_group, self.text.past_group):
            rows = self.file.groups[group].rows
            mine = skipped[(skipped >= start) & (skipped < start + rows)] - start
            found.append(np.delete(np.arange(rows), mine) if len(mine) else None)
            start += rows
        return found

    @cached_property
    def groups(self) -> list[RowGroup]:
        groups = self.file.groups[self.text.first_group : self.text.past_group]
        return [
            group if kept is None else RowGroup(rows=len(kept), size_bytes=group.size_bytes)
            for group, kept in zip(groups, self.kept, strict=True)
        ]

    def read(self, columns: list[str]) -> pa.Table:
        if TEXT not in columns:
            return self._others(tuple(columns)).select(columns)
        return pa.concat_tables(self.read_group(group, columns) for group in range(len(self.groups)))

    def read_group(self, group: int, columns: list[str]) -> pa.Table:
        first = sum(before.rows for before in self.groups[:group])
        rest = self._others(tuple(name for name in columns if name != TEXT)).slice(first, self.groups[group].rows)
        if TEXT in columns:
            text = self.file.read_group(self.text.first_group + group, [self.text.column])[0].cast(pa.large_string())
            kept = self.kept[group]
            rest = rest.append_column(self.schema.field(TEXT), text if kept is None else text.take(_integers(kept)))
        return rest.select(columns)

    def take(self, group: int, rows: np.ndarray, columns: list[str]) -> pa.Table:
        first = sum(before.rows for before in self.groups[:group])
        found = self._others(tuple(name for name in columns if name != TEXT)).take(_integers(rows + first))
        if TEXT in columns:
            kept = self.kept[group]
            there = rows if kept is None else kept[rows]
            text = self.file.take(self.text.first_group + group, there, [self.text.column])[0].cast(pa.large_string())
            found = found.append_column(self.schema.field(TEXT), text)
        return found.select(columns)

    def batches(self, groups: Sequence[int], columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        for group in groups:
            yield from self.read_group(group, columns).to_batches(max_chunksize=batch_rows)

    def _others(self, columns: tuple[str, ...]) -> pa.Table:
        if self._held is None or self._held[0] != columns:
            self._held = columns, self.rest.read(list(columns)).replace_schema_metadata()  # it is of this file alone
        return self._held[1]

    _held: tuple[tuple[str, ...], pa.Table] | None = None


@contextmanager
def _open(path: Path) -> Iterator[_Stored | _WithTextElsewhere]:
    with ExitStack() as opened:
        file = opened.enter_context(_parquet(path))
        text = InPlace.of(file.schema_arrow.metadata)
        yield _Stored(file) if text is None else _WithTextElsewhere(file, text=text, path=path, opened=opened)


def _parquet(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, page_checksum_verification=True)


def _check_columns(file: _Stored | _WithTextElsewhere, path: Path, columns: Sequence[str]) -> None:
    missing = sorted(set(columns) - set(file.schema.names))
    if missing:
        raise DataError(f"{path}: has no column `{missing[0]}`; it has {', '.join(file.schema.names)}.")


def schema_of(path: Path) -> pa.Schema:
    """Return a parquet file's Arrow schema."""
    with reading(path), _open(path) as file:
        return file.schema


def row_groups_of(path: Path) -> list[RowGroup]:
    """Return a parquet file's row groups."""
    with reading(path), _open(path) as file:
        return list(file.groups)


def iterate_batches(
    path: Path, *, row_groups: Sequence[int], columns: Sequence[str], batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield some row groups of a foreign file a few rows at a time, so that a bomb cannot fill the memory."""
    with reading(path), _open(path) as file:
        yield from file.batches(row_groups, list(columns), batch_rows)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what Arrow and the system raise while reading `path` into a DataError that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: a damaged column name
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: cannot be read as parquet ({reason}). Replace the file or take it out of the recipe."
        ) from error
