"""Cards on the bench: what a variant shares with the incumbent, what a card costs before it runs, who is lost alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.recipe.edits import Edit
from pipeline.recipe.load import load_recipe
from pipeline.research.search.bench import Asked
from tests.pipeline.house import House
from tests.pipeline.research.small_search import furnished, night_of

SET = Edit("set", "datasets.rivers.gopher_quality.min_words", 40)
NONE_LEFT = Edit("set", "datasets.rivers.gopher_quality.min_words", 90_000)
WEIGHT = Edit("weight", "mixtures.even", {"rivers": 0.7, "markets": 0.3})


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = furnished(tmp_path_factory.mktemp("bench"))
    night_of(house).search.bench.run([Asked("even", (), (1000,))])
    return house


def test_a_threshold_is_decided_again_and_nothing_measured(begun: House) -> None:
    cost, plan = night_of(begun).search.bench.price((SET,), name="card", seeds=[1000])
    assert cost.redo == ("re-decide", "re-gather", "re-train")  # deduplication sees the documents that are left
    assert cost.lanes == 1 and cost.usd == 0
    assert plan != night_of(begun).search.bench.price((), name="card", seeds=[1000])[1]


def test_weights_cost_a_proxy_and_nothing_else(begun: House) -> None:
    assert night_of(begun).search.bench.price((WEIGHT,), name="card", seeds=[1000])[0].redo == ("re-train",)


def test_what_no_edit_reaches_keeps_its_name_and_its_result(begun: House) -> None:
    bench = night_of(begun).search.bench
    variant = bench.variant((SET, WEIGHT), tag="card")
    assert list(variant.datasets) == ["rivers-card"]
    assert variant.mixture["weights"] == {"rivers-card": 0.7, "markets": 0.3}
    recipe = load_recipe(bench.trial_recipe([Asked("card", (SET,), (1000,))]))
    assert recipe.proxy is not None and recipe.proxy.tokenizer_on == ("markets", "rivers")


def test_a_card_that_fails_is_lost_alone(begun: House) -> None:
    bench = night_of(begun).search.bench
    tried = bench.run([Asked("good", (WEIGHT,), (1000,)), Asked("bad", (NONE_LEFT,), (1000,))])
    assert tried["bad"].values == {} and tried["bad"].why
    assert tried["good"].values[1000]["looked"] > 0


def test_an_edit_without_a_place_is_refused_before_anything_runs(begun: House) -> None:
    with pytest.raises(RecipeError, match="there is no step"):
        night_of(begun).search.bench.price((Edit("remove_step", "datasets.rivers.pii"),), name="card", seeds=[1000])


def test_the_tokenizer_of_a_variant_is_the_incumbents(begun: House) -> None:
    night_of(begun).search.bench.run([Asked("other", (SET,), (1000,))])
    assert len(list(begun.workspace.root.glob("tokenizer/*/card.json"))) == 1


def test_trials_are_a_section_of_a_recipe(tmp_path: Path) -> None:
    house = furnished(tmp_path)
    text = house.recipe.read_text()
    house.recipe.write_text(text[: text.index("research:")] + "trials: {on: [looked], seeds: {even: [1000, 7]}}\n")
    experiment = house.run().experiment
    assert experiment is not None
    assert sorted(lane.seed for lane in experiment.lanes) == [7, 1000]
    assert {name for _, name in experiment.scores} == {"looked"}
    house.recipe.write_text(house.recipe.read_text().replace("even: [", "odd: ["))
    with pytest.raises(RecipeError, match=r"trials\.seeds\.odd: unknown mixture `odd`"):
        load_recipe(house.recipe)
