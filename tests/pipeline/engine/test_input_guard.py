"""Inputs edited while a run goes on: no card names content that was not read, and no leftover of it is taken up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline import catalog
from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import write_table
from pipeline.core.step import Gathering, Making, input_names
from pipeline.engine.executors import ORDINARY, Apart, Done, Local, Need
from pipeline.engine.progress import Silent
from pipeline.engine.run import Run
from pipeline.plan.graph import Plan
from tests.pipeline.house import House, texts
from tests.pipeline.steps import Count, CountParams, Write, WriteParams


class Meddled(Local):
    """In this process, with something done to the inputs before or after all work whose label begins as given."""

    def __init__(self, label: str, *, before: Callable[[], object] = bool, after: Callable[[], object] = bool) -> None:
        super().__init__(workers=1)
        self.label, self.before, self.after = label, before, after

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], *, label: str, done: Done | None = None,
        apart: Apart | None = None, few: bool = False, need: Need = ORDINARY,
    ) -> list[Any]:  # fmt: skip
        meant = label.startswith(self.label)
        if meant:
            self.before()
        found = super().map(function, items, label=label, done=done, apart=apart, few=few, need=need)
        if meant:
            self.after()
        return found


class ListedCountParams(CountParams):
    against: tuple[str, ...] = input_names(())


class ListedCount(Count):
    """Gathers, and reads a file."""

    name = "listed_count"
    Params = ListedCountParams

    def gather(self, work: Gathering) -> None:
        super().gather(work)
        meddle(work.inputs["against"][0])


class ListedWriteParams(WriteParams):
    against: tuple[str, ...] = input_names(())


class ListedWrite(Write):
    """Makes, and reads a file."""

    name = "listed_write"
    Params = ListedWriteParams

    def make(self, work: Making) -> None:
        super().make(work)
        meddle(work.inputs["against"][0])


def meddle(path: Path) -> None:
    path.write_text(path.read_text() + "edited ")


def cards(house: House, kind: str) -> list[Path]:
    return list((house.folder / "workspace").glob(f"{kind}/*/card.json"))


def leftovers(house: House, kind: str) -> list[Path]:
    return list((house.folder / "workspace").glob(f"{kind}/*/*.parquet"))


def run(plan: Plan, executor: Local | None = None) -> None:
    Run(plan=plan, executor=executor or Local(workers=1), progress=Silent()).execute()


@pytest.fixture
def clean(house: House) -> House:
    """A house with two input files, a list, and a step that reads it."""
    house.lines("a.jsonl", texts(6))
    house.lines("b.jsonl", texts(6, start=6))
    (house.folder / "list.txt").write_text("the of ")
    house.clean(["shout", "length: {against: [DIR/list.txt]}"])
    return house


def test_a_source_edited_between_plan_and_run_is_not_stored_under_its_old_content(clean: House):
    plan = clean.plan()
    clean.lines("a.jsonl", texts(3))

    with pytest.raises(DataError, match=r"source docs: a changed after the run was planned\. Run again"):
        run(plan)

    assert not cards(clean, "source") and not leftovers(clean, "source")
    clean.run()
    assert clean.card().rows_in == 9
    clean.lines("a.jsonl", texts(6))
    clean.run()
    assert clean.card().rows_in == 12


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_source_edited_while_it_is_read_leaves_nothing(clean: House, when: str):
    def edit() -> None:
        clean.lines("a.jsonl", texts(6, start=100))

    with pytest.raises(DataError, match=r"a\.jsonl: changed while the run read it, and nothing that came of it"):
        clean.run(executor=Meddled("source", **{when: edit}))

    assert not cards(clean, "source") and not leftovers(clean, "source")
    clean.lines("a.jsonl", texts(6))  # the edit is taken back: nothing of it may be taken up
    clean.run()
    assert [row["length"] for row in clean.signals("length")] == [len(text) for text in texts(12)]


def test_an_edit_that_breaks_the_reader_is_named_before_what_the_reader_says(house: House):
    write_table(house.folder / "a.parquet", pa.table({"text": texts(6)}))
    house.clean(["length"], source="{read: parquet, path: DIR/a.parquet}")

    with pytest.raises(DataError, match=r"a\.parquet: changed while the run read it"):
        house.run(executor=Meddled("source", before=lambda: os.truncate(house.folder / "a.parquet", 50)))


def test_a_file_that_arrives_while_a_source_is_read_waits_for_the_next_run(clean: House):
    clean.run(executor=Meddled("source", before=lambda: clean.lines("c.jsonl", texts(2, start=50))))

    assert clean.card().rows_in == 12
    clean.run()
    assert clean.card().rows_in == 14


def test_a_file_that_arrives_between_plan_and_run_is_not_read_under_the_plans_name(clean: House):
    plan = clean.plan()
    clean.lines("c.jsonl", texts(2, start=50))

    with pytest.raises(DataError, match="source docs: c changed after the run was planned"):
        run(plan)


def test_a_file_that_was_touched_but_not_changed_stops_nothing(clean: House):
    def touch() -> None:
        for name in ("a.jsonl", "list.txt"):
            os.utime(clean.folder / name, (1, 1))

    clean.run(executor=Meddled("", before=touch, after=touch))

    assert clean.card().rows_in == 12


def test_a_file_that_is_gone_stops_the_run_and_costs_nothing_of_what_was_read(clean: House):
    path = clean.folder / "a.jsonl"
    data = path.read_bytes()

    with pytest.raises(DataError, match=r"a\.jsonl: gone while the run read it \(No such file"):
        clean.run(executor=Meddled("source", after=path.unlink))

    assert not cards(clean, "source") and len(leftovers(clean, "source")) == 2
    path.write_bytes(data)
    clean.run()
    assert clean.card().rows_in == 12


def test_a_list_edited_between_plan_and_run_is_not_what_the_plan_named(clean: House):
    plan = clean.plan()
    meddle(clean.folder / "list.txt")

    with pytest.raises(DataError, match=r"list\.txt: changed after the run was planned\. Run again"):
        run(plan)

    assert not cards(clean, "measured") and not leftovers(clean, "measured")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_list_edited_while_it_is_used_leaves_nothing(clean: House, when: str):
    """Not of its neighbours in the same pass either: they may have seen text that its step edited."""
    path = clean.folder / "list.txt"

    with pytest.raises(DataError, match=r"list\.txt: changed while the run read it"):
        clean.run(executor=Meddled("shout + length", **{when: lambda: path.write_text("and ")}))

    assert not cards(clean, "measured") and not leftovers(clean, "measured")
    assert len(cards(clean, "source")) == 1
    path.write_text("the of ")
    clean.run()
    assert [row["shared"] for row in clean.signals("length")] == [
        len({"the", "of"} & set(text.split())) for text in texts(12)
    ]


@pytest.mark.parametrize("kind", ["gathered", "made"])
def test_gathering_and_making_steps_are_guarded_too(kind: str, house: House, monkeypatch: pytest.MonkeyPatch):
    for step in (ListedCount, ListedWrite):
        monkeypatch.setitem(catalog.STEPS, step.name, f"{step.__module__}:{step.__name__}")
    house.lines("a.jsonl", texts(6))
    (house.folder / "list.txt").write_text("the ")
    if kind == "gathered":
        house.clean(["listed_count: {against: [DIR/list.txt]}"])
    else:
        house.write("datasets:\n  clean:\n    make: {listed_write: {against: [DIR/list.txt]}}\n")

    with pytest.raises(DataError, match=r"list\.txt: changed while the run read it"):
        house.run()

    assert not cards(house, kind) and not leftovers(house, kind)
