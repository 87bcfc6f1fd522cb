"""What a search's record tells: every number is the ledger's, and each state of a search has its sentence."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.loop.factorial import LANES, factorial
from pipeline.commands.research.research_texts import digest_text
from pipeline.core.errors import DataError, RecipeError
from pipeline.recipe.load import load_recipe
from pipeline.report.research.told import Digest, Range, Together
from pipeline.research.night.proposing import next_cards
from pipeline.research.page.digest import digest_of
from pipeline.research.page.sentences import learned
from pipeline.research.people.approvals import say, waiting_in
from pipeline.research.proposers.view import view_of
from pipeline.research.record.fold import folded, gain_of, incumbent_goals
from pipeline.research.record.ledger import Ledger
from pipeline.research.record.lock import is_under_way, one_night
from pipeline.research.search.reading import read_search
from tests.pipeline.house import House
from tests.pipeline.research.ledgers import TOLD, search_of, told_house, with_claim, with_waiting


def told(house: House) -> Digest:
    return digest_of(load_recipe(house.recipe), house.workspace)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, Digest]:
    """A night of 24 experiments with two that failed, one refused, two that wait, and a claim that is promoted."""
    house = told_house(tmp_path_factory.mktemp("night"))
    writer = search_of(house, cards=24)
    with_waiting(writer)
    with_claim(writer)
    return house, told(house)


def test_every_card_is_told_with_the_ledgers_numbers(night) -> None:
    house, digest = night
    standing = folded(Ledger(house.workspace.root / "research" / "small"))

    assert [card.id for card in digest.cards] == [card.id for card in standing.cards.values()]
    for card in digest.cards:
        written = standing.cards[card.number]
        assert card.measured == gain_of(standing, card.number)
        assert (card.words, card.proposer, card.hypothesis) == (written.words, written.proposer, written.hypothesis)
        assert card.predicted is None or card.predicted.low == written.prediction.low
    counts = {status: digest.count(status) for status in ("failed", "refused", "waiting")}
    assert counts == {"failed": 2, "refused": 1, "waiting": 2}


def test_the_claim_is_told_with_interval_odds_look_and_guards(night) -> None:
    _, digest = night
    (claim,) = digest.claims

    assert (claim.gain.value, claim.gain.low, claim.gain.high) == (0.02, 0.012, 0.028)
    assert (claim.odds, claim.odds_needed, claim.look, claim.confidence) == (1234.5, 20.0, 2, 0.95)
    assert claim.guards[0].domain == "judged" and claim.guards[0].max_loss == 0.01
    assert (digest.headline, digest.sentence) == ("promote", "head needs 0.020 bits per byte less than even.")
    assert (claim.luck, claim.power, claim.detectable) == (0.003, 0.94, 0.019)
    of_claimed = replace(digest, head_luck=claim.luck)
    assert "(80 % interval), of which 0.0030 are the luck of the chosen, better with" in learned(of_claimed)[1]


def test_an_edits_worth_is_the_ledgers_with_an_interval_by_students_t(night) -> None:
    house, digest = night
    standing = folded(Ledger(house.workspace.root / "research" / "small"))

    assert len(digest.effects) == 2
    for effect, row in zip(digest.effects, standing.attribution, strict=True):
        assert effect.mean == row["worth"]
        assert effect.overall.high - effect.overall.value == pytest.approx(4.3027 * row["sd"], rel=1e-4)
        weighted = (3 * effect.by_domain["looked"].value + effect.by_domain["seen"].value) / 4
        assert weighted == pytest.approx(effect.mean)


def test_of_a_long_search_it_is_told_that_the_model_leaves_some_out_and_which_settings_depend(night) -> None:
    _, digest = night
    assert digest.not_modelled == 0 and "the model of all cards" in learned(digest)[1]

    both = Together(("min_words", "keep"), Range(0.02, 0.01, 0.03))
    told = learned(replace(digest, not_modelled=7, together=(both,)))

    assert "the model of the best and the latest cards" in told[1]
    assert told[2].endswith(
        "More together than each alone: min_words and keep +0.020 (+0.010 to +0.030), by the model alone."
    )


def test_controls_tell_what_chance_does_and_how_far_the_luckiest_of_nothing_lies(night) -> None:
    house, digest = night
    goals = list(incumbent_goals(folded(Ledger(house.workspace.root / "research" / "small"))).values())

    assert list(digest.controls.goals.values()) == goals
    assert digest.controls.sd.value == pytest.approx(np.std(goals, ddof=1))
    assert digest.controls.sd.low < digest.controls.sd.value < digest.controls.sd.high
    of_chance = np.random.default_rng(1).normal(size=(4000, digest.controls.tried)).max(axis=1).mean()
    assert digest.controls.luckiest / digest.controls.sd.value == pytest.approx(of_chance, rel=0.02)


def test_a_view_for_proposers_shows_nothing_by_which_a_claim_could_be_known_to_have_held(night) -> None:
    house, _ = night
    search = read_search(load_recipe(house.recipe), house.workspace)
    space = search.space()

    view = view_of(search, space, search.state(space), adviser="claude")

    assert any(card.proposer == "attribution" for card in search.standing.cards.values())
    assert view["cards"] and "attribution" not in {card["proposer"] for card in view["cards"]}
    numbers = (view["one_proxy_differs_by_chance"], view["head"]["gain"], view["head"]["sd"])
    assert numbers == tuple(round(number, 5) for number in numbers)


def test_shares_of_proposers_sum_to_one_and_their_intervals_hold_what_they_are_worth(night) -> None:
    _, digest = night
    by_name = {each.name: each for each in digest.proposers}

    assert math.fsum(each.next for each in digest.proposers if each.next is not None) == pytest.approx(1)
    assert by_name["claude"].usd == pytest.approx(0.02) == digest.bill.usd
    assert by_name["claude"].counts["waiting"] == 2 and by_name["control"].began is None
    for each in digest.proposers:
        assert each.worth is None or each.worth.low <= each.worth.share <= each.worth.high


def test_what_waits_has_the_three_numbers_and_the_command_that_decides(night) -> None:
    house, digest = night
    promotion, first, second = digest.waiting

    assert promotion.gain.value == 0.02 and "judged +0.0040" in promotion.guard
    where = f" -w {house.workspace.root}"
    assert promotion.commands[0] == f"tamis approve head{where}"
    for each in (first, second):
        assert each.gain.low < each.gain.value < each.gain.high
        assert each.cost == "up to $1.25; re-gather, re-label, re-train"
        assert each.commands == (f"tamis approve {each.card}{where}", f'tamis reject {each.card}{where} --why "..."')
    assert digest.minutes == sum(each.minutes for each in digest.waiting) <= 10


def test_what_a_person_decided_waits_no_longer_and_a_yes_to_another_plan_is_none(tmp_path: Path) -> None:
    house = told_house(tmp_path)
    writer = search_of(house, cards=11)
    yes, no = with_waiting(writer)
    standing = folded(Ledger(writer.folder))
    asked = {each.id: each for each in waiting_in(standing)}
    say(writer.folder, replace(asked[yes.id], plan="0" * 64), "approved", why="", how="flag", typed="0" * 8)
    say(writer.folder, asked[no.id], "rejected", why="too dear", how="flag")

    digest = told(house)

    assert [each.card for each in digest.waiting] == [yes.id]
    assert digest.answered == 1


def test_five_lines_say_what_was_learned_and_the_text_ends_with_the_next_step(night) -> None:
    _, digest = night
    text = digest_text(digest)

    assert [line.partition(":")[0] for line in digest.learned] == [
        "Tried", "Best", "What did it", "Who was right", "What did not work",
    ]  # fmt: skip
    assert "2 failed, 1 refused, 2 waiting" in digest.learned[0]
    assert "100.0 %" not in text
    assert text.startswith("PROMOTE: head needs 0.020 bits per byte less than even.")
    assert "next   Decide, 3 things to decide: `tamis approve head " in text
    assert all(f"       {each.commands[0]}" in text.splitlines() for each in digest.waiting)
    assert max(map(len, text.splitlines())) <= 110


def test_what_would_be_tried_next_is_new_and_priced_and_nothing_is_written(night) -> None:
    house, digest = night
    before = (house.workspace.root / "research" / "small" / "ledger.jsonl").read_bytes()
    known = {card.id for card in digest.cards}

    again = told(house)

    assert again.next == digest.next and len(digest.next.cards) == 8
    assert {card.id for card in digest.next.cards if card.kind == "tune"}.isdisjoint(known)
    assert all("re-train" in card.redo for card in digest.next.cards)
    assert (house.workspace.root / "research" / "small" / "ledger.jsonl").read_bytes() == before


def test_a_search_that_nobody_began_says_how_to_begin(tmp_path: Path) -> None:
    house = told_house(tmp_path)
    with pytest.raises(DataError, match=r"no night of this search was run in .*workspace\. Begin one: tamis research"):
        told(house)
    assert not house.workspace.root.exists()


def test_a_night_under_way_is_read_without_its_lock_and_its_half_written_line_is_left(tmp_path: Path) -> None:
    house = told_house(tmp_path)
    writer = search_of(house, cards=11, open_=True)
    with writer.ledger.path.open("ab") as file:
        file.write(b'{"body": {"cut')
    before = writer.ledger.path.read_bytes()

    with one_night(writer.folder):
        digest = told(house)

    assert writer.ledger.path.read_bytes() == before
    assert (digest.state, digest.headline) == ("under way", "A night is under way")
    assert "3 of 400 experiments are done" in digest.sentence
    assert {card.status for card in digest.next.cards} == {"open"} and len(digest.next.cards) == 8
    assert not is_under_way(writer.folder)


def test_a_search_that_was_stopped_says_how_to_go_on(tmp_path: Path) -> None:
    house = told_house(tmp_path)
    search_of(house, cards=11)
    digest = told(house)

    assert (digest.state, digest.headline) == ("stopped", "Not at its end")
    assert digest.next_step == f"Go on: `tamis research {house.recipe}`."
    assert digest.claims == () and digest.effects == ()
    assert "Once a claim is promoted" in digest.no_effects


def test_a_head_that_was_registered_is_named_and_one_that_was_taken_up_again_is_no_verdict(tmp_path: Path) -> None:
    house = told_house(tmp_path)
    writer = search_of(house, cards=11)
    with_claim(writer)
    writer.ledger.append("promoted", {"name": "docs-en", "version": 3})
    registered = told(house)
    writer.ledger.append("reopened", {})
    again = told(house)

    assert registered.waiting == ()
    assert registered.next_step.startswith("The head is registered as docs-en version 3;")
    assert (again.outcome, again.headline, len(again.claims)) == ("none", "Not at its end", 1)


@pytest.mark.parametrize("outcome", ["reject", "undecided"])
def test_a_claim_that_is_not_promoted_asks_nobody_and_is_not_taken_apart(tmp_path: Path, outcome: str) -> None:
    house = told_house(tmp_path)
    with_claim(search_of(house, cards=11), outcome, gain=0.001)
    digest = told(house)

    assert digest.outcome == digest.headline == outcome
    assert digest.waiting == () and digest.effects == ()
    assert digest.no_effects == "Only the edits of a promoted head are left out in turn."
    assert (digest.next_step == "Ask for 9 seeds.") == (outcome == "undecided")


def test_a_recipe_that_changed_since_is_refused(tmp_path: Path) -> None:
    house = told_house(tmp_path)
    search_of(house, cards=11)
    house.write(TOLD.replace("high: 60", "high: 70"))
    with pytest.raises(RecipeError, match=r"is the ledger of another search: research\.space changed since"):
        told(house)


def test_switches_are_tried_in_all_combinations_and_what_they_bring_together_is_told(tmp_path: Path) -> None:
    house = told_house(tmp_path, TOLD.replace("[markets.exact_dedup]", "[markets.exact_dedup, rivers.exact_dedup]"))
    writer = search_of(house, cards=40, lost=0)
    writer.bond = 0.04
    batch = next_cards(read_search(load_recipe(house.recipe), house.workspace), 8)
    block = [card for card in batch.cards if card.kind == "factorial"]
    assert 2 <= len(block) <= 4 and all("depend on each other" in card.mechanism for card in block)
    writer.cards += batch.cards
    writer.write_batch(batch.cards)
    writer.write_results(batch.to_try)
    search = read_search(load_recipe(house.recipe), house.workspace)
    rest = factorial(search.state(search.space()), 40, left=None, is_stuck=False)
    cards = [writer.card(search.space().edits_of(each.point), by="factorial", kind="factorial") for each in rest]
    assert len(block) + len(cards) == LANES
    writer.write_batch(cards)
    writer.write_results(cards)

    told = digest_of(load_recipe(house.recipe), house.workspace)

    (pair,) = [each for each in told.together if each.is_measured]
    assert sorted(pair.changes) == ["without markets.exact_dedup", "without rivers.exact_dedup"]
    assert pair.gain.low < 0.04 < pair.gain.high
    assert "tried in all combinations" in told.learned[2]
