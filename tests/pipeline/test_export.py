"""Exports are read back with the library that users read them with, offline."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.shards import read_table, write_table
from pipeline.export import DatasetInfo, Part, export_dataset, export_named
from pipeline.sources.hub import HubParams, HubReader
from tests.pipeline.house import House, texts


def documents(count: int, *, start: int = 0, source: str = "crawl", origin: str = "human") -> pa.Table:
    rows = [
        {
            "id": f"d{number}", "text": f"text {number} " * 50, "source": source, "origin": origin, "lineage": "[]",
            "metadata": json.dumps({"n": number}),
        }
        for number in range(start, start + count)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def test_load_dataset_reads_an_export_offline(tmp_path: Path) -> None:
    import datasets

    write_table(tmp_path / "part.parquet", documents(300))
    parts: list[Part] = [
        tmp_path / "part.parquet",
        lambda: documents(200, start=300, source="tasks", origin="procedural"),
    ]

    done = export_dataset(parts, to=tmp_path / "out", info=DatasetInfo(name="web"), max_shard_bytes=64_000)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))

    assert list(loaded) == ["train"]
    assert loaded["train"]["id"][:] == [f"d{number}" for number in range(500)]
    assert done.rows == 500 and done.shards > 3
    names = sorted(path.name for path in (tmp_path / "out" / "data").iterdir())
    assert names == [f"train-{index:05d}-of-{done.shards:05d}.parquet" for index in range(done.shards)]


def test_the_hf_source_reads_back_what_was_exported(tmp_path: Path) -> None:
    export_dataset([lambda: documents(500)], to=tmp_path / "out", info=DatasetInfo(name="web"), max_shard_bytes=100_000)
    params = HubParams.parse({"path": str(tmp_path / "out"), "id": "id", "metadata": ["source"]})
    reader = HubReader(params=params, source="again", base=tmp_path)

    reader.check()
    chunks = [chunk for piece in reader.slices() for chunk in reader.read(piece)]

    table = pa.concat_tables([chunk.table for chunk in chunks])
    assert len(reader.slices()) > 1
    assert table["id"].to_pylist() == [f"d{number}" for number in range(500)]
    assert table["metadata"][0].as_py() == '{"source":"crawl"}'
    assert "data/train-00000-of-00003.parquet" in {file["file"] for file in reader.inputs()["files"]}


def test_the_card_counts_and_escapes(tmp_path: Path) -> None:
    info = DatasetInfo(
        name='web "quoted": |<script>', identity="abc", rows_read=700, drops={"gopher.min_words": 150, "c4.<b>|x": 1},
        mixture={"good": 0.75, "tasks": 0.25}, teacher="offline rubric scorer", cost_usd=1.5,
    )  # fmt: skip

    export_dataset([lambda: documents(20)], to=tmp_path / "out", info=info)

    card = (tmp_path / "out" / "README.md").read_text()
    head, body = card.split("---\n")[1], card.split("---\n", 2)[2]
    from ruamel.yaml import YAML

    parsed = YAML(typ="safe").load(head)
    assert parsed["pretty_name"] == info.name
    assert parsed["size_categories"] == ["n<1K"]
    assert parsed["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*"}]
    assert "<script>" not in body and "<b>" not in body
    assert "| gopher.min&#95;words | 150 |" in body and "| good | 0.7500 |" in body and "| crawl | 20 |" in body


def test_the_card_tells_what_happened_to_the_datasets_before(house: House) -> None:
    house.lines("a.jsonl", [*texts(20), "ab"])
    house.lines("held.jsonl", [texts(1)[0]])
    house.write(
        "sources:\n  docs: {read: jsonl, path: DIR/a.jsonl}\n  more: {read: jsonl, path: DIR/held.jsonl}\n"
        "datasets:\n  held: {from: more}\n"
        "  clean: {from: docs, steps: [length, decontaminate: {against: [held], ngram: 3, min_item_words: 1}]}\n"
        "  best: {from: clean, steps: [length: {min_length: 60}]}\n"
    )
    house.run()

    export_named(house.workspace, "best", to=house.folder / "out")

    card = (house.folder / "out" / "README.md").read_text(encoding="utf-8")
    dropped = house.card("clean").dropped["length.too_short"] + house.card("best").dropped["length.too_short"]
    assert "Decontamination: word overlap with held removed" in card
    assert "Documents dropped of the 21 that were read" in card
    assert f"| length.too&#95;short | {dropped} |" in card


def test_an_empty_dataset_keeps_its_columns(tmp_path: Path) -> None:
    done = export_dataset([], to=tmp_path / "out", info=DatasetInfo(name="none"))

    assert done.rows == 0
    assert read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet").column_names == SCHEMA.names


def test_a_dataset_without_documents_is_refused_with_the_reason(house: House) -> None:
    house.lines("a.jsonl", texts(3))
    house.clean(["length: {min_length: 5000}"])
    house.run()

    with pytest.raises(DataError, match=r"clean holds no documents: .* 3 went by length\.too_short\. There is nothing"):
        export_named(house.workspace, "clean", to=house.folder / "out")

    assert not (house.folder / "out").exists()


def test_a_folder_that_is_not_an_export_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("mine")

    with pytest.raises(RecipeError, match="not an export"):
        export_dataset([lambda: documents(1)], to=tmp_path / "thesis", info=DatasetInfo(name="x"), overwrite=True)

    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "mine"


def test_an_earlier_export_is_replaced_only_when_asked(tmp_path: Path) -> None:
    export_dataset([lambda: documents(5)], to=tmp_path / "out", info=DatasetInfo(name="x"))

    with pytest.raises(RecipeError, match="earlier export"):
        export_dataset([lambda: documents(9)], to=tmp_path / "out", info=DatasetInfo(name="x"))
    done = export_dataset([lambda: documents(9)], to=tmp_path / "out", info=DatasetInfo(name="x"), overwrite=True)

    assert done.rows == 9
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["mine.txt", "data/mine.parquet", "notes/README.md", ".git/HEAD"])
def test_a_file_that_no_export_wrote_is_never_deleted(tmp_path: Path, name: str) -> None:
    export_dataset([lambda: documents(5)], to=tmp_path / "out", info=DatasetInfo(name="x"))
    mine = tmp_path / "out" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")

    with pytest.raises(RecipeError, match=rf"out/{name}: was not written by an export.* Move it away, or name another"):
        export_dataset([lambda: documents(9)], to=tmp_path / "out", info=DatasetInfo(name="x"), overwrite=True)

    assert mine.read_text() == "mine"
    assert read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet").num_rows == 5


def test_a_failure_leaves_neither_a_half_export_nor_the_old_one_harmed(tmp_path: Path) -> None:
    export_dataset([lambda: documents(5)], to=tmp_path / "out", info=DatasetInfo(name="x"))
    wrong = documents(5).drop_columns(["lineage"])

    with pytest.raises(DataError, match="lineage"):
        export_dataset([lambda: wrong], to=tmp_path / "out", info=DatasetInfo(name="x"), overwrite=True)

    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet").num_rows == 5
