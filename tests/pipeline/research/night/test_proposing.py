"""A batch of cards: advisers' ideas inside, outside and against the rules, and what a plateau asks a person."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from eval.claims.record import Claim, Effect, Round
from eval.loop.space import Knob
from eval.loop.state import head
from pipeline.core.files.parquet.shards import write_table
from pipeline.queries.errors.rounds import ABOUT, ABOUT_SCHEMA
from pipeline.queries.tables import Dataset
from pipeline.recipe.edits import Edit
from pipeline.recipe.load import load_recipe
from pipeline.research.night.claiming import why_unjudged
from pipeline.research.night.proposing import MOST_WAITING, Batch, Proposing, next_cards
from pipeline.research.page.cards import cards_about
from pipeline.research.page.tried import tried_in
from pipeline.research.proposers import said
from pipeline.research.proposers.ideas import Advice, Idea, View, idea_of
from pipeline.research.proposers.remedies import remedy_of
from pipeline.research.proposers.view import decimals_of, view_of
from pipeline.research.record.card import Card
from pipeline.research.search.bench import Bench
from tests.conftest import ROOT
from tests.pipeline.house import House
from tests.pipeline.research.small_search import RECIPE, furnished, night_of

ASKING = RECIPE.replace("person: []", "person: [outside]").replace(
    "  batch: 4", "  batch: 4\n  proposers: {gp: 0.4, script: 0.6}\n  script: DIR/ideas.py"
)


class Somebody:
    """An adviser with the ideas that a test gives it."""

    name = "script"

    def __init__(self, *ideas: Idea) -> None:
        self.given = ideas
        self.views: list[View] = []

    def ideas(self, view: View, count: int, seed: int) -> Advice:
        self.views.append(view)
        return Advice(self.given)


def idea(*edits: Edit) -> Idea:
    return Idea(edits, "It is better.", "Because of what it keeps.")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A search whose incumbent was measured, and nothing else."""
    house = furnished(tmp_path_factory.mktemp("proposing"), ASKING)
    night = night_of(house)
    for _ in range(2):
        if night.search.standing.open_cards:
            night.try_cards()
        else:
            from pipeline.research.night.night import begin

            begin(night.search)
            night.step()
    return house


def batch_of(house: House, *ideas: Idea) -> Batch:
    return next_cards(night_of(house).search, 6, advisers=[Somebody(*ideas)])


def of_somebody(batch: Batch) -> list[Card]:
    return [card for card in batch.cards if card.proposer == "script"]


def test_an_idea_inside_the_space_is_a_card_with_its_words(begun: House) -> None:
    edit = Edit("set", "datasets.rivers.gopher_quality.min_words", 55)
    (card,) = of_somebody(batch_of(begun, idea(edit)))
    assert (card.edits, card.hypothesis, card.needs) == ((edit,), "It is better.", "")


def test_an_idea_outside_the_space_waits_for_a_person_with_the_hash_of_its_plan(begun: House) -> None:
    batch = batch_of(begun, idea(Edit("set", "datasets.rivers.gopher_quality.min_words", 90)))
    (card,) = of_somebody(batch)
    assert "outside" in card.needs or "10 to 60" in card.needs
    assert len(card.plan) == 64 and (batch.sound, len(batch.cards)) == (6, 7)  # it takes nobody's place


def test_a_forbidden_idea_is_a_refused_card_with_the_reason(begun: House) -> None:
    batch = batch_of(begun, idea(Edit("set", "gate.min_gain", 0)))
    (card,) = of_somebody(batch)
    (refused,) = batch.refused
    assert refused["number"] == card.number and "out of reach" in refused["result"]["why"]
    assert batch.sound == 6


def test_the_same_idea_twice_is_one_card(begun: House) -> None:
    edit = Edit("set", "datasets.rivers.gopher_quality.min_words", 55)
    assert len(of_somebody(batch_of(begun, idea(edit), idea(edit)))) == 1


def test_what_an_idea_raises_ends_no_night_and_takes_nobodys_place(begun: House) -> None:
    good = idea(Edit("set", "datasets.rivers.gopher_quality.min_words", 55))
    batch = batch_of(begun, idea(Edit("weight", "mixtures.even", 0.5)), good)  # as no reader of ideas would let it by
    (card,) = of_somebody(batch)
    assert card.edits == good.edits and "cannot be taken in" in str(batch.remarks)


