"""A person's word on what waits: who can give it, and what it counts for."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.loop.state import head
from pipeline.core.errors import DataError, RecipeError
from pipeline.plan.make import make_plan
from pipeline.recipe.edits import Edit
from pipeline.recipe.load import load_recipe
from pipeline.research.night.proposing import Proposing
from pipeline.research.people.approvals import HEAD, Waiting, answers_to, say, take_in, waiting_in, word_on, words_in
from pipeline.research.record.card import Card, Cost, Result
from pipeline.research.record.fold import Standing, folded
from pipeline.research.record.ledger import FILE, Ledger, damaged_ledgers
from pipeline.research.search.bench import Asked, plan_hash
from pipeline.research.search.search import Search
from tests.pipeline.house import House
from tests.pipeline.research.small_search import RECIPE, furnished, night_of

PLAN = "0123456789abcdef" * 4
EDIT = Edit("set", "datasets.rivers.gopher_quality.min_words", 90)  # outside of the space, which ends at 60
CARD = Card(
    id="card000001", number=0, kind="structural", edits=(EDIT,), parent="incumbent", proposer="claude",
    hypothesis="Longer is better.", mechanism="Short pages say little.", falsifier="", prediction=None, cost=Cost(),
    needs="rivers.gopher_quality.min_words = 90: lies outside the space", plan=PLAN,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace's only search, in which one card waits."""
    place = tmp_path / "research" / "small"
    _write(Ledger(place), CARD)
    return place


def _write(ledger: Ledger, card: Card) -> None:
    ledger.append("batch", {"batch": 0, "cards": [card.told], "refused": [], "remarks": []})


def asked(folder: Path) -> Waiting:
    (found,) = waiting_in(folded(Ledger(folder)))
    return found


def test_a_yes_names_the_plan_and_counts_for_no_other(folder: Path):
    say(folder, asked(folder), "approved", why="", how="flag", typed=PLAN[:8])

    words = words_in(folder)
    assert word_on(asked(folder), words) == "approved" and words[CARD.id].plan == PLAN
    assert word_on(replace(asked(folder), plan="f" * 64), words) == "expired"


@pytest.mark.parametrize("typed", ["", "0", PLAN[:7], "y", "yes", "f" * 8, CARD.id])
def test_anything_but_the_plans_hash_approves_nothing(typed: str, folder: Path):
    with pytest.raises(RecipeError, match="Nothing was approved"):
        say(folder, asked(folder), "approved", why="", how="flag", typed=typed)

    assert words_in(folder) == {} and word_on(asked(folder), {}) == ""


def test_the_last_word_counts_and_all_are_kept(folder: Path):
    say(folder, asked(folder), "approved", why="", how="flag", typed=PLAN[:8])
    say(folder, asked(folder), "rejected", why="too short", how="flag")

    assert words_in(folder)[CARD.id].answer == "rejected"
    assert len((folder / "approvals" / FILE).read_text().splitlines()) == 2


def test_an_edited_word_is_refused(folder: Path):
    say(folder, asked(folder), "rejected", why="no", how="flag")
    path = folder / "approvals" / FILE
    path.write_text(path.read_text().replace("rejected", "approved"))

    with pytest.raises(DataError, match="somebody edited"):
        words_in(folder)
    assert [row["path"] for row in damaged_ledgers(folder.parent)] == [str(path)]  # what `tamis verify` tells


def test_a_head_whose_claim_held_waits_until_it_is_promoted():
    held = Standing(claim={"head": []}, verdict={"outcome": "promote", "sentence": "Better.", "waits": True})

    assert [each.id for each in waiting_in(held)] == [HEAD]
    assert waiting_in(replace(held, promoted={"version": 1})) == []
    assert waiting_in(replace(held, verdict={"outcome": "undecided", "sentence": "", "waits": True})) == []
    assert waiting_in(replace(held, verdict={"outcome": "promote", "sentence": "", "waits": False})) == []
    edit = {"op": "set", "place": "datasets.a.pii.kinds", "value": ["email"]}
    (other,) = waiting_in(replace(held, claim={"head": [edit]}))
    assert other.plan != waiting_in(held)[0].plan and other.lines[1] == "it changes: a.pii.kinds = ['email']"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return furnished(tmp_path_factory.mktemp("house"))


