"""A head is registered after the gate and, where the recipe says so, after a person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.research.night.promoting import promote_head, waits_for_person
from pipeline.research.people.approvals import HEAD, say, waiting_in
from pipeline.research.search.search import Search
from tests.pipeline.research.small_search import RECIPE, furnished, night_of

PROMOTING = RECIPE.replace("person: []", "person: [promotion]") + "promote: {as: web}\n"


def claimed(folder: Path, *, outcome: str = "promote", recipe: str = PROMOTING) -> Search:
    """Return a search whose claim was judged."""
    search = night_of(furnished(folder, recipe)).search
    weight = {"op": "weight", "place": "mixtures.even", "value": {"rivers": 0.75, "markets": 0.25}}
    search.write("claim_opened", head=[weight], seeds=3, first_seed=3)
    search.write("claimed", outcome=outcome, sentence="It says so.", report="", waits=waits_for_person(search))
    return search


def promoted_by(search: Search) -> list[Mapping[str, Any]]:
    """Return what was asked of the registry."""
    asked: list[Mapping[str, Any]] = []

    def promoter(claim: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(claim)
        return {"name": "web", "version": 1}

    promote_head(search, promoter)
    promote_head(search, promoter)
    return asked


def word(search: Search, answer: str) -> None:
    (asked,) = waiting_in(search.standing)
    folder = search.ledger.path.parent
    say(folder, asked, answer, why="too narrow", how="flag", typed=asked.plan[:8])


def test_without_a_persons_word_nothing_is_promoted(tmp_path: Path):
    search = claimed(tmp_path)

    assert promoted_by(search) == [] and [each.id for each in waiting_in(search.standing)] == [HEAD]


def test_a_persons_yes_promotes_what_was_claimed_once(tmp_path: Path):
    search = claimed(tmp_path)
    word(search, "approved")

    (claim,) = promoted_by(search)

    assert claim["promote"] == {"as": "web"} and claim["mixtures"]["head"]["weights"] == {
        "rivers": 0.75,
        "markets": 0.25,
    }
    assert search.standing.promoted == {"name": "web", "version": 1} and waiting_in(search.standing) == []


def test_a_persons_no_promotes_nothing(tmp_path: Path):
    search = claimed(tmp_path)
    word(search, "rejected")

    assert promoted_by(search) == []


def test_a_yes_to_one_claim_is_none_to_the_next(tmp_path: Path):
    search = claimed(tmp_path)
    word(search, "approved")
    search.write("reopened", experiments=20)
    search.write("claim_opened", head=[], seeds=3, first_seed=6)
    search.write("claimed", outcome="promote", sentence="It says so again.", report="", waits=True)

    assert promoted_by(search) == [] and len(waiting_in(search.standing)) == 1


def test_where_no_person_is_asked_the_gate_alone_decides(tmp_path: Path):
    recipe = PROMOTING.replace("person: [promotion]", "person: []")

    assert len(promoted_by(claimed(tmp_path, recipe=recipe))) == 1


@pytest.mark.parametrize("outcome", ["reject", "undecided"])
def test_nobody_promotes_what_the_gate_did_not(outcome: str, tmp_path: Path):
    search = claimed(tmp_path, outcome=outcome)

    assert promoted_by(search) == [] and waiting_in(search.standing) == []


def test_a_recipe_that_promotes_nothing_waits_for_nobody(tmp_path: Path):
    search = claimed(tmp_path, recipe=PROMOTING.replace("promote: {as: web}\n", ""))

    assert promoted_by(search) == [] and waiting_in(search.standing) == []
