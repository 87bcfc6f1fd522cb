"""One document per id, the first in order, however the inputs are cut."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from filters.dedup.unique_ids import UniqueIds
from pipeline.core.errors import DataError
from pipeline.core.step import Part
from pipeline.recipe.load import load_recipe
from tests.filters.gathering import TableReader, gather
from tests.pipeline.house import House, texts


@pytest.mark.parametrize("cut", [[5], [2, 1, 2], [3, 0, 2]])
def test_the_first_document_keeps_the_id(tmp_path, cut):
    ids, parts = ["a", "b", "a", "c", "b"], []
    for index, size in enumerate(cut):
        start = sum(cut[:index])
        documents = pa.table({"id": pa.array(ids[start : start + size], pa.string())})
        parts.append(Part(index=index, num_rows=size, reader=TableReader(documents=documents, signals=documents)))

    found = gather(UniqueIds(params=UniqueIds.Params()), parts, scratch=tmp_path)

    assert found.column("is_repeated") == [0, 0, 1, 0, 1]
    assert found.details == {"repeated": 2}


def test_a_dataset_with_several_inputs_begins_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "words"}\n', encoding="utf-8")
    sources = "sources: {a: {read: jsonl, path: a.jsonl}, b: {read: jsonl, path: b.jsonl}}\n"
    (tmp_path / "r.yaml").write_text(
        sources + "datasets: {both: {from: [a, b], steps: [exact_dedup]}, one: {from: a, steps: [exact_dedup]}}\n",
        encoding="utf-8",
    )

    recipe = load_recipe(tmp_path / "r.yaml")

    assert [item.label for item in recipe.datasets["both"].steps] == ["unique_ids", "exact_dedup"]
    assert [item.label for item in recipe.datasets["one"].steps] == ["exact_dedup"]


def test_different_documents_of_one_name_stop_the_run_unless_the_recipe_asks_for_it(tmp_path: Path):
    """Two inputs that number their documents alike: every id comes twice, and half the texts would go."""
    house = House(tmp_path)
    for name in ("a", "b"):
        rows = [{"id": f"part:{number}", "text": f"{name} {text}"} for number, text in enumerate(texts(5))]
        (house.folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sources = "sources: {a: {read: jsonl, path: DIR/a.jsonl, id: id}, b: {read: jsonl, path: DIR/b.jsonl, id: id}}\n"
    house.write(sources + "datasets: {both: {from: [a, b], steps: [exact_dedup]}}\n")

    with pytest.raises(DataError, match=r"both: unique_ids dropped 5 of 10 documents .* such as part:0") as caught:
        house.run()
    assert "put first because `from` names several inputs; write `unique_ids: {max_drop" in str(caught.value)
    house.write(sources + "datasets: {both: {from: [a, b], steps: [unique_ids, exact_dedup]}}\n")
    house.run()

    assert house.card("both").dropped == {"unique_ids.repeated_id": 5}
