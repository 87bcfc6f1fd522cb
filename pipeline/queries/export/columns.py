"""The metadata of documents, JSON objects, as typed columns that are the same in every shard of an export.

The type of a column is the least that holds every value of its key in all documents: bool; int64; double, also for
whole and broken numbers together; string; a list of one of these. Where the values have no such type (a number here,
a word there; objects; lists of lists; integers of more than 64 bits) the column is a string: words stay as they are,
anything else is its JSON text. A key that a document lacks, or that is null, is null. A key that is named like a
column of the export, in capitals or not, becomes `metadata_<key>`. Metadata of more than 200 different keys is data
of another kind than columns are for, and stays one JSON column.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.core.errors import DataError

MOST_COLUMNS = 200
METADATA = "metadata"
# Of all exports alike, so that a key has the same column in an export of a dataset and in one of a mixture.
RESERVED = ("id", "text", "source", "origin", "lineage", METADATA, "dataset", "epoch", "num_tokens")
NOTHING, MIXED, LIST = "nothing", "mixed", "list:"
_EXACT, _LONG = 2**53, 2**63  # whole numbers up to there are exact as a double, and as int64
_TYPES = {
    NOTHING: pa.string(), MIXED: pa.string(), "string": pa.string(), "bool": pa.bool_(), "int": pa.int64(),
    "long": pa.int64(), "float": pa.float64(),
}  # fmt: skip

Kinds = dict[str, str]  # key -> kind of its values


@dataclass(frozen=True, slots=True)
class Column:
    """One key of the metadata and the column that it becomes."""

    key: str
    name: str
    kind: str

    @property
    def type(self) -> pa.DataType:
        if self.kind.startswith(LIST):
            return pa.list_(_TYPES[self.kind.removeprefix(LIST)])
        return _TYPES[self.kind]


def kinds_in(metadata: Iterable[str]) -> Kinds:
    """Return the kind of every key in some documents' metadata."""
    found: Kinds = {}
    for text in metadata:
        if text != "{}":
            for key, value in parsed(text).items():
                if value is not None:
                    found[key] = _join(found.get(key, NOTHING), kind_of(value))
                elif key not in found:
                    found[key] = NOTHING
    return found


def joined(kinds: Iterable[Mapping[str, str]]) -> Kinds:
    """Return the kinds of all parts together; their order does not show."""
    found: Kinds = {}
    for each in kinds:
        for key, kind in each.items():
            found[key] = _join(found.get(key, NOTHING), kind)
    return found


def parsed(text: str) -> dict[str, Any]:
    """Return a document's metadata."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(f"metadata {text[:60]!r} is not JSON ({error}). Run the recipe again.") from error
    if not isinstance(found, dict):
        raise DataError(f"metadata {text[:60]!r} is not a JSON object. Run the recipe again.")
    return found


def kind_of(value: Any) -> str:
    """Return the kind of one value that is not null."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -_EXACT <= value <= _EXACT else "long" if -_LONG <= value < _LONG else MIXED
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list) and not any(each is None or isinstance(each, (list, dict)) for each in value):
        inner = NOTHING
        for each in value:
            inner = _join(inner, kind_of(each))
        return MIXED if inner == MIXED else LIST + inner
    return MIXED


def _join(one: str, other: str) -> str:
    """Return the least kind that holds the values of both."""
    if one == other or other == NOTHING:
        return one
    if one == NOTHING:
        return other
    if one.startswith(LIST) and other.startswith(LIST):
        inner = _join(one.removeprefix(LIST), other.removeprefix(LIST))
        return MIXED if inner == MIXED else LIST + inner
    pair = {one, other}
    return "float" if pair == {"int", "float"} else "long" if pair == {"int", "long"} else MIXED


def columns_of(kinds: Mapping[str, str]) -> tuple[Column, ...] | None:
    """Return the columns of the metadata in the order of their keys; None where it stays one JSON column."""
    if len(kinds) > MOST_COLUMNS:
        return None
    taken = set(RESERVED)
    free = {key for key in kinds if key and key.casefold() not in taken}
    found = {}
    for key in sorted(kinds, key=lambda key: (key not in free, key)):  # those that keep their names first
        name = _utf8(key if key in free else f"{METADATA}_{key}")
        while name.casefold() in taken:
            name = _utf8(f"{METADATA}_{key}") if name == key else f"{name}_"
        taken.add(name.casefold())
        found[key] = Column(key=key, name=name, kind=kinds[key])
    return tuple(found[key] for key in sorted(found))


def with_columns(table: pa.Table, columns: Sequence[Column] | None) -> pa.Table:
    """Return a table of documents with its metadata as columns at the end."""
    if columns is None:
        return table
    rows = [parsed(text) if text != "{}" else {} for text in table.column(METADATA).to_pylist()]
    table = table.drop_columns([METADATA])
    for column in columns:
        values = [_value(row.get(column.key), column.kind) for row in rows]
        table = table.append_column(pa.field(column.name, column.type), pa.array(values, column.type))
    return table


def _value(value: Any, kind: str) -> Any:
    """Return a value as its column holds it."""
    if value is None:
        return None
    if kind == MIXED and not isinstance(value, str):
        return _utf8(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    if isinstance(value, str):
        return _utf8(value)
    if kind == "float":
        return float(value)
    if kind == LIST + "float":
        return [float(each) for each in value]
    if kind == LIST + "string":
        return [_utf8(each) for each in value]
    return value


def _utf8(text: str) -> str:
    """Return text that can be written: half of a surrogate pair, which JSON can spell, becomes `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
