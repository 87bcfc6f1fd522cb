"""What `init` makes of files: a recipe that can be planned as it is, or what to name instead."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from pipeline.core.errors import RecipeError
from pipeline.plan.make import make_plan
from pipeline.queries.starter.starter import start_recipe
from pipeline.recipe.load import load_recipe
from pipeline.store.workspace import Workspace

ENGLISH = (
    "Rain falls when warm air rises, cools, and can no longer hold all the water that it carries. The drops grow "
    "in the cloud until they are too heavy to float. Then they fall, and on their way many of them join. Most rain in "
    "the north begins as snow. It melts when it meets warmer air, and so it is rain that reaches the ground below."
)
GERMAN = (
    "Regen entsteht, wenn warme Luft aufsteigt, kalt wird und nicht mehr das ganze Wasser halten kann, das sie mit "
    "sich nimmt. Die Tropfen wachsen in der Wolke, bis sie zu schwer sind, um zu schweben. Dann fallen sie, und "
    "unterwegs verbinden sich viele von ihnen. Der meiste Regen beginnt als Schnee. Er schmilzt in warmer Luft."
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lay(name: str, content: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def test_a_table_gets_its_columns_documents_and_shares_and_runs_as_it_is() -> None:
    rows = [
        {"url": f"https://a.org/{n}", "seen": "2024-05-01", "title": "A title", "main": f"{ENGLISH} It is page {n}.",
         "vector": [0.25] * 300}
        for n in range(80)
    ]  # fmt: skip
    for part in range(2):
        lay(f"crawl/{part}.jsonl", "".join(json.dumps(row) + "\n" for row in rows[40 * part : 40 * part + 40]))
    lay("crawl/README.md", "What this is.")
    lay("crawl/-.jsonl", "")  # an empty shard is the first one
    lay("crawl/broken.jsonl", "{cut off\n" + json.dumps(rows[0]) + "\n" + json.dumps(rows[1]))

    told = start_recipe(["crawl"], to=Path("my recipe.yaml"))

    assert Path("my recipe.yaml").read_text().startswith("# tamis run 'my recipe.yaml'\n")

    recipe = load_recipe(Path("my recipe.yaml"))
    params = recipe.sources["docs"].reader.params
    assert (params.path, params.text, params.id, params.metadata) == ("crawl/*.jsonl", "main", "url", ("seen", "title"))
    assert told["columns"]["others"] == {"seen": "date", "title": "other", "vector": "list"}
    assert told["left_out"] == ["README.md"] and len(told["documents"]) == 5 and told["proposal"]["keep"] == ("en",)
    short = next(rule for rule in told["proposal"]["rules"] if rule["parameter"] == "min_words")
    assert [node.name for node in make_plan(recipe, Workspace(Path("w"))).to_build][:2] == ["docs", "language"]
    assert short["published"] == 1 and recipe.name == "my-recipe"

    with pytest.raises(RecipeError, match="not overwritten"):
        start_recipe(["crawl"], to=Path("my recipe.yaml"))


def test_text_that_is_not_english_is_told_and_meets_no_rule_on_english_words() -> None:
    for number in range(60):
        lay(f"notes/{number}.md", f"{GERMAN} Seite {number}.")
    lay("notes/table.md", "a,b\nc,d\n")  # begins as a table does

    told = start_recipe(["notes"], to=Path("r.yaml"))

    text = Path("r.yaml").read_text(encoding="utf-8")
    assert told["read"] == "text" and told["files"] == 61 and "Not all English" in text
    assert "keep: [de]" in text and "min_stop_words: 0" in text
    rules = {rule["parameter"]: rule for rule in told["proposal"]["rules"] if rule["proposed"] is not None}
    assert all(rule["then_drops"] <= 0.05 < rule["drops"] for key, rule in rules.items() if key != "min_stop_words")
    assert load_recipe(Path("r.yaml")).sources["docs"].reader.params.path == "notes/*.md"


def test_characters_are_words_where_none_stand_between_spaces() -> None:
    said = "\u4e0b\u96e8\u662f\u56e0\u4e3a\u6696\u7a7a\u6c14\u4e0a\u5347\u53d8\u51b7\uff0c"
    lay("zh.jsonl", "".join(json.dumps({"text": said * 9 + f"\u7b2c{n}\u9875\u3002"}) + "\n" for n in range(60)))

    start_recipe(["zh.jsonl"], to=Path("r.yaml"))

    steps = {item.label: item.step.params for item in load_recipe(Path("r.yaml")).datasets["clean"].steps}
    assert steps["language"].keep == ("zh",)
    assert steps["gopher_quality"].words == steps["gopher_repetition"].words == "characters"
    assert steps["gopher_quality"].max_mean_word_length == 10  # as published


def test_parquet_and_csv_tell_which_columns_are_text() -> None:
    frame = pl.DataFrame({"number": range(30), "lang": ["en"] * 30, "body": [f"{ENGLISH} {n}" for n in range(30)]})
    frame.write_parquet("a.parquet")
    frame.write_csv("b.csv")

    of_parquet = start_recipe(["a.parquet"], to=Path("a.yaml"))
    of_csv = start_recipe(["b.csv"], to=Path("b.yaml"), id_column="number")

    assert of_parquet["columns"]["text"] == of_csv["columns"]["text"] == "body"
    assert of_parquet["columns"]["id"] is None and of_csv["columns"]["id"] == "number"
    assert of_parquet["columns"]["others"] == {"lang": "language", "number": "other"}


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["nowhere"], "no file matches 'nowhere'"),
        (["empty"], "empty: no file is there"),
        (["binary"], "no file that Tamis reads; there are 1 of other kinds, such as x.bin"),
        (["mixed"], r"files of 2 formats: 1 jsonl \(mixed/a.jsonl\), 1 text .* tamis init 'mixed/\*\*/\*.jsonl'"),
        (["numbers.jsonl"], r"no column seems to hold text.*Columns with text: b \(2 characters\).*--text-column"),
    ],
)
def test_what_cannot_be_a_source_is_told_with_the_way_out(paths: list[str], said: str) -> None:
    Path("empty").mkdir()
    Path("binary").mkdir()
    Path("binary/x.bin").write_bytes(bytes(range(256)))
    lay("mixed/a.jsonl", '{"text": "a"}\n')
    lay("mixed/b.txt", "Some text.\n")
    lay("numbers.jsonl", '{"a": 3, "b": "xy"}\n')

    with pytest.raises(RecipeError, match=said):
        start_recipe(paths, to=Path("r.yaml"))
    assert not Path("r.yaml").exists()
