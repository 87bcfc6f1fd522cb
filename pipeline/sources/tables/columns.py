"""Arrow columns of foreign files: which are text, which JSON can hold, which bytes are not UTF-8.

Every column passes here as bytes first: Arrow promises nothing about the content of a string column that it read, and
a kernel that meets broken UTF-8 may do anything. Validation runs at several GB/s, rows are looked at one by one only
in a batch that fails.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

SMALL_BYTES = 1 << 30  # of text whose 32-bit offsets do not run over when it is joined


def is_text(kind: pa.DataType) -> bool:
    """Say whether a column of this type may hold text: strings, bytes, or a dictionary of them."""
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    return bool(_is_string(kind) or kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind))


def _is_string(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def bytes_of(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a text or integer column as one large_binary array, without trusting it to be UTF-8."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if not chunks:
        return pa.array([], pa.large_binary())
    if len(chunks) == 1:
        return _bytes_of(chunks[0])
    if _is_string(column.type) and column.nbytes < SMALL_BYTES:  # 64 rows in each chunk: one cast, not hundreds
        return _bytes_of(pa.concat_arrays(chunks))
    return pa.concat_arrays([_bytes_of(chunk) for chunk in chunks])


def _bytes_of(array: pa.Array) -> pa.Array:
    if kinds.is_dictionary(array.type):
        array = array.dictionary_decode()
    if kinds.is_integer(array.type):
        array = array.cast(pa.string())
    return array.cast(pa.large_binary())


def json_columns(schema: pa.Schema) -> list[str]:
    """Return the names, sorted, of the columns that can be written as JSON; a name that stands twice is left out."""
    return sorted(field.name for field in schema if schema.names.count(field.name) == 1 and _fits_json(field.type))


def _fits_json(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return False
    if kinds.is_dictionary(kind):
        return _is_string(kind.value_type)
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return _fits_json(kind.value_type)
    if kinds.is_struct(kind):
        return kind.num_fields > 0 and all(_fits_json(kind.field(index).type) for index in range(kind.num_fields))
    simple = kinds.is_boolean(kind) or kinds.is_integer(kind) or kinds.is_floating(kind) or _is_string(kind)
    return bool(simple or kinds.is_date(kind) or kinds.is_timestamp(kind) or kinds.is_null(kind))


def json_objects(table: pa.Table) -> pa.Array:
    """Return one JSON object per row of `json_columns`: keys sorted, NaN as null, times as ISO text."""
    import polars as pl

    plain = {name: _plain(table.column(name)) for name in sorted(table.column_names)}
    frame = pl.DataFrame(pl.from_arrow(pa.table(plain)))
    encoded = frame.select(pl.struct(pl.all()).struct.json_encode().alias("json"))["json"].to_arrow()
    return encoded.cast(pa.string())


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn what polars would write in a shape of its own into plain text and numbers."""
    kind = column.type
    if kinds.is_dictionary(kind):
        return pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], kind.value_type)
    if kinds.is_date(kind) or kinds.is_timestamp(kind):
        return column.cast(pa.string())
    return column.cast(pa.float32()) if kinds.is_float16(kind) else column


def decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch without dictionaries, so that its size is that of its values and not of what they refer to."""
    for index, name, kind in _dictionaries(batch.schema):
        batch = batch.set_column(index, name, batch.column(index).cast(kind))
    return batch


@lru_cache(maxsize=16)
def _dictionaries(schema: pa.Schema) -> tuple[tuple[int, str, pa.DataType], ...]:
    kinds_now = ((index, field.name, _decoded_type(field.type)) for index, field in enumerate(schema))
    return tuple(item for item in kinds_now if item[2] != schema.field(item[0]).type)


def _decoded_type(kind: pa.DataType) -> pa.DataType:
    if kinds.is_dictionary(kind):
        return kind.value_type
    if kinds.is_list(kind):
        return pa.list_(_decoded_type(kind.value_type))
    if kinds.is_large_list(kind):
        return pa.large_list(_decoded_type(kind.value_type))
    if kinds.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return pa.struct([field.with_type(_decoded_type(field.type)) for field in fields])
    return kind


def size_as_documents(batch: pa.Table | pa.RecordBatch) -> int:
    """Return about how many bytes the rows take as text and JSON, at least: each row names its columns again."""
    names, nested = _said_again(batch.schema)
    return int(batch.nbytes) + names * batch.num_rows + sum(_json_bytes(batch.column(index)) for index in nested)


@lru_cache(maxsize=16)
def _said_again(schema: pa.Schema) -> tuple[int, tuple[int, ...]]:
    """Return the bytes that a row needs for the names of its columns, and which of these are nested."""
    return sum(len(name) + 4 for name in schema.names), tuple(
        index for index, field in enumerate(schema) if kinds.is_nested(field.type)
    )


def _json_bytes(column: pa.ChunkedArray | pa.Array) -> int:
    """Return what a column takes besides its own bytes: 4 for each value, and the names of its fields."""
    size, kind = 4 * len(column), column.type
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if kinds.is_struct(kind):
            size += sum(len(kind.field(index).name) for index in range(kind.num_fields)) * len(chunk)
            size += sum(_json_bytes(part) for part in chunk.flatten())
        elif kinds.is_list(kind) or kinds.is_large_list(kind):
            first, past = chunk.offsets[0].as_py(), chunk.offsets[-1].as_py()
            size += _json_bytes(chunk.values.slice(first, past - first))
    return size


def invalid_utf8(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return `(num_rows,)` bools: rows of a text or nested column that hold bytes which are not UTF-8."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([_invalid(chunk) for chunk in chunks]) if chunks else np.zeros(0, dtype=bool)


def _invalid(array: pa.Array) -> np.ndarray:
    if kinds.is_dictionary(array.type):
        array = array.dictionary_decode()
    if kinds.is_large_binary(array.type):
        array = array.view(pa.large_string())
    if _is_valid(array):
        return np.zeros(len(array), dtype=bool)
    return np.array([not _is_valid(array.slice(row, 1)) for row in range(len(array))], dtype=bool)


def _is_valid(array: pa.Array) -> bool:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
