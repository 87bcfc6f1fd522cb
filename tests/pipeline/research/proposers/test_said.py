"""What error analyses found: all of it for the page, and for who proposes only what a gate does not judge by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.claims.record import Claim, Effect, Quote, Round
from pipeline.recipe.load import load_recipe
from pipeline.research.proposers import said
from tests.pipeline.research.small_search import furnished


def held(name: str, on: str, **more: Any) -> Round:
    claim = Claim(
        id=name, question=f"Is it {name}?", more=True, by="words", status="associated",
        quotes=(Quote("document-1", "words of it"),), tested=Effect(0.4, 0.1, 0.2, 0.4, pairs=90),
    )  # fmt: skip
    return Round(
        experiment="e", identity=name, first="even", other="head", which="lost", on=(on,), documents=100, groups=100,
        pairs={}, slices=(), proposer="words", claims=(claim,), **more,
    )  # fmt: skip


def test_proposers_are_told_what_was_found_on_open_sets_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = furnished(tmp_path)
    recipe = load_recipe(house.recipe)
    rounds = [held("rainy", "looked"), held("secret", "judged"), held("void", "looked", void="a control passed")]
    monkeypatch.setattr(said, "rounds_around", lambda workspace, name: [(tmp_path, each) for each in rounds])
    (told,) = said.for_advisers(recipe, house.workspace)
    assert told["question"] == "Is it rainy?"
    assert "document-1" not in str(told) and "words of it" not in str(told)
    assert [found.text for found in said.for_page(recipe, house.workspace)] == ["Is it rainy?", "Is it secret?"]
    assert said.for_page(recipe, house.workspace)[0].quotes == (("document-1", "words of it"),)


def test_a_search_without_a_claim_has_no_findings(tmp_path: Path) -> None:
    house = furnished(tmp_path)
    recipe = load_recipe(house.recipe)
    assert said.for_page(recipe, house.workspace) == () == said.for_advisers(recipe, house.workspace)


def test_what_is_wrong_with_our_own_code_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(workspace: Any, name: Any) -> list[Round]:
        raise KeyError("ours")

    monkeypatch.setattr(said, "rounds_around", broken)
    house = furnished(tmp_path)
    with pytest.raises(KeyError):
        said.for_page(load_recipe(house.recipe), house.workspace)
