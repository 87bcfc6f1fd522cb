"""One part at a time: a broken document costs itself, windows change nothing, every document has a verdict."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError
from pipeline.core.files.parquet import shards
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.step import Measured
from pipeline.core.text.batch import MAX_DOCUMENT_BYTES, Batch
from pipeline.engine.measure import MeasureTask, StepRef, measure_batch, measure_part
from pipeline.recipe.names import step_class
from pipeline.store.dataset.chain import ERROR, TEXT, BasePart, ChainReader, Link, write_signals
from pipeline.store.dataset.verdicts import judge
from tests.pipeline.core.text.test_batch import sized
from tests.pipeline.house import texts
from tests.pipeline.steps import POISON, Length, Poisoned, Shout


def poisoned() -> Poisoned:
    step = Poisoned(params=Poisoned.Params())
    step.prepare({})
    return step


@settings(max_examples=40, deadline=None)
@given(poison=st.sets(st.integers(0, 29)))
def test_a_poison_document_costs_itself_and_its_neighbours_keep_their_signals(poison):
    good = texts(30)
    mixed = [f"{POISON} {number}" if number in poison else text for number, text in enumerate(good)]

    found = measure_batch(poisoned(), Batch.from_texts(mixed))

    clean = measure_batch(poisoned(), Batch.from_texts(good))
    for number in range(30):
        if number in poison:
            assert found[ERROR][number].as_py().startswith("ValueError: cannot stand 'POISON")
            assert found["length"][number].as_py() is None
        else:
            assert found[ERROR][number].as_py() is None
            assert found["length"][number] == clean["length"][number]


def test_an_empty_batch_is_measured_like_any_other():
    assert len(measure_batch(poisoned(), Batch.from_texts([]))["length"]) == 0


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_step_that_returns_another_number_of_values_stops_the_run(count):
    """One value for three documents would be right for one: halving the batch would hide it."""

    class Miscounting(Length):
        def measure(self, batch: Batch) -> Measured:
            return Measured({"length": np.zeros(count), "shared": [None] * len(batch)})

    with pytest.raises(DataError, match=f"`length` has {count} values for 3 documents"):
        measure_batch(Miscounting(params=Miscounting.Params()), Batch.from_texts(["a", "b", "c"]))


def test_an_edit_that_breaks_leaves_the_text_as_it_was():
    class BrokenShout(Shout):
        def measure(self, batch: Batch) -> Measured:
            if any(POISON in text for text in batch.strings()):
                raise ValueError("no")
            return super().measure(batch)

    found = measure_batch(BrokenShout(params=BrokenShout.Params()), Batch.from_texts(["loud", POISON, "soft"]))

    assert found[TEXT].to_pylist() == ["LOUD!", None, None]
    assert found[ERROR].to_pylist() == [None, "ValueError: no", None]


def test_a_document_of_2_gib_costs_itself_and_not_the_run():
    kind = step_class("length")

    found = measure_batch(kind(params=kind.Params()), sized(MAX_DOCUMENT_BYTES + 1))

    assert found["num_words"].to_pylist() == [None]
    assert found[ERROR].to_pylist()[0].startswith("ValueError: the document has 2,147,483,648 bytes")


@pytest.mark.parametrize("batch_bytes", [1, 60, 700, 1 << 30])
def test_windows_do_not_change_signals(house, monkeypatch, batch_bytes):
    house.lines("a.jsonl", ["", *texts(40), "loud words here", "x" * 5000, POISON])
    house.clean(["poisoned", "shout", "length", "gopher_quality"])
    monkeypatch.setattr(shards, "GROUP_BYTES", batch_bytes)

    house.run()

    found = {step: house.signals(step) for step in ("poisoned", "shout", "length", "gopher_quality")}
    assert len(found["length"]) == 43
    monkeypatch.setattr(shards, "GROUP_BYTES", 4 << 20)
    (house.folder / "workspace").rename(house.folder / "other")
    house.run()
    assert repr({step: house.signals(step) for step in found}) == repr(found)  # repr: NaN equals NaN


def test_steps_after_a_finished_edit_see_the_text_that_it_stored(house, tmp_path):
    """What it would make of the text today may differ: its author may have edited a module that it imports."""
    rows = [
        {"id": name, "text": "loud", "source": "s", "origin": "o", "lineage": "[]", "metadata": "{}"} for name in "ab"
    ]
    base = BasePart(index=0, path=tmp_path / "base.parquet", num_rows=2)
    write_table(base.path, pa.Table.from_pylist(rows, schema=SCHEMA))
    links = [Link(label=name, folder=tmp_path / name, rules=(), edits=name == "shout") for name in ("shout", "length")]
    for link in links:
        link.folder.mkdir()
    stored = {TEXT: pa.array(["as it was", None], pa.large_string()), ERROR: pa.nulls(2, pa.string())}
    write_signals(links[0].file(0), stored, ids=pa.array(["a", "b"]))
    refs = [StepRef(name=link.label, params="{}", inputs=(), identity=link.label) for link in links]

    measure_part(MeasureTask("label", ChainReader(base=base, links=()), tuple(zip(refs, links, strict=True))))

    assert read_table(links[1].file(0)).column("length").to_pylist() == [9.0, 4.0]


def test_windows_cover_every_row_once():
    text = pa.chunked_array([pa.array(["", "a" * 10, "", "b" * (9 << 20), "c"], pa.large_string())])

    windows = shards.windows(pa.table({"text": text}))

    assert [row for start, stop in windows for row in range(start, stop)] == list(range(5))


def test_every_document_has_a_verdict_and_the_first_failure_is_its_reason(house):
    house.lines("a.jsonl", ["abcdefgh", "ab", "abcdefghijklmnop", POISON + " poison", "abcdefghi"])
    house.clean(["length: {max_length: 15}", "poisoned: {min_length: 9}"])

    plan = house.run()

    card = house.card()
    assert (card.rows_in, card.rows_out) == (5, 1)
    assert card.dropped == {"length.too_short": 1, "length.too_long": 1, "poisoned.too_short": 1}
    assert card.quarantined == {"poisoned": 1}
    verdicts = read_table(plan.datasets["clean"].node.folder / "verdicts-00000.parquet").to_pylist()
    assert [row["reason"] for row in verdicts] == [
        "poisoned.too_short", "length.too_short", "length.too_long", None, None,
    ]  # fmt: skip
    assert verdicts[1]["failed"] == ["length.too_short", "poisoned.too_short"]
    assert [row["quarantined"] for row in verdicts] == [None, None, None, "poisoned", None]


def test_signals_of_other_documents_are_refused_when_a_dataset_is_decided(house):
    house.lines("a.jsonl", texts(6))
    house.clean(["length"])
    plan = house.run()
    dataset = plan.datasets["clean"]
    path = dataset.steps[0].node.folder / "part-00000.parquet"
    table = read_table(path)

    write_table(path, table.replace_schema_metadata({b"tamis.ids": b"0" * 32}))

    (dataset.node.folder / "card.json").unlink()
    (dataset.node.folder / "verdicts-00000.parquet").unlink()
    with pytest.raises(DataError, match=r"length-.*part-00000\.parquet: belongs to other documents"):
        house.run()


def test_a_prepared_step_is_not_reused_for_other_content_at_the_same_path(house):
    """Both runs happen in this process, as they do in a notebook."""
    house.lines("a.jsonl", ["alpha beta", "gamma delta"])
    against = house.folder / "held.txt"
    against.write_text("alpha", encoding="utf-8")
    house.clean([f"length: {{against: ['{against}']}}"])
    house.run()
    before = house.ids()

    against.write_text("gamma", encoding="utf-8")
    house.run()

    assert (before, house.ids()) == (["docs/a:1"], ["docs/a:0"])


def test_judging_no_links_keeps_everybody(tmp_path):
    base = BasePart(index=0, path=tmp_path / "none", num_rows=2)

    verdicts = judge(base, (), pa.chunked_array([["a", "b"]]))

    assert verdicts.column("kept").to_pylist() == [True, True]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), DataError("held.jsonl: is empty. Fill it."), MemoryError()]
)
def test_a_full_disk_or_an_explained_error_is_not_blamed_on_a_document(error):
    class Failing(Length):
        def measure(self, batch: Batch) -> Measured:
            raise error

    with pytest.raises(type(error)):
        measure_batch(Failing(params=Failing.Params()), Batch.from_texts(["a", "b"]))
