"""`limit: N` on a source: its first N rows, whatever the reader, and nothing behind them is read."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipeline.house import House, texts, write_lines


def damage(path: Path, *, at: int) -> None:
    blob = bytearray(path.read_bytes())
    blob[at : at + 40] = b"\xff" * 40
    path.write_bytes(blob)


def jsonl(folder: Path) -> str:
    write_lines(folder / "a.jsonl", texts(2))
    write_lines(folder / "b.jsonl", [*texts(3, start=2), *texts(30, start=5)])
    (folder / "c.jsonl.gz").write_bytes(b"\x1f\x8b\x08 and then something else")
    return "{read: jsonl, path: 'DIR/in/*', limit: 5}"


def parquet(folder: Path) -> str:
    pq.write_table(pa.table({"text": texts(70)}), folder / "a.parquet", row_group_size=5, compression="none")
    second = pq.read_metadata(folder / "a.parquet").row_group(1).column(0)
    damage(folder / "a.parquet", at=second.dictionary_page_offset + 20)
    return "{read: parquet, path: 'DIR/in/*', limit: 5}"


def rows_of_a_group(folder: Path) -> str:
    pq.write_table(pa.table({"text": texts(70)}), folder / "a.parquet")
    return "{read: parquet, path: 'DIR/in/*', limit: 5}"


def text(folder: Path) -> str:
    for number, said in enumerate(texts(6)):
        (folder / f"{number}.txt").write_text(said, encoding="utf-8")
    (folder / "6.txt.gz").write_bytes(b"\x1f\x8b\x08 and then something else")
    return "{read: text, path: 'DIR/in/*', limit: 5}"


def hub(folder: Path) -> str:
    pq.write_table(pa.table({"text": texts(100)}), folder / "a.parquet")
    return "{read: hf, path: DIR/in, limit: 5}"


@pytest.mark.parametrize("source", [jsonl, parquet, rows_of_a_group, text, hub])
def test_a_limit_gives_the_first_rows_and_reads_no_more(house: House, source) -> None:
    (house.folder / "in").mkdir()
    house.clean([], source=source(house.folder / "in"))

    house.run()

    assert [row["text"] for row in house.documents()] == texts(5)
    assert house.card("docs").rows_in == 5
    assert house.card("docs").payload["params"]["limit"] == 5
    assert not house.plan().to_build


def test_rows_that_are_refused_count_too(house: House) -> None:
    (house.folder / "a.jsonl").write_text("no json\n" + json.dumps({"text": "one"}) + "\n\nno json\n" * 5)
    house.clean([], source="{read: jsonl, path: DIR/a.jsonl, limit: 3}")

    house.run()

    assert [row["text"] for row in house.documents()] == ["one"]
    assert house.card("docs").quarantined == {"not_json": 2}


def test_what_is_installed_can_be_limited(house: House) -> None:
    house.clean([], source="{read: installed_docs, packages: [pytest], limit: 7}")
    house.run()
    few = house.ids()
    house.clean([], source="{read: installed_docs, packages: [pytest]}")
    house.run()

    assert few == house.ids()[: len(few)]
    assert house.card("docs").rows_in > len(few) + 7


def test_a_limit_above_all_rows_gives_all(house: House) -> None:
    write_lines(house.folder / "a.jsonl", texts(9))
    house.clean([], source="{read: jsonl, path: DIR/a.jsonl, limit: 1000}")

    house.run()

    assert len(house.documents()) == 9
