"""`stats`: distributions of stored signals are those of the documents, in every grouping."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.commands.texts import stats_text
from pipeline.core.errors import RecipeError
from pipeline.core.step import ENGINE_COLUMNS
from pipeline.queries.stats import GROUPS, Fate, stats
from tests.pipeline.house import House, texts
from tests.pipeline.steps import POISON


@pytest.fixture
def built(house: House) -> House:
    rows = [{"text": text, "site": f"site{index % 3}"} for index, text in enumerate(texts(30))]
    house.lines("a.jsonl", rows)
    house.lines("b.jsonl", [*texts(10, start=30), POISON])
    house.clean(["length: {min_length: 60}", "poisoned", "language: {keep: [en], min_score: 0.1}", "exact_dedup"])
    house.run()
    return house


def ask(house: House, signal: str | None = None, by: str | None = None, fate: Fate = "all"):
    return stats(house.workspace, "clean", signal=signal, by=by, fate=fate)


def test_quantiles_are_those_of_all_documents_that_reached_the_dataset(built: House):
    lengths = [len(text) for text in [*texts(30), *texts(10, start=30), POISON]]

    (row,) = ask(built, "length.length")["signals"]

    assert (row["documents"], row["measured"], row["group"]) == (41, 41, None)
    assert (row["min"], row["max"], row["mean"]) == (min(lengths), max(lengths), pytest.approx(np.mean(lengths)))
    assert [row["p05"], row["p50"], row["p99"]] == pytest.approx(np.quantile(lengths, [0.05, 0.5, 0.99]))
    assert row["kept_if"] == ">= 60 and <= 10000"


def test_kept_and_dropped_documents_part_at_the_threshold(built: House):
    (kept,) = ask(built, "length.length", fate="kept")["signals"]
    (dropped,) = ask(built, "length.length", fate="dropped")["signals"]

    assert kept["min"] >= 60 and dropped["min"] < 60
    assert kept["documents"] == built.card().rows_out and kept["documents"] + dropped["documents"] == 41


def test_what_was_not_measured_is_not_counted_as_a_number(built: House):
    rows = {row["signal"]: row for row in ask(built)["signals"]}

    assert (rows["length.shared"]["measured"], rows["length.shared"]["mean"]) == (0, None)
    assert rows["poisoned.length"]["measured"] == 40
    assert set(rows) >= {"language.kept_language_score", "exact_dedup.is_duplicate"}


@pytest.mark.parametrize("by", ["site", "metadata.site"])
def test_a_key_of_the_metadata_groups(built: House, by: str):
    found = ask(built, "length.length", by=by)

    assert {row["group"]: row["documents"] for row in found["groups"]} == {
        "(none)": 11, "site0": 10, "site1": 10, "site2": 10,
    }  # fmt: skip
    third = next(row for row in found["signals"] if row["group"] == "site2")
    assert third["mean"] == pytest.approx(np.mean([len(text) for text in texts(30)[2::3]]))
    assert sum(row["kept"] for row in found["groups"]) == built.card().rows_out


def test_sources_and_text_signals_group_too(built: House):
    assert [row["group"] for row in ask(built, by="source")["groups"]] == ["docs"]
    by_language = ask(built, by="language")
    assert "en" in {row["group"] for row in by_language["groups"]}
    assert by_language == {**ask(built, by="language.language"), "by": "language"}


def test_a_text_signal_is_told_by_its_values(built: House):
    (row,) = ask(built, "language.language")["signals"]

    assert sum(row["values"].values()) == row["measured"]
    assert "en" in row["values"] and "language.language: " in stats_text(ask(built, "language.language"))


def test_many_groups_end_in_others(house: House):
    house.lines("a.jsonl", [{"text": text, "page": f"p{index:03d}"} for index, text in enumerate(texts(50))])
    house.clean(["length"])
    house.run()

    groups = ask(house, by="page")["groups"]

    assert len(groups) == GROUPS + 1
    assert groups[0] == {"group": "(others)", "documents": 50 - GROUPS, "kept": 50 - GROUPS, "kept_fraction": 1.0}


def test_what_is_nowhere_is_told_the_nearest(built: House):
    with pytest.raises(RecipeError, match=r"--by sit: no document has it\. Did you mean site"):
        ask(built, by="sit")
    with pytest.raises(RecipeError, match=r"no such signal\. Did you mean length\.length or poisoned\.length"):
        ask(built, "length")


def test_columns_of_the_engine_are_no_signals(house: House):
    house.lines("a.jsonl", texts(5))
    house.clean(["c4_quality"])
    house.run()

    assert not {name.partition(".")[2] for name in _signals_of(ask(house))} & {*ENGINE_COLUMNS}
    for column in ENGINE_COLUMNS:
        with pytest.raises(RecipeError, match=r"the engine's own column, not a signal\. Choose one of c4_quality\.\w+"):
            ask(house, f"c4_quality.{column}")


def _signals_of(found) -> list[str]:
    return [row["signal"] for row in found["signals"]]


def test_the_answer_is_plain_json_and_reads_well(built: House):
    found = ask(built, by="site")

    json.dumps(found, allow_nan=False)
    text = stats_text(found)
    assert text.startswith("site") and "p50" in text and built.workspace.dataset("clean")[0].name in text
