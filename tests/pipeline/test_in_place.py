"""Parquet sources whose text stays where it lies: read as if it were stored, refused once it is another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import DataError
from pipeline.core.in_place import INPUTS
from pipeline.core.shards import iterate_batches, iterate_tables, read_rows, read_table, row_groups_of, write_table
from pipeline.results import document_paths
from pipeline.verify import verify, verify_text
from tests.pipeline.house import House, contents, files_of, texts

STEPS = ["length: {min_length: 20}", "shout"]
SOURCE = "{read: parquet, path: DIR/in/*.parquet, id: name}"
COPYING = "{read: parquet, path: DIR/in/*.parquet, id: name, in_place: false}"


def write_rows(path: Path, rows: list[dict[str, Any]], *, row_group_size: int = 4) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=row_group_size)


def rows_of(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"name": f"n{start + row}", "text": text, "rank": row} for row, text in enumerate(texts(count, start=start))
    ]


@pytest.fixture
def built(house: House) -> House:
    rows = rows_of(30)
    rows[5]["text"] = ""  # no documents: in the middle of a group, and a whole group
    for row in rows[12:16]:
        row["text"] = None
    rows[20]["name"] = "n1"  # said before
    write_rows(house.folder / "in" / "a.parquet", rows)
    write_rows(house.folder / "in" / "b.parquet", rows_of(7, start=30))
    house.clean(STEPS, source=SOURCE)
    house.run()
    return house


def source_files(house: House) -> list[Path]:
    return document_paths(house.workspace.dataset("docs")[0])


def test_documents_and_verdicts_are_those_of_a_stored_copy(built: House):
    in_place, quarantined = built.documents(), built.card("docs").quarantined
    assert "text" not in pq.read_schema(source_files(built)[1]).names  # the first was rewritten for its repeated id

    built.clean(STEPS, source=COPYING)
    built.run()

    assert built.documents() == in_place
    assert built.card("docs").quarantined == quarantined == {"duplicate_id": 1, "empty_text": 1, "null_text": 4}
    assert "text" in pq.read_schema(source_files(built)[1]).names
    assert not (built.workspace.dataset("docs")[0] / INPUTS).exists()


def test_every_way_of_reading_gives_the_same_rows(house: House):
    rows = rows_of(30)
    rows[5]["text"], rows[6]["text"], rows[29]["text"] = "", None, " "
    write_rows(house.folder / "in" / "a.parquet", rows)
    house.clean(["length"], source=SOURCE)
    house.run()
    (path,) = source_files(house)
    expected = [
        {"text": row["text"], "id": row["name"], "metadata": f'{{"rank":{row["rank"]}}}'}
        for row in rows
        if (row["text"] or "").strip()
    ]
    columns = ["text", "id", "metadata"]

    groups = range(len(row_groups_of(path)))
    batches = list(iterate_batches(path, row_groups=groups, columns=columns, batch_rows=3))
    tables = list(iterate_tables(path, columns=columns))

    assert [group.rows for group in row_groups_of(path)] == [4, 2, 4, 4, 4, 4, 4, 1]
    assert read_table(path, columns=columns).to_pylist() == expected
    assert pa.concat_tables(tables).to_pylist() == expected and tables[0].column_names == columns
    assert pa.Table.from_batches(batches).to_pylist() == expected
    assert read_rows(path, [0, 3, 4, 26], columns=columns).to_pylist() == [expected[row] for row in (0, 3, 4, 26)]
    assert read_table(path, columns=["id"])["id"].to_pylist() == [row["id"] for row in expected]


def test_what_was_read_in_place_is_written_whole(house: House, tmp_path: Path):
    write_rows(house.folder / "in" / "a.parquet", rows_of(9))
    house.clean(["length"], source=SOURCE)
    house.run()
    table = read_table(source_files(house)[0])

    write_table(tmp_path / "copy.parquet", table)

    assert pq.ParquetFile(tmp_path / "copy.parquet").read().to_pylist() == table.to_pylist()


def test_paths_are_in_no_hash_and_inputs_may_move_with_the_recipe(built: House):
    before, files = contents(built.workspace.root), files_of(built.workspace.root)
    (built.folder / "in").rename(built.folder / "moved")
    built.clean(STEPS, source=SOURCE.replace("DIR/in", "DIR/moved"))

    plan = built.run()

    assert not plan.to_build
    assert read_table(source_files(built)[1]).num_rows == 7
    assert (contents(built.workspace.root), files_of(built.workspace.root)) == (before, files)


def test_a_workspace_and_its_inputs_may_be_copied_once_the_recipe_runs_there(built: House, tmp_path: Path):
    shutil.copytree(built.folder, tmp_path / "there")
    other = House(tmp_path / "there")
    other.clean(STEPS, source=SOURCE)
    shutil.rmtree(built.folder / "in")

    assert not other.run().to_build

    assert read_table(source_files(other)[1]).num_rows == 7


def test_a_touched_file_is_trusted_and_another_one_refused(built: House):
    path = built.folder / "in" / "b.parquet"
    os.utime(path, ns=(0, 0))
    assert read_table(source_files(built)[1], columns=["text"]).num_rows == 7

    write_rows(path, rows_of(7, start=31))

    with pytest.raises(DataError, match=r"b\.parquet: changed since its documents were read into .*docs-"):
        read_table(source_files(built)[1], columns=["text"])
    assert read_table(source_files(built)[1], columns=["id"]).num_rows == 7  # this is stored


def test_a_missing_file_is_named_with_the_way_out(built: House):
    (built.folder / "in" / "b.parquet").unlink()

    with pytest.raises(DataError, match=r"b\.parquet: cannot be read \(No such file .*`in_place: false`"):
        read_table(source_files(built)[1])


def test_verify_counts_inputs_and_names_those_that_changed(built: House):
    whole = verify(built.workspace)
    assert not whole["damaged"]
    size = sum((built.folder / "in" / name).stat().st_size for name in ("a.parquet", "b.parquet"))
    stored = sum(file.stat().st_size for file in built.workspace.root.rglob("*.parquet"))
    assert whole["size_bytes"] == size + stored

    write_rows(built.folder / "in" / "b.parquet", rows_of(7, start=31))
    (built.folder / "in" / "a.parquet").unlink()

    told = verify_text(verify(built.workspace))
    assert "a.parquet: cannot be read (No such file" in told
    assert "b.parquet: has BLAKE3" in told and told.endswith("2 damaged.")


def test_text_that_cannot_be_used_as_it_is_stored_is_copied(house: House):
    many = [{"name": f"r{row}", "text": " "} for row in range(10_001)] + rows_of(3)
    write_rows(house.folder / "in" / "refused.parquet", many, row_group_size=20_000)
    large = [{"name": f"l{row}", "text": f"{row} " + "word " * 200_000} for row in range(70)]
    write_rows(house.folder / "in" / "large.parquet", large, row_group_size=70)
    binary = pa.table({"name": ["b0"], "text": pa.array([b"bytes that are text"], pa.binary())})
    pq.write_table(binary, house.folder / "in" / "binary.parquet")
    write_rows(house.folder / "in" / "small.parquet", [{"name": "s0", "text": "stays where it lies"}])
    house.clean(["length"], source=SOURCE)

    house.run()

    stored = ["text" in pq.read_schema(path).names for path in source_files(house)]
    assert stored == [True, True, True, False]
    assert house.card("docs").rows_out == 1 + 70 + 3 + 1
