"""Exports are read back with the library that users read them with, offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.parquet.shards import schema_of
from pipeline.queries.export.card import DatasetInfo, Exported, Given, dataset_card
from pipeline.queries.export.export import _with_written, export_named
from pipeline.sources.tables.hub import HubParams, HubReader
from tests.pipeline.house import House, texts
from tests.pipeline.queries.export.exporting import bytes_of, dataset, rows_of, shards_of


def rows(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"id": f"d{number}", "text": f"text {number} " * 50, "n": number, "url": f"https://a.b/{number}"}
        for number in range(start, start + count)
    ]


def export(house: House, to: str = "out", **more: Any) -> Path:
    return Path(export_named(house.workspace, "clean", to=house.folder / to, **more).folder)


@pytest.mark.parametrize("format", ["parquet", "jsonl.zst"])
def test_load_dataset_reads_an_export_offline(house: House, format: str, caplog: pytest.LogCaptureFixture) -> None:
    import datasets

    dataset(house, rows(500), metadata=["n", "url"])

    done = export_named(house.workspace, "clean", to=house.folder / "out", format=format, shard_bytes=64_000)
    loaded = datasets.load_dataset(str(house.folder / "out"), cache_dir=str(house.folder / "cache"))

    assert list(loaded) == ["train"]
    assert loaded["train"]["id"][:] == [f"d{number}" for number in range(500)]
    assert loaded["train"]["n"][:] == list(range(500)) and loaded["train"].features["n"].dtype == "int64"
    assert loaded["train"].to_list() == rows_of(house.folder / "out")
    assert done.rows == 500 and done.shards > 3 and "malformed" not in caplog.text
    names = [path.name for path in shards_of(house.folder / "out")]
    assert names == [f"train-{index:05d}-of-{done.shards:05d}.{format}" for index in range(done.shards)]


def test_the_hf_source_reads_back_what_was_exported(house: House) -> None:
    dataset(house, rows(500))
    export(house, shard_bytes=150_000)
    params = HubParams.parse({"path": str(house.folder / "out"), "id": "id", "metadata": ["source"]})
    reader = HubReader(params=params, source="again", base=house.folder)

    reader.check()
    chunks = [chunk for piece in reader.slices() for chunk in reader.read(piece)]

    table = pa.concat_tables([chunk.table for chunk in chunks])
    assert len(reader.slices()) > 1
    assert table["id"].to_pylist() == [f"d{number}" for number in range(500)]
    assert table["metadata"][0].as_py() == '{"source":"docs"}'
    assert "data/train-00000-of-00002.parquet" in {file["file"] for file in reader.inputs()["files"]}


def test_columns_are_the_same_in_every_shard_whatever_each_holds(house: House) -> None:
    odd = [{"id": "e0", "text": "the last " * 40, "n": 0.5, "late": ["x"]}]
    dataset(house, [*rows(100), *odd], metadata=["n", "url", "late"])

    folder = export(house, shard_bytes=8_000)

    schemas = [schema_of(path) for path in shards_of(folder)]
    assert len(schemas) > 3 and all(schema.equals(schemas[0]) for schema in schemas)
    assert {field.name: str(field.type) for field in schemas[0]}["n"] == "double"
    assert rows_of(folder)[-1] == {
        "id": "e0", "text": "the last " * 40, "source": "docs", "origin": "human", "lineage": "[]",
        "n": 0.5, "url": None, "late": ["x"],
    }  # fmt: skip


def test_workers_do_not_show(house: House) -> None:
    for part in range(3):
        house.lines(f"{part}.jsonl", rows(80, start=80 * part))
    house.clean([], source="{read: jsonl, path: DIR/*.jsonl, id: id}")
    house.run()

    one, two = export(house, "one", shard_bytes=32_000), export(house, "two", shard_bytes=32_000, workers=2)

    assert bytes_of(one) == bytes_of(two)


def test_tokens_that_were_counted_and_not_written_at_all_are_an_error_that_says_so() -> None:
    given = Given(
        "clean", asked=1, realised=1, num_tokens=9, documents=1, epochs=1, max_epochs=4, capped=False, cut_documents=0,
        longest=9, written_tokens=7,
    )  # fmt: skip

    with pytest.raises(DataError, match="clean: 7 tokens were counted, 0 written"):
        _with_written([given], {})


def test_the_card_counts_and_escapes() -> None:
    info = DatasetInfo(
        name='web "quoted": |<script>', identity="abc", rows_read=700, drops={"gopher.min_words": 150, "c4.<b>|x": 1},
        teacher="offline rubric scorer", cost_usd=1.5,
    )  # fmt: skip
    done = Exported(rows=20, by_source={"crawl": 20})

    card = dataset_card(
        info, done, schema=pa.schema([("id", pa.string())]), columns=(), files="data/train-*.parquet", beside={}
    )

    head, body = card.split("---\n")[1], card.split("---\n", 2)[2]
    from ruamel.yaml import YAML

    parsed = YAML(typ="safe").load(head)
    assert parsed["pretty_name"] == info.name
    assert parsed["size_categories"] == ["n<1K"]
    assert parsed["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    assert parsed["dataset_info"]["splits"] == [{"name": "train", "num_bytes": 0, "num_examples": 20}]
    assert "<script>" not in body and "<b>" not in body
    assert "| gopher.min_words | 150 |" in body and "| crawl | 20 |" in body


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
    assert f"| length.too_short | {dropped} |" in card
    kept = {name: house.card(name).rows_out for name in ("clean", "best")}
    assert f"| source docs | {house.card('docs').identity[:12]} | jsonl | 21 | 21 |" in card
    assert f"| dataset best | {house.card('best').identity[:12]} | clean | {kept['clean']} | {kept['best']} |" in card
    assert "| best | length | against=&#91;&#93;, max_length=10000.0, min_length=60.0, unit=1 |" in card
    assert card.index("| clean | length | ") < card.index('| clean | decontaminate | against=&#91;"held"&#93;, ')
    kinds = {path.name.split("-")[0] for path in (house.folder / "out" / "cards").iterdir()}
    assert kinds == {"source", "measured", "dataset"}


def test_a_dataset_without_documents_is_refused_with_the_reason(house: House) -> None:
    house.lines("a.jsonl", texts(3))
    house.clean(["length: {min_length: 5000}"])
    house.run()

    with pytest.raises(DataError, match=r"clean holds no documents: .* 3 went by length\.too_short\. There is nothing"):
        export(house)

    assert not (house.folder / "out").exists()


def test_an_unknown_format_is_refused(house: House) -> None:
    with pytest.raises(RecipeError, match=r"--format csv: it must be one of parquet, jsonl\.zst"):
        export(dataset(house, rows(3)), format="csv")


def test_a_folder_that_is_not_an_export_is_never_replaced(house: House) -> None:
    dataset(house, rows(1))
    (house.folder / "thesis").mkdir()
    (house.folder / "thesis" / "chapter1.tex").write_text("mine")

    with pytest.raises(RecipeError, match="not an export"):
        export(house, "thesis", overwrite=True)

    assert (house.folder / "thesis" / "chapter1.tex").read_text() == "mine"


def test_an_empty_folder_is_a_free_place(house: House) -> None:
    dataset(house, rows(5))
    (house.folder / "out").mkdir()

    assert len(rows_of(export(house))) == 5


def test_an_earlier_export_is_replaced_only_when_asked(house: House) -> None:
    export(dataset(house, rows(5)))
    dataset(house, rows(9))

    with pytest.raises(RecipeError, match="holds another export"):
        export(house)
    folder = export(house, overwrite=True)

    assert len(rows_of(folder)) == 9
    assert not [path.name for path in house.folder.iterdir() if path.name.startswith(".out")]


@pytest.mark.parametrize("name", ["mine.txt", "data/mine.parquet", "notes/README.md", ".git/HEAD", "cards/mine.json"])
def test_a_file_that_no_export_wrote_is_never_deleted(house: House, name: str) -> None:
    mine = export(dataset(house, rows(5))) / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    dataset(house, rows(9))

    with pytest.raises(RecipeError, match=rf"out/{name}: was not written by an export.* Move it away, or name another"):
        export(house, overwrite=True)

    assert mine.read_text() == "mine"
    assert len(rows_of(house.folder / "out")) == 5


def test_a_failure_leaves_neither_a_half_export_nor_the_old_one_harmed(house: House) -> None:
    export(dataset(house, rows(5)))
    dataset(house, rows(9))
    part = next((house.workspace.dataset("clean")[0]).glob("part-*.parquet"))
    part.write_bytes(b"PAR1" + part.read_bytes()[4:-40] + bytes(40))

    with pytest.raises(DataError, match="cannot be read as parquet"):
        export(house, overwrite=True)

    assert not [path.name for path in house.folder.iterdir() if path.name.startswith(".out")]
    assert len(rows_of(house.folder / "out")) == 5


def test_what_is_told_of_an_export_is_plain_data(house: House) -> None:
    folder = export(dataset(house, rows(5)))

    told = json.loads((folder / "tamis.json").read_text())

    assert told["exported"]["by_source"] == {"docs": 5} and told["exported"]["rows"] == 5
    assert all(len(file["blake3"]) == 64 for file in told["files"])
