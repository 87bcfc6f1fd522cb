"""Arrow tables of any shape into chunks of documents, without a Python object per row on the usual path.

A row is refused for the first reason that applies, in a fixed order; whole columns are tested at once and single rows
are looked at only where a column fails. 64 rows at a time are read and what they really take is measured, since a
footer cannot be trusted (479 bytes that say 1 MB can decode to 200 MB).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa

from pipeline.core.document import SCHEMA
from pipeline.core.errors import listed_names
from pipeline.sources.reader import CHUNK_BYTES, Chunk, ColumnParams, Quarantined, Reason
from pipeline.sources.rows import EXCERPT_CHARACTERS, MAX_ID_BYTES, printable
from pipeline.sources.tables.columns import (
    bytes_of,
    decoded,
    invalid_utf8,
    is_text,
    json_columns,
    json_objects,
    size_as_documents,
)

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)
SCREENED_BYTES = 1 << 20  # judged at a time where the text stays in place: they are still in the cache
MOST_SKIPPED = 10_000  # rows of a slice that are no documents; with more of them its text is stored anew
MOST_HELD = 512 << 20  # bytes of ids and metadata of one slice; with more of them it is stored in chunks
WITHOUT_TEXT = pa.schema([field for field in SCHEMA if field.name != "text"])


@dataclass(frozen=True, slots=True)
class Screened:
    """A slice whose text stays where it is: the other columns of its documents, and its rows that are none."""

    table: pa.Table  # schema: WITHOUT_TEXT
    quarantined: tuple[Quarantined, ...]
    rows_in: int
    skipped: tuple[int, ...]  # rows of the slice, from 0
    text: pa.ChunkedArray | None  # of the documents; None where it is more than a chunk holds


class TableChunker:
    """Turns tables with a text column into chunks, as one source's parameters say."""

    def __init__(self, *, params: ColumnParams, source: str) -> None:
        self.params = params
        self.source = source

    def problem(self, schema: pa.Schema) -> str:
        """Say which column does not fit the parameters and what to do, or nothing."""
        listed = self.params.metadata if isinstance(self.params.metadata, tuple) else ()
        for name in (*self._keys(), *listed):
            count = schema.names.count(name)
            if count != 1:
                found = "no column" if count == 0 else f"{count} columns"
                close = "" if count else "".join(difflib.get_close_matches(name, schema.names, n=1))
                hint = f" Did you mean {close}?" if close else ""
                return f"has {found} {name!r}.{hint} Its columns: {listed_names(schema.names) or 'none'}."
        kind = schema.field(self.params.text).type
        if not is_text(kind):
            texts = listed_names([field.name for field in schema if is_text(field.type)])
            return f"has {kind} in column {self.params.text!r}; it must be text. Text columns: {texts or 'none'}."
        if self.params.id is not None:
            kind = schema.field(self.params.id).type
            if not (is_text(kind) or pa.types.is_integer(kind)):
                return f"has {kind} in id column {self.params.id!r}; it must be text or integers. Leave id out."
        wrong = [name for name in listed if name not in json_columns(schema)]
        if wrong:
            kind = schema.field(wrong[0]).type
            return f"has {kind} in column {wrong[0]!r}, which JSON cannot hold. Take it out of metadata."
        return ""

    def _keys(self) -> list[str]:
        return [self.params.text] if self.params.id is None else [self.params.text, self.params.id]

    def metadata_columns(self, schema: pa.Schema) -> list[str]:
        """Return the columns that become metadata, sorted."""
        if self.params.metadata == "none":
            return []
        if self.params.metadata == "all":
            return [name for name in json_columns(schema) if name not in self._keys()]
        return sorted(set(self.params.metadata))

    def columns(self, schema: pa.Schema) -> list[str]:
        """Return the columns to read, sorted."""
        return sorted({*self._keys(), *self.metadata_columns(schema)})

    def chunks(self, batches: Iterable[pa.Table | pa.RecordBatch], *, label: str, first_row: int) -> Iterator[Chunk]:
        """Gather small batches into chunks of about 64 MiB, measured as decoded."""
        for table in _gathered(batches, size_bytes=CHUNK_BYTES):
            chunk = self.chunk(table, label=label, first_row=first_row)
            first_row += chunk.rows_in
            yield chunk

    def refused(self, rows: range, *, label: str, reason: Reason) -> Chunk:
        """Return rows that were not read, one quarantined for each, or one for all where there are too many."""
        places = (
            [(str(row), f"row {row}") for row in rows]
            if reason != "too_many_rows"
            else [(f"{rows.start}-{rows.stop - 1}", f"rows {rows.start} to {rows.stop - 1}")]
        )
        quarantined = tuple(
            Quarantined(f"{self.source}/{label}:{number}", f"{label} {place}", reason, "") for number, place in places
        )
        return Chunk(SCHEMA.empty_table(), quarantined, len(quarantined))

    def can_stay(self, schema: pa.Schema) -> bool:
        """Say whether text of this column can be used as it is stored."""
        kind = schema.field(self.params.text).type
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))

    def screened(
        self, batches: Iterable[pa.RecordBatch], *, label: str, first_row: int, group_rows: Sequence[int]
    ) -> Screened | None:
        """Judge rows as `chunk` does, the text beside them; None if it cannot stay.

        It cannot where a row group is larger than a chunk, as readers take a group at once, where most rows are
        refused, or where the other columns are too large to be held until the end.
        """
        tables, quarantined, skipped = [WITHOUT_TEXT.empty_table()], list[Quarantined](), list[int]()
        texts: list[pa.Array] | None = []
        group_ends = np.cumsum(group_rows)
        sizes = np.zeros(len(group_rows), np.int64)
        rows_in = held_bytes = 0
        for table in _gathered(batches, size_bytes=SCREENED_BYTES):
            chunk, reasons, text = self._judged(table, label=label, first_row=first_row + rows_in, with_text=False)
            text_bytes = _sizes(text)
            np.add.at(sizes, np.searchsorted(group_ends, rows_in + np.arange(len(text_bytes)), "right"), text_bytes)
            tables.append(chunk.table)
            quarantined += chunk.quarantined
            skipped += (rows_in + np.flatnonzero(reasons != "")).tolist()
            rows_in += chunk.rows_in
            held_bytes += chunk.table.nbytes
            if texts is not None:
                good = reasons == ""
                texts.append((text if good.all() else text.filter(pa.array(good))).view(pa.large_string()))
                texts = texts if sizes.sum() <= CHUNK_BYTES else None
            if sizes.max(initial=0) > CHUNK_BYTES or len(skipped) > MOST_SKIPPED or held_bytes > MOST_HELD:
                return None
        held = None if texts is None else pa.chunked_array(texts, pa.large_string())
        return Screened(pa.concat_tables(tables), tuple(quarantined), rows_in, tuple(skipped), held)

    def chunk(self, table: pa.Table, *, label: str, first_row: int) -> Chunk:
        """Turn one table into documents and quarantined rows."""
        return self._judged(table, label=label, first_row=first_row, with_text=True)[0]

    def _judged(
        self, table: pa.Table, *, label: str, first_row: int, with_text: bool
    ) -> tuple[Chunk, np.ndarray, pa.Array]:
        """Return the chunk, the reason of every row that was refused, and every row's text as bytes."""
        text = bytes_of(table.column(self.params.text))
        ids = self._ids(table, label=label, first_row=first_row)
        names = self.metadata_columns(table.schema)
        reasons = self._reasons(text, ids)
        for name in names:
            _mark(reasons, invalid_utf8(table.column(name)), "invalid_utf8")
        good = pa.array(np.flatnonzero(reasons == ""))
        stored = text if with_text else None
        if len(good) < len(reasons):
            stored = text.take(good) if with_text else None
            documents = self._documents(stored, ids.take(good), table.select(names).take(good))
        else:
            documents = self._documents(stored, ids, table.select(names))
        refused = tuple(
            Quarantined(
                _excerpt(ids, row), f"{label} row {first_row + row}", reasons[row], _excerpt(text, row), row - before
            )
            for before, row in enumerate(np.flatnonzero(reasons != "").tolist())
        )
        return Chunk(table=documents, quarantined=refused, rows_in=len(reasons)), reasons, text

    def _ids(self, table: pa.Table, *, label: str, first_row: int) -> pa.Array:
        import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

        if self.params.id is not None:
            return bytes_of(table.column(self.params.id))
        numbers = pa.array(np.arange(first_row, first_row + table.num_rows)).cast(pa.string())
        return pc.binary_join_element_wise(pa.scalar(f"{self.source}/{label}"), numbers, ":").cast(pa.large_binary())

    def _documents(self, text: pa.Array | None, ids: pa.Array, metadata: pa.Table) -> pa.Table:
        rows = len(ids)
        return pa.table(
            [
                ids.view(pa.large_string()).cast(pa.string()),
                *([] if text is None else [text.view(pa.large_string())]),
                pa.repeat(pa.scalar(self.source), rows),
                pa.repeat(pa.scalar(self.params.origin), rows),
                pa.repeat(pa.scalar("[]"), rows),
                json_objects(metadata) if metadata.num_columns else pa.repeat(pa.scalar("{}"), rows),
            ],
            schema=WITHOUT_TEXT if text is None else SCHEMA,
        )

    def _reasons(self, text: pa.Array, ids: pa.Array) -> np.ndarray:
        """Return `(num_rows,)` objects: the first reason why a row is refused, or an empty string."""
        reasons = np.full(len(text), "", dtype=object)
        sizes, id_sizes = _sizes(text), _sizes(ids)
        _mark(reasons, _nulls(text), "null_text")
        _mark(reasons, sizes > self.params.max_document_bytes, "too_large")
        _mark(reasons, invalid_utf8(text), "invalid_utf8")
        _mark(reasons, (sizes == 0) | _blank(text, valid=reasons == ""), "empty_text")
        _mark(reasons, _holds_nul(text), "nul_character")
        _mark(reasons, _nulls(ids) | (id_sizes == 0), "null_id")
        _mark(reasons, id_sizes > MAX_ID_BYTES, "long_id")
        _mark(reasons, invalid_utf8(ids), "invalid_utf8")
        return reasons


