"""Metadata as columns: the least type that holds every value, whichever document comes first."""

from __future__ import annotations

import json
import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError
from pipeline.queries.export.columns import MOST_COLUMNS, columns_of, joined, kinds_in, parsed, with_columns

VALUES = (
    None, True, 0, 1, 2**53 + 1, 2**63, -(2**70), 0.5, float("nan"), float("inf"), "", "a", "\N{SNOWMAN}", "\ud83d",
    [], [None], ["a"], [1], [0.5], [True, 1], [2**63], [[1]], ["\ud83d"], {}, {"b": [1]},
)  # fmt: skip
METADATA = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "id", "Text", ""]), st.sampled_from(VALUES), max_size=4), max_size=12
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    documents = [
        {"id": "x", "text": "t", "source": "s", "origin": "human", "lineage": "[]", "metadata": json.dumps(row)}
        for row in rows
    ]
    return pa.Table.from_pylist(documents, schema=SCHEMA)


def typed(*values: Any) -> pa.ChunkedArray:
    """Return the column that a key with these values becomes."""
    rows = [{"key": value} for value in values]
    return with_columns(table(rows), columns_of(kinds_in(json.dumps(row) for row in rows)))["key"]


@pytest.mark.parametrize(
    ("values", "type_name", "expected"),
    [
        ([True, None], "bool", [True, None]),
        ([1, -5], "int64", [1, -5]),
        ([2**63 - 1, 1], "int64", [2**63 - 1, 1]),
        ([1, 0.5], "double", [1.0, 0.5]),
        (["a", None], "string", ["a", None]),
        ([None], "string", [None]),
        ([["a"], []], "list<item: string>", [["a"], []]),
        ([[1], [0.5]], "list<item: double>", [[1.0], [0.5]]),
        ([1, "a", True], "string", ["1", "a", "true"]),
        ([True, 1], "string", ["true", "1"]),
        ([2**63, 1], "string", [str(2**63), "1"]),
        ([2**60, 0.5], "string", [str(2**60), "0.5"]),
        ([{"b": [1, "\N{SNOWMAN}"]}], "string", ['{"b":[1,"\N{SNOWMAN}"]}']),
        ([[["a"]], ["a"]], "string", ['[["a"]]', '["a"]']),
        (["half of a pair: \ud83d"], "string", ["half of a pair: ?"]),
    ],
)
def test_a_column_has_the_least_type_that_holds_all_its_values(values, type_name, expected) -> None:
    column = typed(*values)

    assert (str(column.type), column.to_pylist()) == (type_name, expected)


@given(rows=METADATA, seed=st.integers(0, 10))
def test_neither_the_order_of_documents_nor_of_parts_shows(rows: list[dict[str, Any]], seed: int) -> None:
    texts = [json.dumps(row) for row in rows]
    shuffled = random.Random(seed).sample(texts, len(texts))

    assert joined([kinds_in(shuffled[:3]), kinds_in(shuffled[3:])]) == kinds_in(texts)


@given(METADATA)
def test_any_metadata_becomes_columns_of_different_names(rows: list[dict[str, Any]]) -> None:
    columns = columns_of(kinds_in(json.dumps(row) for row in rows))

    found = with_columns(table(rows), columns)

    names = [name.casefold() for name in found.column_names]
    assert len(set(names)) == len(names) and found.num_rows == len(rows)
    assert found.schema == with_columns(table([]), columns).schema


def test_a_key_that_is_named_like_another_column_is_renamed() -> None:
    columns = columns_of(
        kinds_in(['{"id": 1, "TEXT": 2, "epoch": 3, "metadata_id": 4, "url": "u", "URL": "v", "": 5}'])
    )

    assert columns is not None
    assert {column.key: column.name for column in columns} == {
        "": "metadata_", "TEXT": "metadata_TEXT", "URL": "URL", "epoch": "metadata_epoch", "id": "metadata_id_",
        "metadata_id": "metadata_id", "url": "metadata_url",
    }  # fmt: skip


def test_metadata_of_too_many_keys_stays_one_column() -> None:
    rows = [{f"k{number}": number} for number in range(MOST_COLUMNS + 1)]

    columns = columns_of(kinds_in(json.dumps(row) for row in rows))

    assert columns is None
    assert with_columns(table(rows), columns).column_names == SCHEMA.names


@pytest.mark.parametrize(("text", "told"), [("{", "is not JSON"), ("[]", "is not a JSON object")])
def test_metadata_that_is_none_is_explained(text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        parsed(text)
