"""What is written into a dataset's card is what is read from it."""

from __future__ import annotations

import json

from pipeline.core.files.card import Card
from pipeline.core.step import Rule
from pipeline.store.dataset.stored_dataset import StoredDataset, StoredPart, StoredRule, StoredStep

RULE = Rule("too_short", "length", ">=", 5.0, "min_length")
STORED = StoredDataset(
    rules=(StoredRule.of(RULE, step="first"),),
    steps=(StoredStep("first", "length", "measured/clean-1", "1", False, {"min_length": 5.0, "max_drift": 1.0}),),
    base=(StoredPart("source/docs-1/a.parquet", 3), StoredPart("source/docs-1/b.parquet", 2)),
    inputs=("docs",),
)


def card(kind: str, details: dict[str, object]) -> Card:
    return Card(
        kind=kind, name="clean", identity="1", parents={}, payload={}, files=(), content="", rows_in=5, rows_out=5,
        details=details,
    )  # fmt: skip


def test_a_card_gives_back_what_was_written_into_it() -> None:
    found = StoredDataset.from_card(card("dataset", json.loads(json.dumps(STORED.details()))))

    assert found == STORED
    assert found.rules_of("first") == (RULE,) and found.rules_of("second") == ()
    assert found.parents() == ["source/docs-1"]
    assert found.steps[0].settings == {"min_length": 5.0}


def test_a_source_has_no_steps() -> None:
    assert StoredDataset.from_card(card("source", {})) == StoredDataset()
