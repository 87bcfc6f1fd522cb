"""Some rows of a parquet file, read without the others."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.core.errors import DataError, ServiceError, mend_writing
from pipeline.core.shards import read_rows, sweep, write_table, write_tables, write_text

TABLE = pa.table({"n": list(range(5000)), "text": [None if n == 500 else f"row {n}" for n in range(5000)]})


@pytest.mark.parametrize("rows", [[], [0], [999], [63, 64, 65, 128], [5, 999, 500, 5, 0], [1023, 1024, 4999]])
def test_rows_come_in_ascending_order_once_each_with_the_columns_asked_for(rows: list[int], tmp_path: Path):
    write_table(tmp_path / "one.parquet", TABLE)
    write_tables(tmp_path / "many.parquet", [TABLE[:70], TABLE[70:600], TABLE[600:]], schema=TABLE.schema)

    for name in ("one.parquet", "many.parquet"):
        found = read_rows(tmp_path / name, rows, columns=["text", "n"])

        assert found.column_names == ["text", "n"]
        assert (
            found.to_pylist() == TABLE.take(pa.array(sorted(set(rows)), pa.int64())).select(["text", "n"]).to_pylist()
        )


def test_a_row_or_column_that_is_not_there_is_named(tmp_path: Path):
    write_table(tmp_path / "one.parquet", TABLE)

    with pytest.raises(DataError, match=r"one\.parquet: has no row 5000; it has 5000"):
        read_rows(tmp_path / "one.parquet", [3, 5000], columns=["n"])
    with pytest.raises(DataError, match=r"one\.parquet: has no column `m`; it has n, text"):
        read_rows(tmp_path / "one.parquet", [3], columns=["m"])


def test_a_write_to_a_missing_folder_is_not_blamed_on_a_full_disk(tmp_path):
    with pytest.raises(ServiceError, match=r"No such file or directory\)\. Correct the path or its permissions"):
        write_text(tmp_path / "nowhere" / "a.txt", "words")


def test_a_write_to_a_full_disk_asks_for_room():
    assert mend_writing(OSError(errno.ENOSPC, "No space left on device")) == "Free the disk and run again."


def test_what_a_killed_process_was_about_to_rename_is_swept_and_nothing_else(tmp_path):
    gone = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    stale, mine = tmp_path / f".page.html.{gone}.tmp", tmp_path / f".page.html.{os.getpid()}.tmp"
    others = [mine, tmp_path / ".notes.tmp", tmp_path / f"page.html.{gone}.tmp", tmp_path / f".else.html.{gone}.tmp"]
    for path in (stale, *others):
        path.touch()

    sweep(tmp_path, begin="page")
    assert sorted(tmp_path.iterdir()) == sorted(others)

    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(others[:-1])
