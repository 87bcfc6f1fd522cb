"""A search for settings of proxies: one text, one stream, equal operations, and a claim that must hold at two sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eval.proxies.tiers import tier_called
from pipeline.core.errors import RecipeError
from pipeline.experiment.lanes import CURVE
from pipeline.plan.make import make_plan
from pipeline.queries.proxies.lanes import finished_lanes
from pipeline.recipe.edits import Edit, refuse_forbidden
from pipeline.recipe.load import load_recipe
from pipeline.research.edits.space import space_of
from pipeline.research.search.bench import Asked
from tests.pipeline.house import House
from tests.pipeline.research.small_search import RECIPE, furnished, night_of

TEXT_SPACE = RECIPE[RECIPE.index("  space:") : RECIPE.index("  budget:")]
SPACE = """  space:
    set:
      proxy.settings.learning_rate: {low: 0.5, high: 2, log: true}
      proxy.settings.batch: {choices: [512, 1024]}
      proxy.settings.layers: {low: 1, high: 2}
      proxy.settings.width: {choices: [32, 96]}
"""
SETTINGS = RECIPE.replace(TEXT_SPACE, SPACE).replace("proxy: {", "proxy: {settings: {batch: 1024}, ")
SETTINGS = SETTINGS.replace("experiments: 10", "experiments: 6")
HEAD = [Edit("set", "proxy.settings.width", 32).told, Edit("set", "proxy.settings.decay", 0.9).told]
CLAIM = {"head": HEAD, "seeds": 3, "first_seed": 7}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house whose night of settings is over; its claim was judged by a stand-in."""
    house = furnished(tmp_path_factory.mktemp("settings") / "house", SETTINGS)
    undecided = {"outcome": "undecided", "sentence": "UNDECIDED: by a stand-in.", "report": ""}
    assert night_of(house, judge=lambda claim: undecided).go_on()
    return house


def test_proxies_of_all_settings_read_one_stream_and_do_the_same_operations(searched: House) -> None:
    lanes = list(finished_lanes(searched.workspace))

    tiers = {lane.facts.tier for lane in lanes}
    assert len(tiers) > 2
    assert len({lane.card.payload["mixture"] for lane in lanes}) == 1  # the pool, whatever reads it
    usual = 4_000 * tier_called("t0+batch1024").flops_per_token
    for lane in lanes:
        tier = tier_called(lane.facts.tier)
        step = tier.batch_rows * tier.context
        assert 0 <= usual / tier.flops_per_token - lane.facts.num_tokens < step


def test_a_proxy_in_which_the_doctor_finds_a_fault_is_a_failure_and_no_value(searched: House) -> None:
    bench = night_of(searched).search.bench
    whole = Asked("even", (), (1_000, 1_001))
    lanes = finished_lanes(searched.workspace)
    lane = next(lane for lane in lanes if (lane.facts.tier, lane.facts.seed) == ("t0+batch1024", 1_001))
    kept = (lane.folder / CURVE).read_bytes()
    curve = json.loads(kept)
    curve["account"]["schedule_done"] = 0.5
    before = bench.run([whole])["even"]

    (lane.folder / CURVE).write_text(json.dumps(curve), encoding="utf-8")
    tried = bench.run([whole])["even"]
    (lane.folder / CURVE).write_bytes(kept)

    assert set(before.values) == {1_000, 1_001}
    assert set(tried.values) == {1_000}
    assert any("seed 1001: fault, schedule: " in each for each in tried.health)
    assert not any("loader" in each for each in (*tried.health, *before.health))


def test_a_search_for_settings_has_cards_of_nothing_else(searched: House) -> None:
    search = night_of(searched).search

    edits = [edit for card in search.standing.cards.values() for edit in card.edits]
    assert edits
    assert all(edit.op == "set" and edit.place.startswith("proxy.settings.") for edit in edits)
    for edit in (Edit("weight", "mixtures.even", {"rivers": 1.0}), Edit("set", "proxy.tokens", 8_000)):
        with pytest.raises(RecipeError, match="search is for settings of proxies"):
            refuse_forbidden(search.recipe, [edit])


def test_settings_are_claimed_at_two_sizes_and_hold_only_where_both_do(searched: House) -> None:
    from pipeline.research.night.transfer import judged

    search, asked = night_of(searched).search, list[Mapping[str, Any]]()

    def judge(claim: Mapping[str, Any], *, larger: str) -> dict[str, Any]:
        asked.append(claim)
        outcome = "promote" if len(asked) % 2 else larger
        return {"outcome": outcome, "sentence": "PROMOTE: x.", "gain": 0.1 / len(asked), "low": 0.01, "high": 0.2}

    both = judged(search, CLAIM, lambda claim: judge(claim, larger="promote"))
    one = judged(search, CLAIM, lambda claim: judge(claim, larger="undecided"))

    assert both["outcome"] == "promote"
    assert "hold at both sizes, at t0+batch1024 +0.1000" in both["sentence"]
    assert one["outcome"] == "undecided"
    assert "do not hold at both sizes" in one["sentence"]
    assert "+0.0333 bits per byte" in one["sentence"]
    assert "at t0+batch1024+width192 +0.0250" in one["sentence"]
    small, large = (load_recipe(dict(claim)).proxy for claim in asked[:2])
    assert small is not None
    assert large is not None
    assert large.tier_of("head") == "t0+batch1024+decay0.9+width64"
    work = [proxy.tokens * tier_called(proxy.tier_of()).flops_per_token for proxy in (small, large)]
    assert work[1] / work[0] == pytest.approx(4, rel=0.01)
    arms = make_plan(load_recipe(dict(asked[1])), searched.workspace).experiment
    assert arms is not None
    assert {lane.mixture for lane in arms.judged} == {"even", "head"}
    assert len({node.identity for node in arms.mixtures.values()}) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("    set:\n", "    remove_step: [markets.exact_dedup]\n    set:\n"), "in two recipes"),
        (("gate:", "promote: {as: even}\ngate:"), "promote: registers text"),
        (("settings.layers: {", "settings.heads: {"), "no setting `heads`"),
        (("width: {choices: [32, 96]}", "width: {low: 32, high: 96}"), "give `choices`, even numbers"),
        (("layers: {low: 1, high: 2}", "layers: {low: 3, high: 4}"), "own value 2 lies outside 3 to 4"),
        (("width: {choices: [32, 96]}", "width: {choices: [32, 64]}"), "own value 96 is not among the choices"),
        (("tokens: 4k", "tokens: 4k, of: {even: {decay: 0.5}}"), "`proxy.of` compares settings"),
    ],
)
def test_a_search_that_cannot_be_is_told_why(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    house = House(tmp_path / "house")
    house.folder.mkdir(exist_ok=True)
    for name in ("plain", "mixed", "open", "shut"):
        house.lines(f"{name}.jsonl", ["Some text."])
    assert change[0] in SETTINGS
    house.write(SETTINGS.replace(*change))

    with pytest.raises(RecipeError, match=told):
        space_of(load_recipe(house.recipe))
