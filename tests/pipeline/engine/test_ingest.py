"""Sources on disk: ids made unique, what cannot be used quarantined with its reason, rows conserved."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.commands.run.display import Terminal
from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import read_table
from pipeline.engine import ingest
from pipeline.engine.executors import Local
from pipeline.engine.run import Run
from tests.pipeline.house import texts, write_lines

WITH_IDS = "{read: jsonl, path: DIR/*.jsonl, id: name}"


def source_card(house):
    return house.card("docs")


@pytest.mark.parametrize("many", [0, ingest.MANY_IDS])
def test_the_first_of_a_repeated_id_keeps_it_and_the_others_are_quarantined(house, monkeypatch, many):
    monkeypatch.setattr(ingest, "MANY_IDS", many)
    house.lines("a.jsonl", [{"name": "x", "text": "first"}, {"name": "y", "text": "other"}, {"name": "x", "text": "2"}])
    house.lines("b.jsonl", [{"name": "z", "text": "zed"}, {"name": "x", "text": "third"}])
    house.clean([], source=WITH_IDS)

    house.run()

    card = source_card(house)
    assert [(row["id"], row["text"]) for row in house.documents()] == [("x", "first"), ("y", "other"), ("z", "zed")]
    assert (card.rows_in, card.rows_out, dict(card.quarantined)) == (5, 3, {"duplicate_id": 2})
    quarantine = read_table(house.workspace.dataset("docs")[0] / "quarantine.parquet").to_pylist()
    assert [(row["id"], row["reason"], row["place"], row["excerpt"]) for row in quarantine] == [
        ("x", "duplicate_id", "document 3 of a.jsonl from line 1", "2"),
        ("x", "duplicate_id", "document 2 of b.jsonl from line 1", "third"),
    ]


def test_files_of_two_sources_may_be_called_alike(house):
    for folder in ("web", "books"):
        (house.folder / folder).mkdir()
        house.lines(f"{folder}/part.jsonl", [f"{folder} {text}" for text in texts(3)])
    house.write(
        "sources:\n  web: {read: jsonl, path: DIR/web/*.jsonl}\n  books: {read: jsonl, path: DIR/books/*.jsonl}\n"
        "datasets:\n  clean:\n    from: [web, books]\n"
    )

    house.run()

    assert house.ids() == [f"{source}/part:{row}" for source in ("web", "books") for row in range(3)]


def test_a_repeated_id_does_not_move_the_documents_around_it(house):
    """Order is meaning: `keep: first` of a dedup follows it."""
    house.lines("a.jsonl", [{"name": "a", "text": "1"}, {"name": "a", "text": "2"}])
    house.lines("b.jsonl", [{"name": "b", "text": "3"}])
    house.clean([], source=WITH_IDS)

    house.run()

    assert house.ids() == ["a", "b"]
    names = sorted(path.name for path in house.workspace.dataset("docs")[0].iterdir())
    assert names == ["card.json", "quarantine.parquet", "slice-00000-000-unique.parquet", "slice-00001-000.parquet"]


def test_rows_that_are_no_documents_are_counted_by_reason(house):
    (house.folder / "a.jsonl").write_bytes(
        b'{"text": "good"}\n{"text": "\xff\xfe"}\n{"text": ""}\nnot json\n{"text": "\\ud800 alone"}\n'
        b'{"text": null}\n{"text": "a", "text": "b"}\n[1]\n{"text": "also good"}\n'
    )
    house.clean([])

    house.run()

    card = source_card(house)
    assert card.rows_in == 9 and card.rows_out == 2
    assert Counter(card.quarantined) == Counter(
        {"invalid_utf8": 1, "empty_text": 1, "not_json": 1, "lone_surrogate": 1, "null_text": 1, "duplicate_key": 1,
         "not_object": 1}
    )  # fmt: skip
    assert [row["text"] for row in house.documents()] == ["good", "also good"]


def test_one_huge_line_costs_itself(house):
    house.lines("a.jsonl", ["before", "x" * 300_000, "after"])
    house.clean([], source="{read: jsonl, path: DIR/*.jsonl, max_document_bytes: 1000}")

    house.run()

    assert [row["text"] for row in house.documents()] == ["before", "after"]
    assert source_card(house).quarantined == {"too_large": 1}


def test_a_source_of_nothing_but_rubbish_stops_the_run(house):
    (house.folder / "a.jsonl").write_text("rubbish\n", encoding="utf-8")
    house.clean(["length", "count", "exact_dedup"])

    with pytest.raises(
        DataError, match=r"sources\.docs: every one of 1 rows .*1 not_json; the first at a line 1.*`read: text`"
    ):
        house.run()

    assert [path.name for path in (house.folder / "workspace").glob("source/*/*")] == ["quarantine.parquet"]


def test_a_source_without_a_row_stops_the_run(house):
    house.lines("a.jsonl", [])
    house.clean(["length", "count", "exact_dedup"])

    with pytest.raises(DataError, match=r"sources\.docs: has no row at all; at least one must be a document\. Look"):
        house.run()

    assert not list((house.folder / "workspace").glob("source/*/*"))


def test_files_without_a_row_are_told_and_stand_in_the_card(house, capsys):
    house.lines("a.jsonl", [])
    house.lines("b.jsonl", texts(2))
    (house.folder / "c.jsonl").write_text("\n\n", encoding="utf-8")
    house.clean([])

    Run(plan=house.plan(), executor=Local(workers=1), progress=Terminal()).execute()

    assert "docs: 2 without a row: a, c.jsonl from line 1." in capsys.readouterr().err
    assert source_card(house).details["notes"] == ["2 without a row: a, c.jsonl from line 1."]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.json", '[{"text": "one"},\n {"text": "two"}]\n', r"holds JSON over many lines: use `read: json`"),
        ("a.json", '{\n "text": "one"\n}\n', r"holds JSON over many lines: use `read: json`"),
        ("a.csv", "text,id\none,1\n", r"looks like a table of text: use `read: csv`"),
        ("a.data", "text\tid\none\t1\n", r"looks like a table of text"),
        ("a.txt", "A story.\n\nIt ends.\n", r"`read: text` makes one document of each file"),
        ("a.parquet", "PAR1\x15\nPAR1", r"is parquet: use `read: parquet`"),
    ],
)
def test_a_file_of_another_kind_is_answered_with_the_way_to_read_it(house, name, content, told):
    (house.folder / name).write_text(content, encoding="utf-8")
    house.clean([], source=f"{{read: jsonl, path: DIR/{name}}}")

    with pytest.raises(DataError, match=rf"every one of . rows .*{told}"):
        house.run()


def test_a_wrong_column_stops_the_run_with_the_keys_that_there_are(house):
    house.lines("a.jsonl", [{"content": text, "title": "t"} for text in texts(50)])
    house.clean([])

    with pytest.raises(DataError) as caught:
        house.run()

    assert str(caught.value) == (
        "sources.docs: every one of 50 rows was quarantined (50 missing_text; the first at a line 1); at least one "
        "must be a document. The first row has the keys content, title. Set `text:` (and `id:`) of the source to the "
        "keys that hold the text and the id."
    )
    house.clean([], source="{read: jsonl, path: DIR/*.jsonl, text: content}")
    house.run()
    assert len(house.documents()) == 50


def test_the_line_of_a_source_tells_what_was_quarantined(house, capsys):
    house.lines("a.jsonl", [*texts(3), "", "", {"text": None}])
    house.clean([])

    Run(plan=house.plan(), executor=Local(workers=1), progress=Terminal()).execute()

    told = "read docs: 3 documents of 6 rows, 3 quarantined (2 empty_text, 1 null_text) in "
    assert told in capsys.readouterr().err


def test_an_unreadable_shard_is_named_and_what_is_done_stays_done(house):
    for name in ("a", "c"):
        house.lines(f"{name}.jsonl", texts(3))
    (house.folder / "b.jsonl.gz").write_bytes(b"\x1f\x8b\x08 and then something else")
    house.clean([], source="{read: jsonl, path: DIR/*.jsonl*}")

    with pytest.raises(DataError, match=r"b\.jsonl\.gz"):
        house.run()

    assert list((house.folder / "workspace").glob("source/*/slice-00000-000.parquet"))
    assert not list((house.folder / "workspace").glob("source/*/card.json"))
    write_lines(house.folder / "b.jsonl.gz", [])
    (house.folder / "b.jsonl.gz").unlink()
    house.run()
    assert source_card(house).rows_out == 6


def test_duplicate_ids_are_settled_alike_by_any_number_of_workers(house):
    for number in range(4):
        rows = [{"name": f"n{row % 7}", "text": f"{number} {row}"} for row in range(number, number + 9)]
        house.lines(f"{number}.jsonl", rows)
    house.clean([], source=WITH_IDS)
    house.run()
    one = house.documents()
    (house.folder / "workspace").rename(house.folder / "one")

    executor = Local(workers=2)
    house.run(executor=executor)
    executor.close()

    assert house.documents() == one
    assert len({row["id"] for row in one}) == len(one) == 7


def test_a_finished_slice_is_not_read_again_after_a_kill(tmp_path):
    """The note of a slice stands for reading it, as long as its files are there."""
    from pipeline.engine.read import ReadTask, read_slice
    from pipeline.sources.texts.jsonl import JsonlReader

    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "one"}\n{"text": ""}\n', encoding="utf-8")
    reader = JsonlReader(params=JsonlReader.Params(path=str(path)), source="in", base=tmp_path)
    task = ReadTask(label="in", reader=reader, slice=reader.slices()[0], folder=tmp_path / "out", content={})
    task.folder.mkdir()
    first = read_slice(task)
    path.unlink()

    again = read_slice(task)

    assert (again.rows_in, again.files) == (2, first.files)
    assert [list(row) for row in again.quarantined] == [list(row) for row in first.quarantined]


def test_the_note_of_an_earlier_version_is_read_anew(tmp_path):
    from pipeline.engine.read import ReadTask, read_slice
    from pipeline.sources.texts.jsonl import JsonlReader

    path = write_lines(tmp_path / "in.jsonl", ["one"])
    reader = JsonlReader(params=JsonlReader.Params(path=str(path)), source="in", base=tmp_path)
    task = ReadTask(label="in", reader=reader, slice=reader.slices()[0], folder=tmp_path / "out", content={})
    (task.folder / "scratch").mkdir(parents=True)
    (task.folder / "scratch" / "slice-00000.json").write_text("[[], 5, []]", encoding="utf-8")

    assert read_slice(task).rows_in == 1
