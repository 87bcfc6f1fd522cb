"""A file put into a source, or taken out: what the others gave is taken over, and the bytes are as from scratch."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from pipeline.core.errors import DataError
from pipeline.core.files.card import read_card, verify_files
from pipeline.engine.executors import Local
from tests.pipeline.house import House, files_of, texts
from tests.pipeline.steps import POISON

STEPS = ("length", "poisoned: {max_length: 200}", "shout", "count")


class Told(Local):
    """This process alone, which notes what it is given to do."""

    def __init__(self) -> None:
        super().__init__(workers=1)
        self.tasks: list[str] = []

    def map(self, function: Callable[..., Any], items: Iterable[Any], **options: Any) -> list[Any]:
        listed = list(items)
        self.tasks += [task.label for task in listed if hasattr(task, "label")]
        return super().map(function, listed, **options)

    def of(self, word: str) -> list[str]:
        return [label for label in self.tasks if word in label]


def fill(house: House) -> None:
    """Two files, in which a row is refused, a document breaks a step and another comes twice."""
    house.lines("b.jsonl", [*texts(6), "", POISON])
    house.lines("d.jsonl", [*texts(6, start=4), "not kept by length " * 20])


def scratch_run(house: House, folder: str) -> House:
    """Run the recipe on the same inputs with nothing to take over."""
    other = House(house.folder / folder)
    other.folder.mkdir()
    other.recipe.write_text(house.recipe.read_text(encoding="utf-8"), encoding="utf-8")
    other.run()
    return other


def same_as_scratch(house: House, folder: str) -> None:
    fresh = files_of(scratch_run(house, folder).workspace.root)
    here = files_of(house.workspace.root)
    assert fresh == {name: here[name] for name in fresh}
    for path in house.workspace.root.glob("*/*/card.json"):
        verify_files(path.parent, read_card(path.parent))


def test_one_file_more_reads_and_measures_that_file_alone(house: House) -> None:
    """Also where it sorts before the others, so that each slice and part has another number."""
    fill(house)
    house.clean(STEPS)
    house.run()
    house.lines("a.jsonl", [*texts(5, start=50), ""])
    told = Told()
    reasons = {node.name: node.reason for node in house.plan().to_build}

    house.run(executor=told)

    assert reasons["docs"] == "because input a is new; takes over 2 of 3 files"
    assert reasons["length"] == "because docs is built anew; takes over parts that are the same"
    assert "takes over" not in reasons["count"]
    assert told.of("a.jsonl") == ["a.jsonl from line 1"] and not told.of("b.jsonl") and not told.of("d.jsonl")
    assert told.of("length + poisoned") == ["length + poisoned + shout on slice-00000-000.parquet"]
    quarantine = house.card("docs").quarantined
    assert quarantine == {"empty_text": 2} and house.card().quarantined == {"poisoned": 1}
    same_as_scratch(house, "fresh")


def test_a_file_taken_out_or_changed_leaves_what_the_others_gave(house: House) -> None:
    fill(house)
    house.lines("c.jsonl", texts(3, start=80))
    house.clean([*STEPS, "exact_dedup"])  # which wants sketches of all texts, as they are edited
    house.run()
    (house.folder / "b.jsonl").unlink()
    house.lines("c.jsonl", texts(4, start=80))
    told = Told()

    house.run(executor=told)

    assert [label for label in told.tasks if ".jsonl" in label] == ["c.jsonl from line 1"]
    same_as_scratch(house, "fresh")


def test_ids_that_come_back_are_settled_over_all_files(house: House) -> None:
    """A part that lost a row to another file is read again; one that loses a row now is cut to a part of its own."""
    rows = [{"name": f"n{number}", "text": text} for number, text in enumerate(texts(9))]
    house.lines("b.jsonl", rows[:4])
    house.lines("c.jsonl", [*rows[3:6], rows[0]])
    house.lines("d.jsonl", rows[6:])
    house.clean(["length"], source="{read: jsonl, path: DIR/*.jsonl, id: name}")
    house.run()
    house.lines("a.jsonl", [{"name": "n1", "text": "first now"}, {"name": "n7", "text": "first too"}])
    told = Told()

    house.run(executor=told)

    assert [label for label in told.tasks if ".jsonl" in label] == ["a.jsonl from line 1", "c.jsonl from line 1"]
    assert house.ids() == ["n1", "n7", "n0", "n2", "n3", "n4", "n5", "n6", "n8"]
    same_as_scratch(house, "fresh")


@pytest.mark.parametrize("earlier_is", ["there", "gone"])
def test_a_run_that_stopped_after_taking_over_goes_on_to_the_same_bytes(house: House, earlier_is: str) -> None:
    """What was taken has no sum beside it: without the card that answers for it, it is made again."""
    fill(house)
    house.clean(STEPS)
    house.run()
    house.lines("a.jsonl", texts(5, start=50))
    house.clean([STEPS[0], "poisoned: {max_length: 200, max_drop_fraction: 0.01}", *STEPS[2:]])  # stops when measured
    with pytest.raises(DataError, match="it may drop"):
        house.run()
    house.clean(STEPS)
    for card in [*house.workspace.root.glob("measured/*/card.json"), *house.workspace.root.glob("source/*/card.json")]:
        if len(read_card(card.parent).files) >= 3:  # of the run that stopped, which is as if it were killed before
            card.unlink()
        elif earlier_is == "gone":
            shutil.rmtree(card.parent)

    house.run()

    same_as_scratch(house, "fresh")


def test_a_clock_that_jumps_changes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another zone, and cards and inputs of two hours from now or ago: the same bytes, and nothing to do again."""
    fill(house)
    house.clean(STEPS)
    house.run()
    for number, path in enumerate([*house.workspace.root.rglob("*.json"), *house.folder.glob("*.jsonl")]):
        there = path.stat().st_mtime + (7200 if number % 2 else -7200)
        os.utime(path, (there, there))
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        assert not house.plan().to_build
        house.lines("e.jsonl", texts(4, start=70))
        house.run()
        same_as_scratch(house, "fresh")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_text_that_a_gathering_step_edited_is_measured_anew(house: House) -> None:
    """What such a step leaves of a document depends on the others."""
    for name, start in (("b.jsonl", 0), ("c.jsonl", 20)):
        house.lines(name, [f"{text}\na line that comes back in every one of them" for text in texts(4, start=start)])
    house.clean(["length", "line_dedup", "poisoned"])
    house.run()
    house.lines("a.jsonl", [f"{text}\nanother line" for text in texts(4, start=40)])
    told = Told()

    house.run(executor=told)

    assert len(told.of("length on")) == 1 and len(told.of("poisoned on")) == 3
    same_as_scratch(house, "fresh")


def test_a_file_of_texts_more_reads_its_slice_and_text_in_place_is_found_where_it_lies(house: House) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (house.folder / "in").mkdir()
    for name in ("b", "c"):
        (house.folder / f"in/{name}.txt").write_text(f"text of {name} in a file of its own", encoding="utf-8")
    for name in ("e", "f"):
        table = pa.table({"text": [f"{name} {text}" for text in texts(50)]})
        pq.write_table(table, house.folder / f"in/{name}.parquet")
    house.write(
        "sources:\n  files: {read: text, path: DIR/in/*.txt}\n  rows: {read: parquet, path: DIR/in/*.parquet}\n"
        "datasets:\n  clean: {from: [files, rows], steps: [length]}\n"
    )
    house.run()
    pq.write_table(pa.table({"text": texts(5, start=90)}), house.folder / "in/d.parquet")
    (house.folder / "in/a.txt").write_text("text of a in a file of its own", encoding="utf-8")
    told = Told()

    house.run(executor=told)

    assert [label for label in told.tasks if ".parquet rows" in label] == ["d.parquet rows 0-4"]
    assert len(house.ids()) == 3 + 105
    same_as_scratch(house, "fresh")
