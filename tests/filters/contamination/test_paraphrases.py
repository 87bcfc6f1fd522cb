"""Paraphrases: what is found of what is planted, how often clean text is taken for one, and what the step tells."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import pytest

from filters.contamination.paraphrases import SIMILARITY
from pipeline.core.errors import DataError
from pipeline.core.files.card import read_card
from tests.filters.contamination.paraphrased import PAGE, Trial, docstrings, figures, look, prepare
from tests.filters.contamination.retelling import KINDS
from tests.filters.language.labelled import number_of
from tests.pipeline.house import House


@pytest.fixture(scope="module")
def trial() -> Trial:
    """Items of docstrings of some modules of the standard library; clean are those of others, and code."""
    modules = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"), key=lambda path: number_of(path.name))
    found = [text for path in modules[:150] for text in docstrings(path) if len(text) >= 250]
    code = [path.read_text(encoding="utf-8")[:4000] for path in modules[120:]]
    return prepare(list(dict.fromkeys(found)), code, items=100, seed=3)


def test_planted_paraphrases_are_found_and_clean_text_is_not(trial: Trial) -> None:
    found = figures(look(trial), threshold=SIMILARITY)

    assert found["planted"]["of"] >= 580
    assert found["planted"]["share"] >= 0.95
    assert found["false alarms, same kind"]["share"] < 0.01
    assert found["false alarms, other kind"]["share"] < 0.01


def test_the_stored_figures_meet_the_bars() -> None:
    stored = json.loads(PAGE.read_text())

    assert stored["threshold"] == SIMILARITY
    assert stored["planted"]["of"] >= 6 * 190
    assert stored["planted"]["low"] >= 0.95
    for kind in ("same", "other"):
        assert stored[f"false alarms, {kind} kind"]["share"] < 0.01


def test_a_run_names_item_and_text_and_counts_short_items(tmp_path: Path, trial: Trial) -> None:
    house = House(tmp_path)
    retold = trial.told[0][KINDS.index("reordered")]
    house.lines("docs.jsonl", [{"text": text} for text in [*trial.same_kind[:40], f"Before. {retold} After."]])
    (tmp_path / "items.txt").write_text(f"What is this?\n{trial.items[0]}\n", encoding="utf-8")
    house.clean([f"paraphrases: {{against: [{tmp_path / 'items.txt'}], background: 100}}"])

    plan = house.run()

    rows = house.signals("paraphrases", plan=plan)
    assert [row["item"] for row in rows] == [None] * 40 + ["items.txt:2"]
    assert rows[40]["similarity"] > 0.5
    assert rows[40]["excerpt"] in retold
    assert len(house.ids()) == 40
    details = read_card(plan.datasets["clean"].steps[-1].node.folder).details
    assert (details["items"], details["items_too_short"], details["background_documents"]) == (2, 1, 41)


def test_items_that_are_all_too_short_are_an_error(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("docs.jsonl", [{"text": "some words"}])
    (tmp_path / "items.txt").write_text("What is this?\n", encoding="utf-8")
    house.clean([f"paraphrases: {{against: [{tmp_path / 'items.txt'}]}}"])

    with pytest.raises(DataError, match="holds 1 items, none with 8 different words of content"):
        house.run()
