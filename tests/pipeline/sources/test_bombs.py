"""Parquet files of a few kB that decode to gigabytes cost the rows that do, in a process that could not hold them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import DataError, ServiceError
from pipeline.engine.executors import Local
from pipeline.sources.tables.parquet import ParquetParams, ParquetReader
from tests.conftest import ROOT
from tests.pipeline.house import House, texts

MB = 1 << 20
SOURCE = "{read: parquet, path: DIR/in/*.parquet}"
SPACE = 1900 * MB  # of addresses, for each process of a run; the libraries map a third of it


def meant(value: str, *, times: int) -> pa.DictionaryArray:
    """Return a column that stores one value once and means it often."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), pa.array([value]))


def write(path: Path, **columns: pa.Array) -> None:
    options = {"compression": "zstd", "write_statistics": False, "store_schema": False}
    pq.write_table(pa.table(columns), path, row_group_size=1 << 30, **options)


def long_strings(path: Path) -> None:
    write(path, text=meant("x" * (64 * MB), times=32))


def a_long_list(path: Path) -> None:
    values = meant("a", times=50_000_000)
    tags = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    write(path, text=pa.array(["hello there"]), tags=tags)


def many_nulls(path: Path) -> None:
    write(path, text=pa.nulls(5_000_000, pa.string()))


def reader(path: Path, *, in_place: bool = True, **params: int) -> ParquetReader:
    settings = {"path": str(path / "*.parquet"), "in_place": in_place, **params}
    return ParquetReader(params=ParquetParams.parse(settings), source="docs", base=path)


def run_small(house: House) -> subprocess.CompletedProcess[str]:
    """Build the recipe in a process of limited address space, which its workers inherit."""
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({SPACE}, {SPACE}))\n"
        "from pathlib import Path\nfrom tests.pipeline.house import House\n"
        "if __name__ == '__main__': House(Path(sys.argv[1])).run()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(house.folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)


def test_bombs_are_quarantined_and_their_neighbours_are_read(house: House) -> None:
    (house.folder / "in").mkdir()
    for number, bomb in enumerate((long_strings, a_long_list, many_nulls)):
        bomb(house.folder / "in" / f"{number}.parquet")
        assert (house.folder / "in" / f"{number}.parquet").stat().st_size < 10_000
    pq.write_table(pa.table({"text": texts(3)}), house.folder / "in" / "good.parquet")
    house.clean([], source=SOURCE)

    done = run_small(house)

    assert done.returncode == 0, done.stderr[-3000:]
    assert [row["text"] for row in house.documents()] == texts(3)
    assert house.card("docs").quarantined == {"too_large": 32, "decodes_too_large": 1, "too_many_rows": 1}


def test_a_lone_slice_that_may_break_is_read_in_a_worker_and_named_if_it_does(house: House) -> None:
    long_strings(house.folder / "a.parquet")
    (piece,) = reader(house.folder).slices()
    assert reader(house.folder).may_break(piece)

    executor = Local(workers=1)
    assert executor.map(_process, [piece], label="read", apart=reader(house.folder).may_break) != [os.getpid()]
    assert executor.map(_process, [piece], label="read", apart=lambda item: False) == [os.getpid()]
    with pytest.raises(ServiceError, match=r"read: the worker died twice on a\.parquet rows 0-31"):
        executor.map(_die, [piece], label="read", apart=reader(house.folder).may_break)


def _process(item: object) -> int:
    return os.getpid()


def _die(item: object) -> None:
    os._exit(1)


def test_what_a_file_may_decode_to_in_all_is_bounded_by_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.tables.parquet.FREE_BYTES", 1_000_000)
    monkeypatch.setattr("pipeline.sources.tables.parquet.MAX_EXPANSION", 1)
    monkeypatch.setattr("pipeline.sources.tables.chunker.CHUNK_BYTES", 100_000)
    write(tmp_path / "a.parquet", text=meant("word " * 200, times=3000))

    chunks = [chunk for piece in reader(tmp_path, in_place=False).slices() for chunk in reader(tmp_path).read(piece)]

    assert sum(chunk.rows_in for chunk in chunks) == 3000
    refused = [row for chunk in chunks for row in chunk.quarantined]
    assert Counter(row.reason for row in refused).keys() == {"decodes_too_large"}
    assert (refused[0].place, refused[-1].place) == (f"a row {3000 - len(refused)}", "a row 2999")
    assert 1900 < len(refused) < 2000  # 1,000 bytes each
    assert "1900" not in refused[0].excerpt and refused[-1].id == "docs/a:2999"


def test_large_metadata_is_not_held_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.tables.chunker.MOST_HELD", 100_000)
    monkeypatch.setattr("pipeline.sources.tables.chunker.SCREENED_BYTES", 10_000)
    write(tmp_path / "a.parquet", text=pa.array(texts(500)), about=meant("word " * 200, times=500))

    chunks = list(reader(tmp_path).read(reader(tmp_path).slices()[0]))

    assert [chunk.text_in for chunk in chunks] == [None]
    assert chunks[0].table["text"].to_pylist() == texts(500)


def test_columns_that_arrow_reads_as_dictionaries_are_gathered_by_what_they_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.tables.chunker.CHUNK_BYTES", 100_000)
    labels = meant("label " * 100, times=1000)
    nested = pa.ListArray.from_arrays(pa.array(np.arange(0, 1001, dtype=np.int32)), labels)
    pq.write_table(pa.table({"text": texts(1000), "label": labels, "labels": nested}), tmp_path / "a.parquet")

    chunks = list(reader(tmp_path, in_place=False).read(reader(tmp_path).slices()[0]))

    assert max(chunk.table.nbytes for chunk in chunks) < 250_000
    assert json.loads(chunks[0].table["metadata"][0].as_py()) == {"label": "label " * 100, "labels": ["label " * 100]}


def test_long_names_of_columns_count_since_every_row_says_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.tables.chunker.CHUNK_BYTES", 100_000)
    pq.write_table(pa.table({"text": texts(1000), "n" * 5000: [1] * 1000}), tmp_path / "a.parquet")

    chunks = list(reader(tmp_path, in_place=False).read(reader(tmp_path).slices()[0]))

    assert max(chunk.table.nbytes for chunk in chunks) < 500_000


def test_a_file_whose_pages_are_none_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    blob = bytearray((tmp_path / "a.parquet").read_bytes())
    blob[4:20] = b"\xff" * 16
    (tmp_path / "a.parquet").write_bytes(blob)

    assert not reader(tmp_path).may_break(reader(tmp_path).slices()[0])
    with pytest.raises(DataError, match=r"a\.parquet"):
        list(reader(tmp_path).read(reader(tmp_path).slices()[0]))
