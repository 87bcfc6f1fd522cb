"""Whose words a version may hold: what a recipe must say of them before they are promoted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.errors import GateError
from pipeline.engine.progress import Silent
from pipeline.experiment.origins import admit_origins, foretold_refusal, origins_of
from pipeline.recipe.load import load_recipe
from pipeline.recipe.sections import PromoteSection
from tests.pipeline.house import House, texts


def section(**said: object) -> PromoteSection:
    return PromoteSection.model_validate({"as": "web", **said})


def test_origins_are_counted_from_the_documents_of_each_dataset(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("a.jsonl", texts(5))
    house.lines("b.jsonl", texts(3, start=9))
    house.write(
        "sources:\n  own: {read: jsonl, path: DIR/a.jsonl}\n"
        "  bought: {read: jsonl, path: DIR/b.jsonl, origin: claude}\n"
        "datasets: {own_too: {from: own}, mixed: {from: [own, bought]}}\n"
    )
    plan = house.run()

    assert origins_of(plan, {"own_too": "", "mixed": ""}) == {
        "own_too": {"human": 5},
        "mixed": {"human": 5, "claude": 3},
    }


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({}, r"mixed holds 3 documents of origin `claude`.*write `terms: \[Anthropic\]` under `promote:`"),
        ({"terms": ("OpenAI",)}, "origin `claude`"),
        ({"terms": ("anthropic",)}, ""),
        (
            {"terms": ("Anthropic",), "origins": ("human", "procedural")},
            r"`promote.origins` is \['human', 'procedural'\]",
        ),
        ({"terms": ("Anthropic",), "origins": ("human", "claude")}, ""),
    ],
)
def test_words_of_claude_wait_until_its_terms_are_settled(said: dict[str, object], refusal: str) -> None:
    found = {"own": {"human": 5}, "mixed": {"human": 5, "claude": 3}}

    if not refusal:
        return admit_origins(section(**said), found)
    with pytest.raises(GateError, match=refusal):
        admit_origins(section(**said), found)
    return None


def test_words_of_people_programs_and_open_models_need_no_word() -> None:
    admit_origins(section(), {"all": {"human": 9, "procedural": 2, "open_model": 1}})


@pytest.mark.parametrize(
    ("sources", "promote", "endpoint", "refusal"),
    [
        ("{read: jsonl, path: DIR/a.jsonl}", "{as: web}", "", "promote: grown will hold documents of origin `claude`"),
        ("{read: jsonl, path: DIR/a.jsonl}", "{as: web}", "http://127.0.0.1:1", ""),
        ("{read: jsonl, path: DIR/a.jsonl}", "{as: web, terms: [Anthropic]}", "", ""),
        ("{read: jsonl, path: DIR/a.jsonl}", "{as: web, origins: [human, open_model, claude], terms: [Anthropic]}", "",
         "tasks will hold documents of origin `procedural`, and `promote.origins` is"),
        ("{read: jsonl, path: DIR/a.jsonl, origin: claude}", "{as: web}", "http://127.0.0.1:1",
         "grown will hold documents of origin `claude`"),
    ],
)  # fmt: skip
def test_words_that_no_version_may_hold_are_told_before_any_is_bought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: str, promote: str, endpoint: str, refusal: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", endpoint)
    house = House(tmp_path)
    house.lines("a.jsonl", texts(5))
    house.lines("b.jsonl", texts(5, start=9))
    house.lines("c.jsonl", texts(5, start=19))
    house.write(
        f"sources:\n  own: {sources}\n  apart: {{read: jsonl, path: DIR/b.jsonl}}\n"
        "  looked: {read: jsonl, path: DIR/c.jsonl}\n"
        "datasets:\n  plain: {from: own, steps: [decontaminate: {against: [held, seen]}]}\n"
        "  new: {from: plain, make: {rephrase: {model: local, documents: 5}}}\n"
        "  grown: {from: [plain, new]}\n  tasks: {make: {verified_tasks: {documents: 9}}}\n  held: {from: apart}\n"
        "  seen: {from: looked}\n"
        "mixtures: {both: {weights: {grown: 1, tasks: 1, plain: 1}}, old: {weights: {plain: 1}}}\n"
        "proxy: {tier: t0, tokens: 1M}\n"
        "gate: {candidate: both, baseline: old, metric: bits_per_byte, on: [held], min_gain: 0.01}\n"
        f"promote: {promote}\n"
    )

    found = foretold_refusal(load_recipe(house.recipe))

    assert refusal in found and bool(found) == bool(refusal)
    if found:
        with pytest.raises(GateError, match=re.escape(found)):
            run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent())
        assert not house.workspace.root.exists()
        searched = house.recipe.read_text().replace("candidate: both", "candidate: proposed")
        house.write(f"{searched}sweep: {{around: both, on: {{seen: 1}}}}\n")
        assert foretold_refusal(load_recipe(house.recipe)) == found
