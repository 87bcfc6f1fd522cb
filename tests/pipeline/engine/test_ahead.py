"""Measuring while a source is read: the same results, text decompressed once, parts that change measured anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.files.writing.durable import write_text
from pipeline.core.files.writing.sums import is_whole, move_whole
from pipeline.engine import ahead
from pipeline.engine.ahead import number_of, slice_file
from pipeline.engine.measure import MeasureTask
from pipeline.store.dataset.chain import ChainReader
from tests.pipeline.house import House, texts

STEPS = ["length: {min_length: 20}", "shout", "exact_dedup"]
SOURCE = "{read: parquet, path: DIR/*.parquet, id: name, in_place: PLACE}"


def write(path: Path, names: list[str], rows: list[str | None]) -> None:
    pq.write_table(pa.table({"name": names, "text": pa.array(rows, pa.string())}), path)


def three_files(house: House) -> None:
    """Three slices: the second gives no document, the third has an id of the first."""
    write(house.folder / "a.parquet", ["x", "y", "z"], texts(3))
    write(house.folder / "b.parquet", ["p", "q"], [None, ""])
    write(house.folder / "c.parquet", ["u", "x", "v"], texts(3, start=10))


def contents(house: House) -> dict[str, str]:
    return {f"{card.kind} {card.name}": card.content for card in map(house.card, ("docs", "clean"))}


@pytest.mark.parametrize("place", ["true", "false"])
def test_results_are_those_of_a_run_that_measures_afterwards(
    house: House, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "later").mkdir()
    later = House(tmp_path / "later")
    for each in (house, later):
        three_files(each)
        each.clean(STEPS, source=SOURCE.replace("PLACE", place))

    house.run()
    monkeypatch.setattr("pipeline.engine.read.measure_ahead", lambda *given, **more: None)
    later.run()

    assert contents(house) == contents(later)
    assert house.ids() == later.ids() == ["y", "z", "u", "v"]
    assert house.signals("length") == later.signals("length")


def test_the_text_of_a_source_is_decompressed_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **more: object) -> None:
        raise AssertionError("the text is read again")

    write(house.folder / "a.parquet", ["x", "y", "z"], texts(3))
    house.clean(STEPS, source=SOURCE.replace("PLACE", "true"))
    for way in ("pieces", "load_all"):
        read = getattr(ChainReader, way)
        monkeypatch.setattr(
            ChainReader, way, lambda self, columns, read=read: refuse() if "text" in columns else read(self, columns)
        )

    house.run()

    assert house.ids() == ["y", "z"]


def test_a_part_that_was_rewritten_is_measured_when_its_turn_comes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, measure = [], ahead.measure_part

    def note(task: MeasureTask, **more: Any) -> int:
        measured.append((task.reader.base.path.name, bool(more)))
        return measure(task, **more)

    monkeypatch.setattr(ahead, "measure_part", note)
    three_files(house)
    house.clean(STEPS, source=SOURCE.replace("PLACE", "true"))

    house.run()

    names = ["slice-00000-000.parquet", "slice-00002-000.parquet"]
    assert measured[:2] == [(name, True) for name in names]
    assert measured[2:] == [(names[0], False), ("slice-00002-000-unique.parquet", False)]
    assert [row["length"] is not None for row in house.signals("length")] == [True] * 5


def test_a_step_that_needs_another_dataset_waits_for_it(house: House) -> None:
    write(house.folder / "a.parquet", ["x", "y", "z"], texts(3))
    house.lines("seen.jsonl", ["text1"])
    source = SOURCE.replace("PLACE", "true")
    house.write(
        f"sources:\n  docs: {source}\n  seen: {{read: jsonl, path: DIR/seen.jsonl}}\n"
        "datasets:\n  known: {from: seen}\n  clean:\n    from: docs\n"
        "    steps: [{length: {against: [known]}}]\n"
    )

    house.run()

    assert house.card().rows_in == 3


def test_parts_have_numbers_of_their_own_and_rewritten_ones_none() -> None:
    names = [slice_file(number, chunk) for number in (0, 1, 70_000) for chunk in (0, 1, 999)]

    assert len({number_of(name) for name in names}) == len(names)
    assert number_of("slice-00002-000-unique.parquet") is None and number_of("part-00000.parquet") is None


def test_a_file_moves_with_its_sum_and_one_without_a_sum_stays(tmp_path: Path) -> None:
    write_text(tmp_path / "summed", "text", unfinished=True)
    (tmp_path / "bare").write_text("text")
    (tmp_path / "there").mkdir()

    for name in ("summed", "bare", "missing"):
        move_whole(tmp_path / name, tmp_path / "there" / name)

    assert is_whole(tmp_path / "there" / "summed") and not (tmp_path / "summed").exists()
    assert (tmp_path / "bare").exists() and not (tmp_path / "there" / "bare").exists()
