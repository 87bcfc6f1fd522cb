"""Cards are found again by what they say, what became of them and who proposed them; one is told whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.core.errors import RecipeError
from pipeline.recipe.load import load_recipe
from pipeline.report.research.told import Told
from pipeline.research.page.cards import card_called, cards_about
from tests.pipeline.house import House
from tests.pipeline.research.ledgers import search_of, told_house, with_waiting
from tests.pipeline.test_cli import tamis

__all__ = ["tamis"]  # a fixture


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    found = told_house(tmp_path_factory.mktemp("cards"))
    with_waiting(search_of(found, cards=24))
    return found


def about(house: House, words: str = "", **given: Any) -> list[Told]:
    return cards_about(load_recipe(house.recipe), house.workspace, about=words, **given)


def test_cards_are_found_by_edits_reasons_and_hypotheses_whatever_the_case(house: House) -> None:
    every = about(house)
    refused = about(house, "JUDGES gate")

    assert len(every) == 27
    assert [card.status for card in refused] == ["refused"]
    assert {card.id for card in about(house, "not finite")} == {card.id for card in about(house, status="failed")}
    assert about(house, "claude's idea") == about(house, proposer="claude")
    assert about(house, "max_words = 600", status="waiting")[0].needs
    assert about(house, "no such words") == []


def test_a_proposer_without_a_card_is_named_with_those_who_have(house: House) -> None:
    with pytest.raises(RecipeError, match="--proposer nobody: has no card here; those who have are claude, control"):
        about(house, proposer="nobody")


def test_one_card_is_called_by_the_beginning_of_its_id(house: House) -> None:
    wanted = next(card for card in about(house) if card.kind == "tune")
    called = card_called(load_recipe(house.recipe), house.workspace, wanted.id[:7])

    assert wanted in called
    with pytest.raises(RecipeError, match=r"no card of small is called so\. Did you mean"):
        card_called(load_recipe(house.recipe), house.workspace, "zz")


def test_the_same_question_asked_again_is_told_with_each_of_its_seeds(house: House) -> None:
    control = next(card for card in about(house) if card.kind == "control")
    called = card_called(load_recipe(house.recipe), house.workspace, control.id)

    assert [seed for card in called for seed in card.seeds] == [1000, 1001, 1002, 1003]


def test_the_verb_lists_cards_and_tells_one_whole(house: House, tamis) -> None:
    code, listed, _ = tamis("cards", str(house.recipe), "-w", str(house.workspace.root), "--about", "judges")
    (told,) = json.loads(
        tamis("cards", str(house.recipe), "-w", str(house.workspace.root), "--status", "refused", "--json")[1]
    )
    _, whole, _ = tamis("cards", str(house.recipe), "-w", str(house.workspace.root), told["id"])

    assert code == 0 and told["id"] in listed and "1 card; gain" in listed
    assert "gate.min_gain judges, and no proposal may touch it." in " ".join(whole.split())
    for word in ("hypothesis", "mechanism", "falsifier", "plan", "status      refused", "seeds"):
        assert word in whole
    assert tamis("cards", str(house.recipe), "-w", str(house.workspace.root), "--about", "nothing like it")[
        1
    ].startswith("No card is like that.")