def waiting_search(house: House) -> tuple[Search, Card]:
    """Return a search in which a card waits, priced as it is now."""
    search = night_of(house).search
    _, plan = search.bench.price(CARD.edits, name=search.name_of(CARD), seeds=(0,))
    card = replace(CARD, plan=plan, seeds=(0,))
    search.standing = Standing(cards={0: card})
    return search, card


def test_a_night_takes_in_a_yes_with_what_it_lets_in(house: House, folder: Path):
    search, card = waiting_search(house)
    (each,) = waiting_in(search.standing)
    say(folder, each, "approved", why="", how="flag", typed=card.plan[:8])

    ((kind, answer),) = answers_to(search, words_in(folder))
    assert kind == "answered"

    assert (answer["card"], answer["answer"], answer["plan"]) == (card.id, "approved", card.plan)
    assert answer["outside"] == [EDIT.key]


def test_a_yes_has_expired_where_the_text_changed_since_and_no_word_is_no(house: House, folder: Path):
    search, card = waiting_search(house)
    (each,) = waiting_in(search.standing)
    assert answers_to(search, {}) == []

    say(folder, each, "approved", why="", how="flag", typed=card.plan[:8])
    before = (house.folder / "plain.jsonl").read_text()
    house.lines("plain.jsonl", ["another text", "and one more"])
    try:
        ((kind, told),) = answers_to(search, words_in(folder))
        assert kind == "repriced" and told["card"] == card.id and told["plan"] not in ("", card.plan)
        assert told["cost"]["redo"] and not card.cost.redo  # so that what it pays for is counted
    finally:
        (house.folder / "plain.jsonl").write_text(before)


def test_a_no_is_taken_in_with_its_reason(house: House, folder: Path):
    search, _ = waiting_search(house)
    (each,) = waiting_in(search.standing)
    say(folder, each, "rejected", why="a source that nobody may use", how="flag")

    ((kind, answer),) = answers_to(search, words_in(folder))
    assert kind == "answered"

    assert (answer["answer"], answer["why"]) == ("rejected", "a source that nobody may use")


def test_an_approved_card_is_tried_next_and_lets_its_edit_into_the_space(tmp_path: Path):
    night = night_of(furnished(tmp_path), hours=1e-9)
    night.go_on()
    search = night.search
    _, plan = search.bench.price(CARD.edits, name=search.name_of(CARD), seeds=(0,))
    card = replace(CARD, plan=plan, seeds=(0,))
    search.write("batch", batch=0, cards=[card.told], refused=[], remarks=[])
    assert search.standing.open_cards == [] and search.standing.waiting == [card]

    (each,) = waiting_in(search.standing)
    say(search.ledger.path.parent, each, "approved", why="", how="flag", typed=plan[:8])
    take_in(search)
    take_in(search)

    assert search.standing.open_cards == [card] and search.standing.waiting == []
    assert len(search.ledger.of("answered")) == 1
    assert search.space().edits_of(search.space().point_of(card.edits)) == card.edits

    search.write("batch", batch=1, cards=[replace(card, id="later", number=1).told], refused=[], remarks=[])
    result = Result(card.id, "done", goals={"0": 5.0})
    search.write("results", results=[{"number": card.number, "result": result.told}], supply={})
    (trial,) = search.state(search.space()).trials
    assert trial.batch == 1  # when it was tried: what it shows is news to a search that is stuck


