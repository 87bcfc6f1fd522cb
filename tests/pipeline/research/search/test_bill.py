"""What a search's bill counts of results that were never finished, by the ledger of paid requests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core.claude.ledger.ledger import Ledger, Planned
from pipeline.core.claude.messages.request import Buyer
from pipeline.core.claude.prices import NANO
from pipeline.recipe.edits import Edit
from pipeline.research.night.claiming import paid_by_claim
from pipeline.research.night.night import begin
from pipeline.research.search.bench import Bench, Tried
from pipeline.research.search.bill import paid_for, usd_left
from tests.pipeline.research.search.test_spending import PAID
from tests.pipeline.research.small_search import RECIPE, furnished, night_of


def test_what_was_bought_for_a_result_that_is_never_finished_counts_and_what_finishes_it_adds_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = (night := night_of(furnished(tmp_path, RECIPE.replace("hours: 1}", "hours: 1, usd: 9}")))).search
    monkeypatch.setattr(Bench, "run", lambda bench, asked: {each.name: Tried(why="max_usd is 1") for each in asked})
    begin(search)
    label = {"label": {"rubric": "educational", "teacher": "claude", "documents": 20, "max_usd": 0.5}}
    step = Edit("add_step", "datasets.rivers", {"step": label, "before": "end"})
    cost, _ = search.bench.price((step,), name="paid", seeds=(1000,))
    assert len(cost.paid) == 1 and cost.buyers == ("rivers-paid.label",)
    search.write("batch", batch=0, cards=[replace(PAID, cost=cost).told], refused=[], remarks=[])
    with Ledger(search.bench.workspace.ledger, buyer=Buyer("small", "rivers-paid.label")) as paid:
        paid.plan([Planned(name, "haiku", "label", "{}") for name in ("one", "lost")])
        first, _ = (paid.record_intent(name, reserved_nano=NANO, endpoint="") for name in ("one", "lost"))
        paid.record_answer(first, raw=b"{}", usage={}, cost_nano=round(0.7 * NANO), price="haiku")

    night.try_cards()

    assert search.standing.results[5].usd == pytest.approx(0.7) and usd_left(search) == pytest.approx(8.3)
    monkeypatch.setattr(Bench, "paid", lambda bench, places: dict.fromkeys(places, 1.1))  # finished meanwhile
    again = replace(PAID, number=6, cost=cost, seeds=(1001,))
    assert paid_for(search, [again]).cards == {6: pytest.approx(0.4)}
    search.write("claim_opened", head=[], seeds=3, first_seed=0, paid=list(cost.paid), buyers=list(cost.buyers))
    assert search.standing.claim is not None
    search.write("claimed", outcome="reject", sentence="", paid=paid_by_claim(search, search.standing.claim))
    assert search.standing.usd == pytest.approx(1.1)


def test_what_makers_buy_is_looked_up_by_their_name_in_the_ledger(tmp_path: Path) -> None:
    guarded = RECIPE.replace("30}, exact_dedup]", "30}, exact_dedup, decontaminate: {against: [looked, judged]}]", 1)
    made = guarded.replace(
        "mixtures: {even", "  told: {from: rivers, make: {rephrase: {documents: 5}}}\nmixtures: {even"
    )
    search = night_of(furnished(tmp_path, made.replace("markets: 1}, max", "markets: 1, told: 1}, max"))).search
    cost, _ = search.bench.price(
        (Edit("set", "datasets.rivers.gopher_quality.min_words", 12),), name="few", seeds=(1000,)
    )

    assert set(cost.buyers) == {"told.rephrase", "told-few.rephrase"}