def first_of(batches: Iterable[Rows], most: int | None) -> Iterator[Rows]:
    """Yield batches up to that many rows, and ask for no more than hold these."""
    for batch in batches:
        if most is None or batch.num_rows < most:
            yield batch
        else:
            yield batch.slice(0, most)
            return
        most = None if most is None else most - batch.num_rows


def _gathered(batches: Iterable[pa.Table | pa.RecordBatch], *, size_bytes: int) -> Iterator[pa.Table]:
    """Join small batches until they have that many bytes, as documents."""
    held: list[pa.Table] = []
    size = 0
    for batch in batches:
        batch = decoded(batch) if isinstance(batch, pa.RecordBatch) else batch
        held.append(pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch)
        size += size_as_documents(batch)
        if size >= size_bytes:
            yield pa.concat_tables(held)
            held, size = [], 0
    if held:
        yield pa.concat_tables(held)


def _mark(reasons: np.ndarray, rows: np.ndarray, reason: str) -> None:
    reasons[rows & (reasons == "")] = reason


def _nulls(array: pa.Array) -> np.ndarray:
    return np.asarray(array.is_null(), dtype=bool)


def _sizes(array: pa.Array) -> np.ndarray:
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(pc.binary_length(array), 0))


def _blank(text: pa.Array, *, valid: np.ndarray) -> np.ndarray:
    """Return which of the valid rows hold nothing but white space."""
    import pyarrow.compute as pc

    checked = text if valid.all() else pc.if_else(pa.array(valid), text, pa.scalar(b"-", pa.large_binary()))
    return np.asarray(pc.utf8_is_space(checked.view(pa.large_string())), dtype=bool)


def _holds_nul(text: pa.Array) -> np.ndarray:
    buffer = text.buffers()[2]
    if buffer is None or np.frombuffer(buffer, dtype=np.uint8).min(initial=1) > 0:
        return np.zeros(len(text), dtype=bool)
    return np.array([value is not None and b"\0" in value for value in text.to_pylist()], dtype=bool)


def _excerpt(array: pa.Array, row: int) -> str:
    import pyarrow.compute as pc

    beginning = pc.binary_slice(array.slice(row, 1), 0, 4 * EXCERPT_CHARACTERS)[0].as_py()  # the whole is copied by [0]
    return "" if beginning is None else printable(beginning)