def test_a_card_whose_plan_changed_shows_the_new_one_is_told_once_and_can_be_approved_again(tmp_path: Path):
    house = furnished(tmp_path)
    night = night_of(house, hours=1e-9)
    night.go_on()
    stale = replace(CARD, plan=PLAN, seeds=(0,))
    night.search.write("batch", batch=0, cards=[stale.told], refused=[], remarks=[])
    folder = night.search.ledger.path.parent
    (each,) = waiting_in(night.search.standing)
    say(folder, each, "approved", why="", how="flag", typed=PLAN[:8])

    for _ in range(3):  # batches
        take_in(night.search)
    (again,) = waiting_in(folded(Ledger(folder)))
    assert len(night.search.ledger.of("repriced")) == 1 and again.plan != PLAN
    assert word_on(again, words_in(folder)) == "expired"

    say(folder, again, "approved", why="", how="flag", typed=again.plan[:8])
    take_in(night.search)
    assert [card.id for card in night.search.standing.open_cards] == [CARD.id]


def test_what_a_person_approves_is_the_plan_that_runs_where_a_dataset_is_made(tmp_path: Path):
    made = RECIPE.replace("{from: mixed, steps: [exact_dedup]}", "{make: {verified_tasks: {documents: 200}}}")
    made = made.replace("    remove_step: [markets.exact_dedup]\n", "")
    search = night_of(furnished(tmp_path, made)).search
    edit = Edit("set", "datasets.markets.make.verified_tasks.documents", 300)
    card = replace(CARD, edits=(edit,), seeds=(1000,), needs="")
    proposing = Proposing(search, (), search.space(), search.state(search.space()), head(search.state(search.space())))
    proposing._checked(card)
    (priced,) = proposing.batch.cards
    run = search.bench.trial_recipe([Asked(search.name_of(card), card.edits, card.seeds)])
    assert priced.plan == plan_hash(make_plan(load_recipe(run), search.bench.workspace))


def tamis(*words: str, workspace: Path, given: Any = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *words, "--workspace", str(workspace)]
    return subprocess.run(command, stdin=given, capture_output=True, text=True, check=False)


def test_approve_without_a_terminal_says_what_a_person_would_give(folder: Path, tmp_path: Path):
    alone = tamis("approve", CARD.id, workspace=tmp_path)

    assert alone.returncode == 2 and f"--yes-i-am-a-person {PLAN[:8]}" in alone.stderr and words_in(folder) == {}


def test_approve_and_reject_by_flag(folder: Path, tmp_path: Path):
    yes = tamis("approve", CARD.id[:6], "--yes-i-am-a-person", PLAN[:8], "--json", workspace=tmp_path)
    assert json.loads(yes.stdout)["answer"] == "approved" and words_in(folder)[CARD.id].how == "flag"

    no = tamis("reject", CARD.id, "--why", "a rumour", workspace=tmp_path)
    assert (no.returncode, no.stdout) == (0, f"{CARD.id} is rejected: a rumour\n")


@pytest.mark.parametrize(("typed", "code"), [(PLAN[:8], 0), ("yes", 2)])
def test_approve_at_a_terminal_shows_what_it_is_and_asks_for_the_hash(
    typed: str, code: int, folder: Path, tmp_path: Path
):
    ours, theirs = pty.openpty()
    os.write(ours, f"{typed}\n".encode())

    ran = tamis("approve", CARD.id, workspace=tmp_path, given=theirs)
    os.close(theirs)
    os.close(ours)

    assert ran.returncode == code and "Longer is better." in ran.stderr and PLAN in ran.stderr
    assert [word.how for word in words_in(folder).values()] == (["terminal"] if code == 0 else [])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("approve", "nothing"), "no card of that id waits. These do: card000001"),
        (("approve", ""), "no card of that id waits"),
        (("reject", CARD.id, "--why", " "), "needs its reason"),
        (("approve", CARD.id, "--search", "other"), "holds no such search"),
    ],
)
def test_a_word_on_nothing_or_without_reason_is_refused(
    words: tuple[str, ...], told: str, folder: Path, tmp_path: Path
):
    ran = tamis(*words, workspace=tmp_path)

    assert ran.returncode == 2 and told in ran.stderr and words_in(folder) == {}
