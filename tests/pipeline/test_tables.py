"""What a terminal shows: ids are whole, and a run ends with what it made."""

from __future__ import annotations

from pipeline.looking import why
from pipeline.outcome import run_recipe
from pipeline.progress import Silent
from pipeline.tables import outcome_text, why_text
from tests.pipeline.house import House, texts


def test_the_id_of_a_twin_is_never_cut(house: House):
    kept = "/a folder/with a name/" + "of/many/folders/" * 8 + "kept.txt"
    house.lines("a.jsonl", [{"id": name, "text": "the same text in both of them"} for name in (kept, "again")])
    house.clean(["exact_dedup"], source="{read: jsonl, path: DIR/*.jsonl, id: id}")
    house.run()

    told = why_text(why(house.workspace, "again")).splitlines()

    assert f"exact_dedup  duplicate_of  {kept}" in told
    assert max(len(line) for line in told if kept not in line) < 100  # it stands under the table, not in it


def test_a_short_id_stands_in_the_table(house: House):
    house.lines("a.jsonl", [{"id": name, "text": "the same text in both of them"} for name in ("kept", "again")])
    house.clean(["exact_dedup"], source="{read: jsonl, path: DIR/*.jsonl, id: id}")
    house.run()

    assert "exact_dedup  duplicate_of  kept\n" in why_text(why(house.workspace, "again")) + "\n"


def test_a_run_ends_with_the_documents_and_bytes_that_are_left_also_when_nothing_was_to_do(house: House):
    house.lines("a.jsonl", ["short", *texts(30)])
    house.clean(["length: {min_length: 30}"])

    for _ in range(2):
        outcome = run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent())

        documents = house.documents()
        size = sum(len(row["text"].encode()) for row in documents)
        assert outcome.made == ({"dataset": "clean", "documents": len(documents), "bytes": size},)
        assert outcome_text(outcome).splitlines()[-1] == f"clean: {len(documents)} documents, {size / 1000:.2f} kB"