def test_a_card_whose_plan_breaks_is_refused(begun: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any, **named: Any) -> Any:
        raise KeyError("markets_0")

    monkeypatch.setattr(Bench, "price", broken)
    batch = batch_of(begun, idea(Edit("set", "datasets.rivers.gopher_quality.min_words", 55)))
    assert batch.sound == 0 and "KeyError" in batch.refused[0]["result"]["why"]


def test_no_answer_floods_a_person(begun: House) -> None:
    ideas = [idea(Edit("set", "datasets.rivers.gopher_quality.min_words", 70 + each)) for each in range(40)]
    batch = batch_of(begun, *ideas)
    assert len(of_somebody(batch)) == sum(bool(card.needs) for card in batch.cards) <= MOST_WAITING
    (remark,) = batch.remarks
    assert len(remark["unusable"]) == 40 - len(of_somebody(batch)) and "wait for a person" in remark["unusable"][0]


def test_a_value_between_two_of_the_space_is_told_beside_the_one_that_is_tried(tmp_path: Path) -> None:
    wide = ASKING.replace("{low: 10, high: 60}", "{low: 1, high: 100000, log: true}")
    night = night_of(furnished(tmp_path, wide))
    space = night.search.space()
    state = night.search.state(space)
    asked = idea(Edit("set", "datasets.rivers.gopher_quality.min_words", 4001))
    proposing = Proposing(night.search, (), space, state, head(state))
    (proposed,) = proposing._proposed_by("script", Advice((asked,)), 1, [])
    (tried,) = space.edits_of(proposed.point)
    assert tried.value != 4001 and "min_words = 4001" in proposed.reason


def test_what_an_adviser_sees_holds_nothing_that_judges(begun: House) -> None:
    somebody = Somebody()
    next_cards(night_of(begun).search, 6, advisers=[somebody])
    (view,) = somebody.views
    assert "judged" not in str(view) and "min_gain" not in str(view) and str(begun.folder) not in str(view)
    assert {"incumbent", "space", "cards", "head", "refused"} <= view.keys()


def test_numbers_are_shown_as_far_as_the_chance_of_a_proxy_lets_them_mean_something() -> None:
    assert [decimals_of(chance) for chance in (None, 0.0072, 0.041, 0.3, 1e-9)] == [4, 4, 3, 2, 6]


def test_beyond_a_range_where_a_step_takes_no_value_nobody_is_asked(begun: House) -> None:
    batch = next_cards(night_of(begun).search, 4, widen=("datasets.rivers.gopher_quality.min_words",))  # -15 words
    assert batch.cards and not any(card.proposer == "plateau" for card in batch.cards)


def test_proxies_too_short_for_a_verdict_are_told_before_the_first_card(begun: House) -> None:
    said = why_unjudged(load_recipe(begun.recipe))
    assert "each proxy reads 4,000 tokens, and a verdict needs 249,856 at tier t0" in said
    assert not why_unjudged(load_recipe(ROOT / "recipes" / "research.yaml"))


def test_beyond_a_range_is_half_of_it_further() -> None:
    assert Knob("a", "float", low=10, high=60).beyond(1.0) == 85
    assert Knob("a", "float", low=10, high=60).beyond(0.0) == -15
    assert Knob("a", "float", low=1, high=100, log=True).beyond(1.0) == pytest.approx(1000)


@pytest.mark.parametrize(
    "told",
    [
        "make it better",
        {"edits": [], "hypothesis": "a", "mechanism": "b"},
        {"edits": [{"op": "set", "place": "a", "value": 1}], "hypothesis": "", "mechanism": "b"},
        {"edits": [{"op": "set", "place": "a"}], "hypothesis": "a", "mechanism": 3},
        {"edits": ["x"], "hypothesis": "a", "mechanism": "b"},
        {"edits": [{"op": "set", "place": "a"}], "hypothesis": "a\ud800", "mechanism": "b"},
        {
            "edits": [{"op": "set", "place": "a"}],
            "hypothesis": "a",
            "mechanism": "b",
            "prediction": {"median": 10**400, "low": -1, "high": 10**400},
        },
        {"edits": [{"op": "set", "place": "a"}], "hypothesis": "a", "mechanism": "b", "prediction": {"median": 1}},
    ],
)
def test_what_is_no_idea_is_refused(told: Any) -> None:
    from pipeline.core.errors import RecipeError

    with pytest.raises(RecipeError):
        idea_of(told)


