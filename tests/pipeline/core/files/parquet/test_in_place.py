"""Parquet sources whose text stays where it lies: read as if it were stored, refused once it is another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.commands.texts import verify_text
from pipeline.core.errors import DataError
from pipeline.core.files.names import INPUTS
from pipeline.core.files.parquet import in_place
from pipeline.core.files.parquet.in_place import KEY, stamp_of
from pipeline.core.files.parquet.shards import (
    iterate_batches,
    iterate_tables,
    read_rows,
    read_table,
    row_groups_of,
    write_table,
)
from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.engine.run import Run
from pipeline.queries.documents import look, why
from pipeline.queries.verify import verify
from pipeline.store.results import document_paths
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


def test_an_edit_that_no_stamp_tells_is_noticed_while_the_file_is_fresh(built: House, monkeypatch: pytest.MonkeyPatch):
    path = built.folder / "in" / "b.parquet"
    stamp = in_place.stamp_of(path)
    assert read_table(source_files(built)[1], columns=["text"]).num_rows == 7

    write_rows(path, rows_of(7, start=31))  # within one tick of the clock, it may be
    monkeypatch.setattr(in_place, "stamp_of", lambda where: stamp if where == path else stamp_of(where))

    with pytest.raises(DataError, match=r"b\.parquet: changed since"):
        read_table(source_files(built)[1], columns=["text"])


def test_a_missing_file_is_named_with_the_way_out(built: House):
    (built.folder / "in" / "b.parquet").unlink()

    with pytest.raises(DataError, match=r"b\.parquet: cannot be read \(No such file .*`in_place: false`"):
        read_table(source_files(built)[1])


def test_what_was_kept_is_shown_without_the_inputs_and_what_was_dropped_is_told(house: House):
    built = house
    write_rows(house.folder / "in" / "a.parquet", rows_of(9))
    house.clean(STEPS, source=SOURCE)
    house.run()
    kept, (dropped,) = built.ids()[0], {"n0"} - set(built.ids())
    shown = look(built.workspace, "clean", dropped=False, rule=None, count=40)["documents"]
    shutil.rmtree(built.folder / "in")

    assert look(built.workspace, "clean", dropped=False, rule=None, count=40)["documents"] == shown
    assert why(built.workspace, kept)["datasets"][0]["document"]["text"] == built.documents()[0]["text"]
    story = why(built.workspace, dropped)["datasets"][0]
    assert story["reason"] == "length.too_short" and "parquet: cannot be read" in story["document"]["text"]
    with pytest.raises(DataError, match=r"parquet: cannot be read"):
        look(built.workspace, "clean", dropped=True, rule=None, count=40)


def test_verify_counts_inputs_and_names_those_that_changed(built: House):
    whole = verify(built.workspace)
    assert not whole["damaged"]
    size = sum((built.folder / "in" / name).stat().st_size for name in ("a.parquet", "b.parquet"))
    stored = sum(file.stat().st_size for file in built.workspace.root.rglob("*.parquet"))
    assert whole["size_bytes"] == size + stored

    write_rows(built.folder / "in" / "b.parquet", rows_of(7, start=31))
    (built.folder / "in" / "a.parquet").unlink()

    data = verify(built.workspace)
    told = verify_text(data)
    assert not data["damaged"] and "a.parquet: cannot be read (No such file" in told
    assert "b.parquet: has BLAKE3" in told
    assert told.endswith("all as they were written, but 2 inputs changed since.")


def test_damaged_places_are_named_and_mended_by_the_next_run(built: House):
    inputs = built.workspace.dataset("docs")[0] / INPUTS
    inputs.write_text(inputs.read_text(encoding="utf-8")[:20], encoding="utf-8")

    with pytest.raises(DataError, match=r"inputs\.json: is not as it was written"):
        read_table(source_files(built)[1], columns=["text"])
    assert [row["path"] for row in verify(built.workspace)["damaged"]] == [str(inputs)]

    built.run()
    assert read_table(source_files(built)[1], columns=["text"]).num_rows == 7


def test_a_damaged_file_of_the_workspace_is_not_blamed_on_the_input(built: House):
    path = source_files(built)[1]
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"slice-00001-000\.parquet: cannot be read as parquet"):
        read_table(path)


def test_an_edit_while_the_text_is_read_gives_no_mixture(built: House):
    path = built.folder / "in" / "b.parquet"
    tables = iterate_batches(source_files(built)[1], row_groups=[0, 1], columns=["text"])
    next(tables)
    os.utime(path)

    with pytest.raises(DataError, match=r"b\.parquet: changed while it was read"):
        list(tables)


def test_an_input_edited_after_the_plan_is_not_trusted_by_a_later_run(built: House):
    plan = built.plan()
    write_rows(built.folder / "in" / "b.parquet", rows_of(7, start=31))

    with pytest.raises(DataError, match="b changed after the run was planned"):
        Run(plan=plan, executor=Local(workers=1), progress=Silent()).execute()


def test_a_sampled_document_that_a_dedup_drops_is_read_no_more_and_the_next_one_is(house: House):
    rows = rows_of(40)
    for row in rows[20:]:
        row["text"] = rows[3]["text"]
    write_rows(house.folder / "in" / "a.parquet", rows, row_group_size=7)
    steps = ["length", "exact_dedup", "minhash_dedup: {audit_pairs: 15, shingle_words: 2}"]
    house.clean(steps, source=SOURCE)
    house.run()
    in_place = house.documents()

    house.clean(steps, source=COPYING)
    house.run()

    assert house.documents() == in_place and len(in_place) == 20


def test_a_part_of_a_workspace_may_be_an_input(built: House):
    built.clean(STEPS, source=f"{{read: parquet, path: {source_files(built)[1]}, id: id}}")
    built.run()

    assert built.ids() == [f"n{row}" for row in range(30, 37)]
    assert "text" in pq.read_schema(source_files(built)[0]).names  # one step away from where it lies is far enough


def test_a_foreign_footer_that_pretends_is_refused(house: House, tmp_path: Path):
    table = pa.table({"name": ["a"], "text": ["b"]}).replace_schema_metadata({KEY: b"{}"})
    pq.write_table(table, tmp_path / "junk.parquet")

    with pytest.raises(DataError, match=r"junk\.parquet: its footer says where its text lies"):
        read_table(tmp_path / "junk.parquet")


def test_text_in_crumbs_is_copied_and_small_groups_are_read_together(house: House):
    write_rows(house.folder / "in" / "crumbs.parquet", rows_of(65), row_group_size=1)
    write_rows(house.folder / "in" / "small.parquet", rows_of(60, start=100), row_group_size=10)
    house.clean(["length"], source=SOURCE)
    house.run()

    crumbs, small = source_files(house)
    assert ["text" in pq.read_schema(path).names for path in (crumbs, small)] == [True, False]
    assert [table.num_rows for table in iterate_tables(small, columns=["text"])] == [60]


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
