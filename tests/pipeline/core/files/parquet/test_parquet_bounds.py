"""What the pages' headers promise holds: no batch decodes to more, and ordinary files are read 64 rows at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import DataError
from pipeline.core.files.parquet import parquet_bounds
from pipeline.core.files.parquet.opened import WholeFile
from pipeline.core.files.parquet.parquet_bounds import BATCH_ROWS, Leaf, rows_at_once
from pipeline.core.files.parquet.parquet_pages import row_starts
from pipeline.core.files.parquet.shards import schema_of, stretches

ROWS = 700
NUMBERS = range(ROWS)
TABLE = pa.table(
    {
        "text": ["word " * (number % 50) + str(number) for number in NUMBERS],
        "few": [None if number % 5 == 0 else "x" * (number % 3 * 400) for number in NUMBERS],
        "count": list(NUMBERS),
        "flag": [number % 2 == 0 for number in NUMBERS],
        "tags": [[f"tag{k}" for k in range(number % 7)] for number in NUMBERS],
        "deep": [[[k] * k for k in range(number % 4)] if number % 9 else None for number in NUMBERS],
        "about": [{"name": str(number), "ratings": [1.5] * (number % 3)} for number in NUMBERS],
    }
)
WAYS: list[dict[str, Any]] = [
    {},
    {"use_dictionary": False},
    {"data_page_version": "2.0", "compression": "zstd"},
    {"compression": "none", "data_page_size": 300},
    {"compression": "gzip", "data_page_version": "2.0", "data_page_size": 500},
    {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY", "few": "DELTA_LENGTH_BYTE_ARRAY"}},
]


def leaves_of(path: Path, columns: list[str]) -> list[Leaf]:
    with pq.ParquetFile(path) as file, path.open("rb") as handle:
        return WholeFile(file).leaves(0, columns, handle.fileno())


@pytest.mark.parametrize("way", WAYS)
def test_no_batch_decodes_to_more_than_its_pages_promise(tmp_path: Path, way: dict[str, Any]) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path, row_group_size=ROWS, **way)

    for name in TABLE.column_names:
        loose, close = leaves_of(path, [name]), leaves_of(path, [name])
        with path.open("rb") as handle:
            for leaf in close:
                leaf.look_inside(handle.fileno(), rows=ROWS, enough=0)
        for rows in BATCH_ROWS:
            batches = pq.ParquetFile(path).iter_batches(batch_size=rows, columns=[name])
            most = max(batch.nbytes for batch in batches)
            bounds = [sum(leaf.batch_bytes(rows, enough=0) for leaf in leaves) for leaves in (loose, close)]
            assert most <= bounds[1] <= bounds[0], (name, rows)


@pytest.mark.parametrize("way", WAYS)
def test_the_rows_of_nested_columns_are_found(tmp_path: Path, way: dict[str, Any]) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path, row_group_size=ROWS, **way)
    lengths = [max(len(tags), 1) for tags in TABLE["tags"].to_pylist()]
    deep = [sum(max(len(part), 1) for part in row or []) or 1 for row in TABLE["deep"].to_pylist()]

    for name, sizes in (("tags", lengths), ("deep", deep)):
        (leaf,) = leaves_of(path, [name])
        with path.open("rb") as handle:
            starts = row_starts(handle.fileno(), leaf.data, leaf.codec, levels=leaf.levels, most_rows=ROWS)
        assert starts.tolist() == np.cumsum([0, *sizes[:-1]]).tolist()


def test_ordinary_row_groups_are_read_together(tmp_path: Path) -> None:
    """Long texts, most of them in the dictionary with which every writer begins, and a long list of numbers a row."""
    texts = [f"{number} " + "word " * 1500 for number in range(1500)]
    numbers = pa.array([list(range(400))] * 1500)
    pq.write_table(pa.table({"text": texts, "tokens": numbers}), tmp_path / "a.parquet", row_group_size=1000)

    (found,) = stretches(
        tmp_path / "a.parquet", row_groups=range(2), columns=["text", "tokens"], row_bytes=parquet_bounds.ROW_BYTES
    )

    assert (found.first, found.past, found.batch_rows, found.rows) == (0, 2, BATCH_ROWS[0], 1500)


def test_many_small_groups_are_not_joined_into_one_large_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_bounds, "AT_ONCE_BYTES", 100_000)
    monkeypatch.setattr("pipeline.core.files.parquet.shards.AT_ONCE_BYTES", 100_000)
    pq.write_table(pa.table({"text": ["x" * 9_000] * 30}), tmp_path / "a.parquet", row_group_size=1)

    found = stretches(tmp_path / "a.parquet", row_groups=range(30), columns=["text"], row_bytes=1 << 20)

    assert sum(stretch.rows for stretch in found) == 30
    assert max(stretch.rows for stretch in found) * 9_000 < 100_000


def test_rows_that_are_too_large_together_are_read_in_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_bounds, "AT_ONCE_BYTES", 100_000)
    path = tmp_path / "a.parquet"
    indices = pa.array([0] * 200, pa.int32())
    found = []
    for size in (1_000, 2_000, 10_000, 40_000, 300_000):
        text = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * size]))
        pq.write_table(pa.table({"text": text}), path)
        with path.open("rb") as handle:
            found.append(rows_at_once(handle.fileno(), leaves_of(path, ["text"]), rows=200, row_bytes=400_000)[0])

    assert found == [64, 16, 4, 1, 0]


def test_a_page_that_is_none_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"]}), path)
    blob = bytearray(path.read_bytes())
    blob[4:20] = b"\xff" * 16
    path.write_bytes(blob)

    with pytest.raises(DataError, match=r"a\.parquet: cannot be read as parquet \(a page's header"):
        stretches(path, row_groups=range(1), columns=schema_of(path).names, row_bytes=1 << 20)