def test_a_script_beside_the_recipe_is_no_path_of_the_view(begun: House, tmp_path: Path) -> None:
    somebody = Somebody()
    next_cards(night_of(begun).search, 6, advisers=[somebody])
    assert "ideas.py" not in str(somebody.views)


def finding(house: House, folder: Path, pattern: str) -> tuple[Path, Round]:
    """Return a round with one claim, and keep which documents of the open set have what it claims."""
    claim = Claim(
        id="c_water", question='Does the text hold the word "water"?', more=True, by="words", status="associated",
        pattern=pattern, tested=Effect(0.4, 0.1, 0.2, 0.4, pairs=90),
    )  # fmt: skip
    documents = Dataset(house.workspace, *house.workspace.dataset("looked")).to_arrow(["id", "text"]).to_pylist()
    columns = {
        "claim": [claim.id] * len(documents), "domain": ["looked"] * len(documents),
        "id": [each["id"] for each in documents], "has": ["water" in each["text"][:120] for each in documents],
    }  # fmt: skip
    write_table(folder / ABOUT, pa.table(columns, schema=ABOUT_SCHEMA))
    return folder, Round(
        experiment="e", identity="r", first="even", other="head", which="hard", on=("looked",), documents=60, groups=60,
        pairs={}, slices=(), proposer="words", claims=(claim,),
    )  # fmt: skip


def test_a_claim_becomes_a_card_and_is_weighed_by_the_documents_that_it_is_about(
    begun: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(Path(shutil.copytree(begun.folder, tmp_path / "house")))
    held = finding(house, tmp_path, r"(?i)\bwater\b")
    monkeypatch.setattr(said, "rounds_around", lambda workspace, name: [held])
    night = night_of(house)
    recipe, search = night.search.recipe, night.search
    search.findings = said.for_advisers(recipe, house.workspace)

    night.step()
    (card,) = (each for each in search.standing.open_cards if each.claim)
    night.try_cards()
    night.step()

    assert (card.claim, card.proposer, len(card.seeds)) == ("c_water", "claims", 3)
    (edit,) = card.edits
    assert edit.op == "weight" and edit.value["rivers"] == pytest.approx(0.75)
    assert "97 % of rivers are such texts, 0 % of the other datasets" in card.mechanism
    weighed = search.standing.weighed["c_water"]
    assert weighed["low"] < weighed["gain"] < weighed["high"] and weighed["proxies"] == 3
    assert 0 < weighed["documents"] < 60 and search.ledger.events[-1].kind == "weighed"
    (view,) = [view_of(search, search.space(), search.state(search.space()), adviser="script")["findings"]]
    assert view[0]["verdict"] == weighed["verdict"] and view[0]["tried_by"] == card.id
    outcome = tried_in(house.workspace)["c_water"]
    assert outcome.startswith(f"{weighed['verdict']}: ") and f"by card {card.id} on " in outcome
    (told,) = cards_about(recipe, house.workspace, about="c_water")
    assert told.outcome and told.outcome in outcome
    assert said.for_page(recipe, house.workspace, tried={"c_water": outcome})[0].outcome == outcome
    night.step()
    assert [each.kind for each in search.ledger.events[-2:]] == ["weighed", "batch"]
    assert all(not each.claim for each in search.standing.open_cards)  # one card for each claim


def test_a_claim_is_used_by_the_edit_stated_with_it_or_by_the_step_that_drops_such_texts(begun: House) -> None:
    space = night_of(begun).search.space()
    claim = Claim(id="c", question="Is it short?", more=True, by="claude", status="associated")

    def remedy(claim: Claim) -> Any:
        return remedy_of(said.Found(claim, begun.folder, ("looked",), "lost"), space, begun.workspace)

    stated = replace(
        claim, edit={"op": "remove_step", "target": "datasets.markets.exact_dedup", "value": "", "why": ""}
    )
    assert remedy(stated).edits == (Edit("remove_step", "datasets.markets.exact_dedup"),)
    assert "no pattern finds" in remedy(claim)
    assert "nothing in the space" in remedy(replace(claim, pattern="the"))
    dropped = replace(
        claim, pattern=r"\A(\w+ ){0,34}\w+\Z"
    )  # texts of up to 35 words: those of fewer than 30 are dropped
    assert remedy(dropped).edits[0] == Edit("set", "datasets.rivers.gopher_quality.min_words", 20)
