"""A parquet file opened for reading: all columns from one file, or the text from another, as `core/in_place.py` says.

Both kinds are read in the same way, so nobody else knows which one it is. Text that lies elsewhere is held against the
stamp under which it was opened when the reading ends: a file that was edited meanwhile gives an error, not a mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError, ServiceError
from pipeline.core.files.names import CARD
from pipeline.core.files.parquet.in_place import InPlace, Stamp, file_of, stamp_of
from pipeline.core.files.parquet.parquet_bounds import WIDTHS, Leaf
from pipeline.core.files.parquet.parquet_pages import PageError, pages_of
from pipeline.core.files.stores.stored import present

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

TEXT = "text"
TAKEN_ROWS = 1024  # unpacked at a time where a few rows of a group are wanted


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group as the footer describes it; the footer of a hostile file lies, so a bound on nothing."""

    rows: int
    size_bytes: int


class WholeFile:
    """An open file that holds all of its columns."""

    def __init__(self, file: ParquetFile) -> None:
        self.file = file
        self.schema = file.schema_arrow
        groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
        self.groups = [RowGroup(rows=group.num_rows, size_bytes=group.total_byte_size) for group in groups]

    def read(self, columns: list[str]) -> pa.Table:
        return self.file.read(columns=columns, use_threads=False).select(columns)

    def read_groups(self, first: int, past: int, columns: list[str]) -> pa.Table:
        return self.file.read_row_groups(list(range(first, past)), columns=columns, use_threads=False).select(columns)

    def take(self, group: int, rows: np.ndarray, columns: list[str]) -> pa.Table:
        """Return some rows of a group, ascending; what lies behind the last of them is not unpacked."""
        found, start = [], 0
        for batch in self.batches([group], columns, TAKEN_ROWS):
            here = rows[(rows >= start) & (rows < start + len(batch))]
            if len(here):
                found.append(batch.take(pa.array(here - start)))
            start += len(batch)
            if start > rows[-1]:
                break
        return pa.Table.from_batches(found).select(columns)

    def leaves(self, group: int, columns: Sequence[str], handle: int) -> list[Leaf]:
        """Return what the pages of some columns may decode to; `handle` is the same file, opened."""
        found, of_group = [], self.file.metadata.row_group(group)
        for number in range(of_group.num_columns):
            chunk, kind = of_group.column(number), self.file.schema.column(number)
            path = chunk.path_in_schema
            if not any(path == name or path.startswith(f"{name}.") for name in columns):
                continue
            start, before = chunk.data_page_offset, chunk.dictionary_page_offset
            start = before if before is not None and 0 < before < start else start
            pages = pages_of(handle, start=start, end=start + chunk.total_compressed_size, num_values=chunk.num_values)
            width = WIDTHS.get(chunk.physical_type, kind.length if chunk.physical_type.startswith("FIXED") else 0)
            found.append(
                Leaf(width, kind.max_repetition_level, kind.max_definition_level > 0, chunk.compression, pages)
            )
        return found

    def batches(self, groups: Sequence[int], columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        return self.file.iter_batches(batch_size=batch_rows, row_groups=groups, columns=columns, use_threads=False)


class WithTextElsewhere:
    """An open file whose text lies in another; its row groups are those of the text, without rows that are skipped."""

    def __init__(self, file: ParquetFile, *, text: InPlace, path: Path, stack: ExitStack) -> None:
        self.rest, self.text, self.path, self.stack = WholeFile(file), text, path, stack
        fields = list(self.rest.schema)
        fields.insert(SCHEMA.names.index(TEXT), SCHEMA.field(TEXT))
        self.schema = pa.schema(fields)
        self.skipped = np.array(text.skipped, np.int64)
        self._held: tuple[list[str], pa.Table] | None = None

    @cached_property
    def elsewhere(self) -> tuple[Path, Stamp, WholeFile]:
        """The file that holds the text, and its stamp when it was opened."""
        path = file_of(self.path, self.text)
        stamp = stamp_of(path)
        with reading(path):
            return path, stamp, WholeFile(self.stack.enter_context(_parquet(path)))

    @cached_property
    def starts(self) -> np.ndarray:
        """int64[num_groups + 1]: the first row of each row group over there, counted from the first of them."""
        groups = self.elsewhere[2].groups[self.text.first_group : self.text.past_group]
        return np.cumsum([0, *(group.rows for group in groups)])

    @cached_property
    def firsts(self) -> np.ndarray:
        """int64[num_groups + 1]: the first row here of each."""
        found: np.ndarray = self.starts - np.searchsorted(self.skipped, self.starts)
        return found

    @cached_property
    def groups(self) -> list[RowGroup]:
        sizes = [group.size_bytes for group in self.elsewhere[2].groups[self.text.first_group : self.text.past_group]]
        return [RowGroup(int(rows), size) for rows, size in zip(np.diff(self.firsts), sizes, strict=True)]

    def read(self, columns: list[str]) -> pa.Table:
        if TEXT not in columns:
            return self._others(columns).select(columns)
        return self.read_groups(0, len(self.groups), columns)

    def read_groups(self, first: int, past: int, columns: list[str]) -> pa.Table:
        start, end = int(self.firsts[first]), int(self.firsts[past])
        rest = self._others(columns).slice(start, end - start)
        if TEXT in columns:
            path, _, file = self.elsewhere
            groups = self.text.first_group + first, self.text.first_group + past
            with reading(path):
                text = file.read_groups(*groups, [self.text.column])[0].cast(pa.large_string())
            rest = rest.append_column(SCHEMA.field(TEXT), text if end - start == len(text) else self._kept(text, first))
        return rest.select(columns)

    def _kept(self, text: pa.ChunkedArray, first: int) -> pa.ChunkedArray:
        """Return the texts of whole row groups, from group `first` on, without the rows that are skipped."""
        start = int(self.starts[first])
        here = self.skipped[(self.skipped >= start) & (self.skipped < start + len(text))] - start
        return text.take(pa.array(np.delete(np.arange(len(text)), here)))

    def take(self, group: int, rows: np.ndarray, columns: list[str]) -> pa.Table:
        found = self._others(columns).take(pa.array(rows + self.firsts[group]))
        if TEXT in columns:
            path, _, file = self.elsewhere
            start, end = self.starts[group : group + 2]
            documents = np.setdiff1d(np.arange(start, end), self.skipped, assume_unique=True) - start
            with reading(path):
                text = file.take(self.text.first_group + group, documents[rows], [self.text.column])[0]
            found = found.append_column(SCHEMA.field(TEXT), text.cast(pa.large_string()))
        return found.select(columns)

    def batches(self, groups: Sequence[int], columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        for group in groups:
            yield from self.read_groups(group, group + 1, columns).to_batches(max_chunksize=batch_rows)

    def _others(self, columns: Sequence[str]) -> pa.Table:
        """Return the columns that are stored here, at least one: a table of none forgets its rows."""
        wanted = [name for name in columns if name != TEXT] or ["id"]
        if self._held is None or self._held[0] != wanted:
            self._held = wanted, self.rest.read(wanted).replace_schema_metadata()  # it is of this file alone
        return self._held[1]

    def refuse_changed(self) -> None:
        """Raise DataError if the file that holds the text has been replaced since it was opened."""
        if "elsewhere" in self.__dict__:
            path, stamp, _ = self.elsewhere
            if stamp_of(path) != stamp:
                raise DataError(f"{path}: changed while it was read. Run again when it is whole.")


@contextmanager
def opened(path: Path) -> Iterator[WholeFile | WithTextElsewhere]:
    """Open a parquet file that Tamis or a user wrote."""
    with ExitStack() as stack:
        file = stack.enter_context(_parquet(path))
        text = InPlace.of(file.schema_arrow.metadata, path=path)
        if text is None:
            yield WholeFile(file)
            return
        both = WithTextElsewhere(file, text=text, path=path, stack=stack)
        yield both
        both.refuse_changed()


def _parquet(path: Path) -> ParquetFile:
    from pyarrow.parquet import ParquetFile  # 0.03 s, which runs with nothing to do need not

    return ParquetFile(present(path), page_checksum_verification=True)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what Arrow and the system raise while reading `path` into a DataError that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. {way_out(path)}") from error
    except (MemoryError, pa.ArrowMemoryError) as error:
        raise ServiceError(
            f"{path}: there is not enough memory to read it ({error}). Give the machine more or fewer --workers, then "
            "run again."
        ) from error
    except (pa.ArrowException, OSError, UnicodeDecodeError, PageError) as error:  # the third: a damaged column name
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: cannot be read as parquet ({reason}). {way_out(path)}") from error


def way_out(path: Path) -> str:
    """Return what helps when a file is damaged or gone: a result is made again, an input only its owner can repair."""
    if (path.parent / CARD).exists():
        return f"Delete {path.parent} and run the recipe again."
    return "Replace the file or take it out of the recipe."
