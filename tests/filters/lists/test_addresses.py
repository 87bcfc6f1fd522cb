"""The address of a document: as Python's JSON reads the metadata, or the id."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.lists.addresses import addresses
from pipeline.core.text.batch import Batch

TEXTS = st.sampled_from(
    ["http://x.org/a", 'a"b', "\\", "", "  ", "\u00e9", " x", "{", "]", "url", '":"', "\n", "z" * 130]
)
LEAVES = st.one_of(TEXTS, TEXTS, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False))
KEYS = st.sampled_from(["url", "u", 'url"', "\\", "url ", "x" * 70, "\u00e9"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)), max_leaves=8
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=6)


def batch_of(metadata: list[str | None], *, ids: list[str] | None = None) -> Batch:
    rows = len(metadata)
    return Batch(
        ids=pa.array(ids or [str(row) for row in range(rows)], pa.string()),
        text=pa.array([""] * rows, pa.large_string()),
        metadata=pa.array(metadata, pa.string()),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(RECORDS, st.booleans(), st.sampled_from([None, 1]), st.sampled_from(["", ',"url":"last"}'])),
        max_size=10,
    )
)
def test_any_metadata_is_read_as_python_reads_it(records: list[tuple[dict[str, Any], bool, int | None, str]]) -> None:
    metadata = []
    for record, escaped, indent, last in records:
        text = json.dumps(record, ensure_ascii=escaped, indent=indent)
        metadata.append(text[:-1] + last if last and record else text)  # a key may stand twice
    values = [json.loads(text).get("url") for text in metadata]

    found = addresses(batch_of(metadata), field="url")

    found.validate(full=True)
    assert found.to_pylist() == [value if isinstance(value, str) and value.strip() else None for value in values]


def test_an_id_with_a_scheme_stands_in_for_a_missing_field() -> None:
    ids = ["http://a.org/1", "http://a.org/2", "a/3", "http://a.org/4"]

    found = addresses(batch_of(['{"url":"x.org"}', '{"url":null}', "{}", None], ids=ids), field="url")

    assert found.to_pylist() == ["x.org", "http://a.org/2", None, "http://a.org/4"]


@pytest.mark.parametrize("rows", [slice(0, 0), slice(1, 3), slice(2, 4)])
def test_a_part_of_a_batch_has_the_addresses_of_its_rows(rows: slice) -> None:
    whole = batch_of([json.dumps({"url": f"x.org/{row}", "n": row}) for row in range(4)])
    part = Batch(ids=whole.ids[rows], text=whole.text[rows], metadata=whole.metadata[rows])

    assert addresses(part, field="url").to_pylist() == addresses(whole, field="url").to_pylist()[rows]


def test_a_lone_surrogate_becomes_the_sign_for_what_is_no_character() -> None:
    assert addresses(batch_of(['{"url":"x.org/\\ud800"}']), field="url").to_pylist() == ["x.org/\ufffd"]


def test_without_metadata_there_are_ids_only() -> None:
    batch = Batch(ids=pa.array(["ftp://a", "b"]), text=pa.array(["", ""], pa.large_string()))

    assert addresses(batch, field="url").to_pylist() == ["ftp://a", None]
