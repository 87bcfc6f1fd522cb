"""What a search may spend, in experiments, hours and dollars: kept at every end, after every kill, once only."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import BudgetError, BusyError, CapError, PendingError
from pipeline.recipe.edits import Edit
from pipeline.research.night.claiming import ATTRIBUTED_FROM, attribute
from pipeline.research.night.night import Night, begin, why_nothing
from pipeline.research.night.proposing import Batch
from pipeline.research.people.approvals import HEAD, reach_of, say, waiting_in
from pipeline.research.proposers.ideas import Advice, Idea
from pipeline.research.record.card import Card, Cost, Result
from pipeline.research.record.clock import Clock, worked
from pipeline.research.record.fold import Standing
from pipeline.research.search.bench import Asked, Bench, Tried
from pipeline.research.search.bill import paid_for, usd_left
from tests.pipeline.house import House
from tests.pipeline.research.small_search import RECIPE, furnished, ledger_of, night_of, verdict_of

RUN = Bench.run
WORDS = "datasets.rivers.gopher_quality.min_words"
PROMOTING = RECIPE.replace("person: []", "person: [promotion]") + "promote: {as: best}\n"


def planted(bench: Bench, asked: Sequence[Asked]) -> dict[str, Tried]:
    """Stand in for proxies: more rivers is better, and chance moves each by a little."""
    found = {}
    for each in asked:
        rivers = [edit.value["rivers"] for edit in each.edits if edit.op == "weight"]
        gain = 0.1 * (rivers[0] - 0.5) if rivers else 0.0
        chance = {seed: random.Random(f"{each.name}{seed}").gauss(0, 0.002) for seed in each.seeds}
        found[each.name] = Tried({seed: {"looked": 5 - gain + by} for seed, by in chance.items()})
    return found


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "run", planted)


def events_of(house: House) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ledger_of(house).read_bytes().splitlines()]


def kinds_of(house: House) -> list[str]:
    return [event["kind"] for event in events_of(house)]


def yes(night: Night, house: House, id: str) -> None:
    """Let a person say yes to what waits."""
    (asked,) = (each for each in waiting_in(night.search.standing) if each.id == id)
    say(ledger_of(house).parent, asked, "approved", why="", how="flag", typed=asked.plan[:8])


class Registry:
    """Counts what is promoted."""

    def __init__(self) -> None:
        self.versions = 0

    def __call__(self, claim: Mapping[str, Any]) -> dict[str, Any]:
        self.versions += 1
        return {"name": "best", "version": self.versions}


def test_a_larger_budget_takes_a_search_up_again_and_its_next_claim_has_fresh_seeds(tmp_path: Path) -> None:
    asked: list[int] = []

    def judge(claim: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(claim["proxy"]["first_seed"])
        return {"outcome": "undecided", "sentence": "Undecided.", "report": ""}

    house = furnished(tmp_path)
    assert night_of(house, judge=judge).go_on()
    assert night_of(house, judge=judge).go_on()  # with nothing more to spend
    assert asked == [0]
    house.write(RECIPE.replace("experiments: 10", "experiments: 14"))
    assert night_of(house, judge=judge).go_on()
    assert night_of(house, judge=judge).go_on()
    assert asked == [0, 6]
    assert "reopened" in kinds_of(house)


def test_a_search_that_ended_by_hours_claims_once_and_a_later_yes_promotes_its_head(tmp_path: Path) -> None:
    house, registry, claims = (
        furnished(tmp_path, PROMOTING.replace("experiments: 10", "experiments: 99")),
        Registry(),
        [],
    )

    def judge(claim: Mapping[str, Any]) -> dict[str, Any]:
        claims.append(claim["proxy"]["first_seed"])
        return verdict_of(claim)

    def night(*, hours_before: float = 0.0) -> Night:
        made = night_of(house, judge=judge, hours=99)
        made.promoter = registry
        made.clock.before += 3600 * hours_before
        return made

    begin((early := night()).search)
    while early.search.standing.tried < 10:
        early.propose()
        early.try_cards()
    late = night(hours_before=0.91)
    assert late.go_on() and claims == [0] and registry.versions == 0
    house.write(house.recipe.read_text().replace("hours: 1}", "hours: 9}"))
    assert night().go_on() and claims == [0]  # the question of a promotion is not taken away
    yes(late, house, HEAD)
    house.write(house.recipe.read_text().replace("hours: 9}", "hours: 1}"))
    for _ in range(2):
        assert night().go_on()
    assert claims == [0] and registry.versions == 1 and "reopened" not in kinds_of(house)


def test_a_promotion_that_is_asked_for_after_the_claim_waits_for_a_person_too(tmp_path: Path) -> None:
    house, registry = furnished(tmp_path, PROMOTING.replace("promote: {as: best}\n", "")), Registry()
    assert night_of(house).go_on()
    house.write(PROMOTING)
    for _ in range(2):
        night = night_of(house)
        night.promoter = registry
        assert night.go_on() and registry.versions == 0
    yes(night, house, HEAD)
    night = night_of(house)
    night.promoter = registry
    assert night.go_on() and registry.versions == 1


def test_what_edits_are_worth_is_measured_on_seeds_that_chose_nothing(tmp_path: Path) -> None:
    search = (night := night_of(furnished(tmp_path))).search
    begin(search)
    night.propose()
    night.try_cards()
    head = (Edit("set", WORDS, 50), Edit("remove_step", "datasets.markets.exact_dedup"))
    lucky = replace(search.standing.cards[0], id="lucky", number=9, edits=head, seeds=(1000,))
    search.write("batch", batch=1, cards=[lucky.told], refused=[], remarks=[])
    told = Result("lucky", "done", values={"1000": {"looked": 1.0}}, goals={"1000": 1.0}).told
    search.write("results", results=[{"number": 9, "result": told}], supply={})
    search.write("claim_opened", head=[edit.told for edit in head], seeds=3, first_seed=0)
    search.write("claimed", outcome="promote", sentence="Promote.")

    attribute(search)
    asked = search.standing.open_cards
    night.try_cards()
    attribute(search)

    seeds = list(range(ATTRIBUTED_FROM, ATTRIBUTED_FROM + 3))
    assert [card.seeds for card in asked] == [tuple(seeds)] * 3
    assert search.standing.attribution is not None
    for each in search.standing.attribution:
        assert each["seeds"] == seeds and abs(each["worth"]) < 0.01


PAID = Card(
    id="paid", number=5, kind="tune", edits=(Edit("set", WORDS, 40),), parent="incumbent", proposer="gp", hypothesis="",
    mechanism="", falsifier="", prediction=None, cost=Cost(usd=2.0, paid=("made/one", "made/two")), seeds=(1000,),
)  # fmt: skip


def test_each_paid_result_counts_once_whoever_asked_for_it_and_whatever_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = (night := night_of(furnished(tmp_path, RECIPE.replace("hours: 1}", "hours: 1, usd: 9}")))).search
    there = {"made/one": 1.0, "made/two": 0.5}
    monkeypatch.setattr(Bench, "paid", lambda bench, places: {place: there[place] for place in places})
    monkeypatch.setattr(Bench, "run", lambda bench, asked: {each.name: Tried(why="no luck") for each in asked})
    begin(search)
    other = replace(PAID, id="other", number=6, seeds=(1001,), cost=Cost(paid=("made/one",)))
    search.write("batch", batch=0, cards=[PAID.told, other.told], refused=[], remarks=[])
    assert usd_left(search) == pytest.approx(7.0)  # of what is on its way at most

    night.try_cards()  # after whatever kill: what was paid is told by the cards and by what is there

    assert [search.standing.results[number].usd for number in (5, 6)] == [1.0, 0.5]
    assert search.standing.usd == pytest.approx(1.5) and usd_left(search) == pytest.approx(7.5)
    assert paid_for(search, [replace(PAID, number=7)]).cards == {7: 0.0}


def test_a_card_that_costs_more_than_is_left_waits_for_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = furnished(tmp_path, RECIPE.replace("hours: 1}", "hours: 1, usd: 1}"))
    real = Bench.price

    def priced(bench: Bench, edits: tuple[Edit, ...], *, name: str, seeds: Sequence[int]) -> tuple[Cost, str]:
        cost, plan = real(bench, edits, name=name, seeds=seeds)
        return replace(cost, usd=0.4 if edits else 0.0), plan

    monkeypatch.setattr(Bench, "price", priced)
    search = (night := night_of(house)).search
    begin(search)
    night.propose()
    night.try_cards()
    night.propose()
    assert sum(card.cost.usd for card in search.standing.open_cards) <= 1.0
    assert search.standing.waiting
    assert all("it costs up to $0.40, and $0.20 are left" in card.needs for card in search.standing.waiting)


class Outsider:
    """Somebody with ideas beyond the space."""

    name = "claude"

    def ideas(self, view: Any, count: int, seed: int) -> Advice:
        return Advice(tuple(Idea((Edit("set", WORDS, value),), "h", "m") for value in (70, 80, 90, 100)))


def test_approved_cards_cross_no_budget_and_wait_for_a_larger_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = RECIPE.replace("person: []", "person: [outside]\n  proposers: {gp: 0.5, random: 0.1, claude: 0.4}")
    house = furnished(tmp_path, text.replace("experiments: 10", "experiments: 9"))
    night, tries = night_of(house, advisers=[Outsider()]), Night.try_cards

    def try_cards(self: Night) -> None:
        tries(self)
        if self.search.standing.tried == 9:
            for card in self.search.standing.waiting:
                yes(self, house, card.id)

    monkeypatch.setattr(Night, "try_cards", try_cards)
    assert night.go_on()
    waiting = len(night.search.standing.waiting)
    assert night.search.standing.tried == 9 and waiting > 1 and not night.search.standing.answers
    house.write(text)
    night = night_of(house)
    assert night.go_on()
    assert night.search.standing.tried == 10 and len(night.search.standing.answers) == 1


LITTLE = RECIPE.replace("    weights: {least: {markets: 0.05}}\n", "").replace(
    "{low: 10, high: 60}", "{choices: [30, 40]}"
)


def test_a_search_that_is_killed_as_it_finds_nothing_more_ends_as_one_that_was_not(tmp_path: Path) -> None:
    house = furnished(tmp_path, LITTLE.replace("experiments: 10", "experiments: 40"))
    assert night_of(house).go_on()
    whole, kinds = ledger_of(house).read_bytes(), kinds_of(house)
    ended = kinds.index("search_ended")
    assert kinds[ended - 1] == "batch"
    body = events_of(house)[ended]["body"]
    assert (body["why"], body["words"]) == ("exhausted", "Nothing is left in the space that was not tried.")
    ledger_of(house).write_bytes(b"".join(whole.splitlines(keepends=True)[:ended]))
    assert night_of(house).go_on()
    assert ledger_of(house).read_bytes() == whole


def test_a_yes_after_a_search_found_nothing_more_gives_it_something_to_try(tmp_path: Path) -> None:
    text = LITTLE.replace("person: []", "person: [outside]\n  proposers: {gp: 0.5, random: 0.1, claude: 0.4}")
    house = furnished(tmp_path, text.replace("experiments: 10", "experiments: 40"))
    night = night_of(house, advisers=[Outsider()])
    assert night.go_on() and night.search.standing.ended
    before = night.search.standing.tried
    assert night_of(house).go_on() and "reopened" not in kinds_of(house)
    yes(night, house, night.search.standing.waiting[0].id)

    night = night_of(house)
    assert night.go_on() and night.search.standing.ended
    assert "reopened" in kinds_of(house) and night.search.standing.tried > before
    length = len(kinds_of(house))
    assert night_of(house).go_on() and len(kinds_of(house)) == length  # once


def test_a_claim_that_costs_more_than_is_left_is_made_once_the_budget_is_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = RECIPE.replace("hours: 1}", "hours: 1, usd: 1}")
    house = furnished(tmp_path, text)
    graded = Cost(usd=1.5, paid=("made/graded",))
    monkeypatch.setattr(Bench, "cost_of", lambda bench, plan: Cost() if plan.recipe.gate is None else graded)
    monkeypatch.setattr(Bench, "paid", lambda bench, places: {place: 1.25 for place in places})
    assert night_of(house).go_on()
    assert "claim_opened" not in kinds_of(house)
    assert events_of(house)[-1]["body"]["why"] == (
        "No claim was made: its paid steps cost up to $1.50, and $1.00 of research.budget.usd (or --max-usd) are left. "
        "Raise it and run again."
    )

    house.write(text.replace("usd: 1}", "usd: 2}"))
    night = night_of(house)
    assert night.go_on() and "claimed" in kinds_of(house)
    assert night.search.standing.usd == pytest.approx(1.25)
    assert night.search.standing.paid == {"made/graded": 1.25}


def test_commands_name_the_workspace_and_the_search_where_these_are_not_the_usual_ones(tmp_path: Path) -> None:
    folder = tmp_path / "my results" / "research" / "small"
    folder.mkdir(parents=True)
    (folder / "ledger.jsonl").touch()
    assert reach_of(folder) == f" -w '{tmp_path}/my results'"
    assert reach_of(Path("workspace/research/small")) == ""
    other = folder.parent / "other"
    other.mkdir()
    (other / "ledger.jsonl").touch()
    assert reach_of(folder).endswith(" --search small")


def test_what_was_refused_is_not_said_to_be_nothing_left(tmp_path: Path) -> None:
    card = replace(PAID, number=0)
    refused = [{"number": 0, "result": Result(card.id, "refused", why="it has no such step").told}]
    words = why_nothing(Batch([card, replace(card, needs="outside", number=1)], refused))
    assert words == (
        "Nothing that was proposed can be tried: 1 was refused, the first as it has no such step; 1 waits for a person."
    )


def test_a_search_ends_by_the_plateau_that_it_is_at_and_not_by_one_that_it_left() -> None:
    standing, marks = Standing(), list[int | None]()
    for number, stuck in enumerate([False, True, True, False, False, True, True]):
        card = replace(PAID, number=number).told
        standing._batch({"batch": number, "cards": [card], "refused": [], "remarks": [], "stuck": stuck})
        marks.append(standing.stuck_since)
    assert marks == [None, 1, 1, None, None, 5, 5]


def test_hours_leave_room_for_the_next_batch_the_claim_and_what_edits_are_worth(tmp_path: Path) -> None:
    night = night_of(furnished(tmp_path, RECIPE.replace("experiments: 10", "experiments: 99")))
    begin(night.search)
    assert night.seconds_to_come(2) == pytest.approx(360)
    night.clock.tried(4, seconds=400)
    assert night.seconds_to_come(2) == pytest.approx(100 * (2 * 6 + 3 * 3 + 4))
    assert night.seconds_to_come(1) == pytest.approx(100 * (2 * 6 + 4))
    assert night.why_end() is None
    night.clock.before = 3600 - 100 * 16 + 1
    assert (night.why_end() or {})["why"] == "hours"


def test_hours_are_kept_while_something_works_and_when_it_is_interrupted(tmp_path: Path) -> None:
    clock = Clock.of(tmp_path)
    clock.before = 1800.0
    with pytest.raises(KeyboardInterrupt), clock.running(every=0.01):
        while worked(tmp_path).seconds < 1800:
            time.sleep(0.01)
        clock.tried(4, seconds=400)
        raise KeyboardInterrupt
    assert Clock.of(tmp_path).before >= 1800 and Clock.of(tmp_path).per_lane == 100


def failing(error: BaseException) -> Any:
    def run(bench: Bench, asked: Sequence[Asked]) -> dict[str, Tried]:
        if any(each.name == "bad" for each in asked):
            raise error
        return planted(bench, asked)

    return run


@pytest.mark.parametrize(
    "error", [CapError("max_usd is 1"), RuntimeError("CUDA out of memory"), MemoryError("of 9 GB")]
)
def test_a_cap_or_a_fault_of_one_card_loses_that_card_alone(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "run", RUN)
    monkeypatch.setattr(Bench, "_run", failing(error))
    bench = night_of(furnished(tmp_path)).search.bench
    edits = (Edit("set", WORDS, 40),)
    tried = bench.run([Asked("good", edits, (1000,)), Asked("bad", edits, (1000,))])
    assert tried["good"].values and not tried["bad"].values and str(error) in tried["bad"].why


@pytest.mark.parametrize("error", [BudgetError("no credit"), BusyError("busy"), PendingError("sent")])
def test_what_is_no_cards_fault_ends_the_night(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "run", RUN)
    monkeypatch.setattr(Bench, "_run", failing(error))
    with pytest.raises(type(error)):
        night_of(furnished(tmp_path)).search.bench.run([Asked("bad", (Edit("set", WORDS, 40),), (1000,))])
