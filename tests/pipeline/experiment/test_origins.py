"""Whose words a version may hold: what a recipe must say of them before they are promoted."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.errors import GateError
from pipeline.experiment.origins import admit_origins, origins_of
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
