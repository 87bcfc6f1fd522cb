"""What a workspace holds, told from its cards alone."""

from __future__ import annotations

import json

import pytest

from pipeline.commands.texts import registry_text, status_text
from pipeline.core.errors import DataError
from pipeline.queries.status import registry_of, status_of
from pipeline.store.workspace import Workspace
from tests.pipeline.house import House, texts


@pytest.fixture
def built(house: House) -> House:
    house.lines("a.jsonl", ["ab", *texts(5), ""])
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/a.jsonl}}\ndatasets:\n"
        "  clean: {from: docs, steps: [length]}\n  tasks: {make: write}\n"
    )
    house.run()
    return house


def test_every_result_is_listed_with_its_counts(built: House):
    data = status_of(built.workspace)

    rows = {(row["kind"], row["name"]): row for row in data["results"]}
    assert set(rows) == {("source", "docs"), ("measured", "length"), ("made", "tasks"), ("dataset", "clean")}
    clean, docs = rows["dataset", "clean"], rows["source", "docs"]
    assert (clean["rows_in"], clean["rows_out"], clean["dropped"]) == (6, 5, 1)
    assert (docs["rows_in"], docs["quarantined"]) == (7, 1)
    assert clean["size_bytes"] > 0 and data["unfinished"] == [] and data["cost_usd"] == 0
    json.dumps(data, allow_nan=False)


def test_a_folder_without_a_card_is_unfinished(built: House):
    folder = built.workspace.dataset("clean")[0]
    (folder / "card.json").unlink()

    data = status_of(built.workspace)

    assert data["unfinished"] == [f"dataset/{folder.name}"]
    assert f"unfinished: dataset/{folder.name} (the next run goes on with it)" in status_text(data)


def test_an_empty_workspace_says_how_to_start(tmp_path):
    data = status_of(Workspace(tmp_path / "none"))

    assert data["results"] == [] and "tamis run recipes/quickstart.yaml" in status_text(data)
    assert not (tmp_path / "none").exists()


def test_a_damaged_card_is_named(built: House):
    (built.workspace.dataset("clean")[0] / "card.json").write_text("{}", encoding="utf-8")

    with pytest.raises(DataError, match=r"card\.json: is not a card"):
        status_of(built.workspace)


def test_the_table_shows_documents_and_counts_the_rest(built: House):
    shown = status_text(status_of(built.workspace))

    assert "clean" in shown and "3 sets of documents and 1 other result, $0 spent." in shown


def test_an_empty_registry_says_so(tmp_path):
    data = registry_of(Workspace(tmp_path), None)

    assert data == {"names": []} and registry_text(data) == "Nothing was promoted yet."
