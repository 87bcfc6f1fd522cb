"""Sketches made in the pass before a dedup: the same answers as when the dedup reads the text itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest

from filters.dedup.minhash_bands import Signer
from pipeline.core.files.card import read_card
from pipeline.core.sketch import order_of
from pipeline.core.step import Part, Quantile, Rule
from pipeline.core.text.batch import Batch
from pipeline.engine.sketching import Sample, fixed_rules
from tests.pipeline.house import House, contents, texts
from tests.pipeline.steps import Length, Longest

DEDUPS = ("exact_dedup", "minhash_dedup: {shingle_words: 2}")
ONE_DEDUP = "minhash_dedup: {shingle_words: 2, audit_pairs: 0}"


@pytest.fixture
def twins(house: House) -> House:
    documents = texts(40)
    house.lines("a.jsonl", documents + documents[3:9])
    house.lines("b.jsonl", [f"loud {text}" for text in documents[10:20]] + [text + " again" for text in documents[20:]])
    return house


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The documents of each batch that MinHash sketched."""
    seen: list[int] = []
    original = Signer.__call__

    def counted(self: Signer, batch: Batch) -> Mapping[str, np.ndarray]:
        seen.append(len(batch))
        return original(self, batch)

    monkeypatch.setattr(Signer, "__call__", counted)
    return seen


@pytest.mark.parametrize("before", [["length: {min_length: 30}", "shout"], ["longest: {keep_fraction: 0.6}"]])
def test_a_dedup_behind_a_pass_answers_as_one_that_reads_the_text(twins: House, before: list[str]):
    twins.clean([*before, *DEDUPS])
    twins.run()
    found = contents(twins.workspace.root)
    twins.workspace.root.rename(twins.folder / "behind")

    twins.clean(before)
    twins.run()  # the pass is over before a dedup is asked for
    twins.clean([*before, *DEDUPS])
    twins.run()

    again = contents(twins.workspace.root)
    assert {name: again[name] for name in found} == found
    assert any(name.startswith("gathered/minhash_dedup") for name in found)
    assert 0 < twins.card().rows_out < 60


def test_only_documents_that_the_pass_left_alive_are_sketched_and_only_once(twins: House, sketched: list[int]):
    twins.clean(["length: {min_length: 60}", ONE_DEDUP])

    twins.run()

    assert sum(sketched) == sum(row["length"] >= 60 for row in twins.signals("length")) < 60


def test_the_sample_is_the_first_live_documents_in_the_seeded_order_however_they_come():
    documents = [f"text {number}" for number in range(300)] + ["large " * 20_000]
    whole = Batch.from_texts(documents)
    places = order_of(whole.ids, seed=3)
    expected = {int(row): documents[row].encode() for row in np.argsort(places)[:20] if row != 300}

    for size in (1, 7, 64, 301):
        sample = Sample(20, 3)
        for first in range(0, 301, size):
            ids, text = whole.ids[first : first + size], pa.concat_arrays([whole.text[first : first + size]])
            sample.add(Batch(ids=ids, text=text), np.arange(first, first + len(ids)))
        assert sample.texts() == expected

    assert Sample(0, 3).texts() == {}


def test_the_pass_keeps_the_texts_that_are_planted(twins: House, monkeypatch: pytest.MonkeyPatch):
    twins.clean(["length: {min_length: 60}", "exact_dedup", "minhash_dedup: {shingle_words: 2, audit_pairs: 5}"])
    read: list[int] = []
    original = Part.load_some

    def counted(self: Part, columns: Sequence[str], positions: np.ndarray) -> pa.Table:
        read.extend(positions.tolist() if list(columns) == ["text"] else [])
        return original(self, columns, positions)

    monkeypatch.setattr(Part, "load_some", counted)

    twins.run()

    assert not read
    (card,) = (read_card(path.parent) for path in twins.workspace.root.glob("gathered/minhash_dedup-*/card.json"))
    assert card.details["audit"]["planted"] > 0


def test_a_pass_for_a_step_added_later_knows_whom_the_finished_ones_dropped(twins: House, sketched: list[int]):
    twins.clean(["length: {min_length: 60}"])
    twins.run()
    twins.clean(["length: {min_length: 60}", "shout", ONE_DEDUP])

    twins.run()

    assert sum(sketched) == sum(row["length"] >= 60 for row in twins.signals("length")) < 60


def test_a_rule_that_calculates_with_a_share_only_makes_more_sketches():
    class Whole(Longest):
        def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
            return (Rule("not_long", "length", ">=", int(quantile("length", 0.5))),)

    assert fixed_rules(Whole(params=Whole.Params())) == ()
    assert fixed_rules(Longest(params=Longest.Params(keep_fraction=0.5))) == ()
    assert len(fixed_rules(Length(params=Length.Params()))) == 3
