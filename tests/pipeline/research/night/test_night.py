"""A night of a search: what it writes down, that a kill changes nothing, and what it refuses to begin with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.errors import BusyError, RecipeError
from pipeline.engine.progress import Silent
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.research.night.claim_recipe import claim_recipe
from pipeline.research.night.night import Night
from pipeline.research.night.power import power_of
from pipeline.research.record.fold import folded, gain_of, incumbent_goals
from pipeline.research.record.ledger import Ledger
from pipeline.research.record.lock import one_night
from pipeline.research.search.reading import folder_of
from tests.pipeline.house import House
from tests.pipeline.research import small_search
from tests.pipeline.research.small_search import FAR, ledger_of, night_of


def furnished(folder: Path, recipe: str = FAR) -> House:
    return small_search.furnished(folder, recipe)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = furnished(tmp_path_factory.mktemp("search"))
    assert night_of(house).go_on()
    return house


def events_of(house: House) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ledger_of(house).read_bytes().splitlines()]


def test_a_search_runs_its_budget_and_claims_once(searched: House) -> None:
    kinds = [event["kind"] for event in events_of(searched)]
    assert kinds[0] == "began" and kinds[-1] == "ended"
    assert kinds.count("claim_opened") == kinds.count("claimed") == 1
    assert kinds.index("search_ended") < kinds.index("claim_opened") < kinds.index("claimed")
    standing = folded(Ledger(ledger_of(searched).parent))
    assert standing.tried == 10
    assert len(incumbent_goals(standing)) >= 2


def test_every_card_is_written_before_its_result_with_a_prediction_and_a_price(searched: House) -> None:
    written: set[int] = set()
    for event in events_of(searched):
        if event["kind"] == "batch":
            written |= {card["number"] for card in event["body"]["cards"]}
        if event["kind"] == "results":
            assert {told["number"] for told in event["body"]["results"]} <= written
    standing = folded(Ledger(ledger_of(searched).parent))
    asked = [card for card in standing.cards.values() if card.edits and card.proposer != "attribution"]
    assert asked
    for card in asked:
        assert card.hypothesis and card.mechanism and card.prediction is not None
        assert "re-train" in card.cost.redo or card.cost.nodes == 0
        assert gain_of(standing, card.number) is not None


def test_the_claim_uses_seeds_that_no_card_used_and_the_gate_as_it_is_written(tmp_path: Path, searched: House) -> None:
    asked: list[Mapping[str, Any]] = []

    def judge(claim: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(claim)
        return {"outcome": "reject", "sentence": "Reject.", "report": ""}

    house = furnished(tmp_path).with_results_of(searched)
    lines = ledger_of(house).read_bytes().splitlines(keepends=True)
    opened = next(number for number, line in enumerate(lines) if b'"claim_opened"' in line)
    ledger_of(house).write_bytes(b"".join(lines[: opened + 1]))
    night_of(house, judge=judge).go_on()
    (claim,) = asked
    standing = folded(Ledger(ledger_of(house).parent))
    used = {seed for card in standing.cards.values() for seed in card.seeds}
    assert not used & set(range(claim["proxy"]["first_seed"], claim["proxy"]["first_seed"] + 6))
    assert claim["gate"] == {
        "candidate": "head",
        "baseline": "even",
        "on": ["judged"],
        "min_gain": 0.004,
        "confidence": 0.6,
    }
    load_recipe(claim)
    assert standing.verdict is not None and standing.verdict["outcome"] == "reject"
    assert standing.attribution == []


class _Killed(BaseException):
    """The process is gone."""


def _killed_after_an_event(night: Night, *, torn: bool) -> None:
    """Let a night die with its next event: written whole, or cut on its way to the disk."""
    append = night.search.ledger.append

    def dying(kind: str, body: Mapping[str, Any]) -> None:
        path = night.search.ledger.path
        before = path.stat().st_size if path.exists() else 0
        append(kind, body)
        if torn:
            with path.open("r+b") as file:
                file.truncate((before + path.stat().st_size) // 2)
        raise _Killed

    night.search.ledger.append = dying
    with pytest.raises(_Killed):
        night.go_on()


def test_a_night_that_is_killed_at_every_event_writes_the_same_ledger(tmp_path: Path, searched: House) -> None:
    house = furnished(tmp_path)
    whole = ledger_of(searched).read_bytes()
    for _ in whole.splitlines():
        _killed_after_an_event(night_of(house), torn=True)
        _killed_after_an_event(night_of(house), torn=False)
    assert ledger_of(house).read_bytes() == whole
    assert night_of(house).go_on()
    assert ledger_of(house).read_bytes() == whole


def test_no_proxy_is_trained_twice_by_a_night_that_is_taken_up_again(tmp_path: Path, searched: House) -> None:
    house = furnished(tmp_path).with_results_of(searched)
    before = {path: path.stat().st_mtime_ns for path in house.workspace.root.glob("lane/*/card.json")}
    ledger_of(house).write_bytes(ledger_of(house).read_bytes().splitlines(keepends=True)[0])
    night_of(house).go_on()
    assert {path: path.stat().st_mtime_ns for path in house.workspace.root.glob("lane/*/card.json")} == before


def test_a_workspace_in_a_store_is_refused(tmp_path: Path) -> None:
    house = furnished(tmp_path)
    house.workspace.root.mkdir(exist_ok=True)
    (house.workspace.root / "store.json").write_text("{}")
    with pytest.raises(RecipeError, match="a search keeps its ledger in a folder, and this workspace is in a store"):
        folder_of(load_recipe(house.recipe), house.workspace)


def test_hours_that_are_over_leave_the_search_to_the_next_night(tmp_path: Path) -> None:
    house = furnished(tmp_path)
    assert not night_of(house, hours=1e-9).go_on()
    assert [event["kind"] for event in events_of(house)] == ["began", "judge"]


def test_another_recipe_under_one_name_is_refused_and_a_larger_budget_is_not(tmp_path: Path) -> None:
    house = furnished(tmp_path)
    night_of(house, hours=1e-9).go_on()
    house.write(FAR.replace("experiments: 10", "experiments: 14"))
    night_of(house, hours=1e-9).go_on()
    house.write(FAR.replace("high: 60", "high: 70"))
    with pytest.raises(RecipeError, match=r"is the ledger of another search: research\.space changed since"):
        night_of(house).go_on()
    house.write(FAR)
    house.lines("plain.jsonl", ["other text " * 40] * 60)
    with pytest.raises(RecipeError, match="the incumbent's text, code or versions changed since"):
        night_of(house).go_on()


def test_run_sends_a_search_to_its_own_verb(searched: House) -> None:
    with pytest.raises(RecipeError, match=r"whose head is yet to be found\. Use `tamis research`"):
        run_recipe(searched.recipe, workspace=searched.workspace, workers=1, progress=Silent())


def test_two_nights_at_once_are_refused(tmp_path: Path) -> None:
    with (
        one_night(tmp_path),
        pytest.raises(BusyError, match="another night of this search is under way"),
        one_night(tmp_path),
    ):
        pass


def test_a_budget_that_holds_no_search_is_refused(tmp_path: Path) -> None:
    house = furnished(tmp_path, FAR.replace("experiments: 10", "experiments: 5"))
    with pytest.raises(RecipeError, match=r"research\.budget\.experiments is 5; 2 show what chance does"):
        night_of(house).go_on()


def test_a_search_of_which_no_claim_could_show_anything_is_stuck_and_makes_none(
    tmp_path: Path, searched: House
) -> None:
    text = FAR.replace("min_gain: 0.004", "min_gain: 0.9").replace("batch: 4", "batch: 2")
    house = furnished(tmp_path, text).with_results_of(searched)
    ledger_of(house).unlink()
    assert night_of(house).go_on()
    events = events_of(house)
    remarks = [remark for event in events if event["kind"] == "batch" for remark in event["body"]["remarks"]]
    (stuck,) = [remark for remark in remarks if remark["what"] == "plateau"]
    assert stuck["rule"] == "below_detectable" and "a claim that can be afforded shows 0.9" in stuck["words"]
    assert "claim_opened" not in [event["kind"] for event in events]
    assert events[-1]["body"]["why"].startswith("No claim was made. A true gain of")


def test_a_claim_is_planned_by_proxies_and_documents_and_by_proxies_alone_where_scores_are_gone(
    tmp_path: Path, searched: House
) -> None:
    def planned(house: House) -> dict[str, Any]:
        search = night_of(house).search
        state = search.state(search.space())
        claim = search.ledger.of("claim_opened")[-1].body
        plan = make_plan(load_recipe(claim_recipe(search, claim)), search.bench.workspace)
        return asdict(power_of(search, state, plan)) | {"claim": claim}

    whole = planned(searched)
    house = furnished(tmp_path).with_results_of(searched)
    for path in house.workspace.root.glob("score/*/bits.parquet"):
        path.unlink()
    without = planned(house)

    assert whole["documents"]["freedom"] > 2 and without["documents"] is None
    assert 0 <= whole["claim"]["optimism"] < whole["claim"]["expected"]
    assert without["plan"]["power"] >= whole["plan"]["power"] > 0.9
