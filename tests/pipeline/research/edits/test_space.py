"""A space and its edits say each other; a space that contradicts itself or the recipe is refused with the way out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import RecipeError
from pipeline.recipe.edits import Edit, key_of
from pipeline.recipe.load import load_recipe
from pipeline.research.edits.space import OutsideError, space_of
from pipeline.research.edits.variants import plain_data, variant_of
from pipeline.research.record.card import Card, Cost, Result
from pipeline.research.record.fold import Standing, state_of
from tests.pipeline.research.small_search import RECIPE, furnished

SPACE = RECIPE[RECIPE.index("  space:") : RECIPE.index("  budget:")]
WHOLE = """  space:
    weights: {least: {markets: 0.05}}
    set:
      datasets.rivers.gopher_quality.min_words: {low: 10, high: 60}
      datasets.rivers.exact_dedup.keep: {choices: [first, longest]}
    add_step: [{dataset: markets, step: c4_quality, before: exact_dedup}]
    remove_step: [markets.exact_dedup]
    move_step: {rivers.exact_dedup: [gopher_quality]}
"""


def with_space(folder: Path, space: str, *, old: str = SPACE) -> Path:
    return furnished(folder, RECIPE.replace(old, space)).recipe


def test_every_point_is_edits_and_its_edits_are_the_point(tmp_path: Path) -> None:
    space = space_of(load_recipe(with_space(tmp_path, WHOLE)))
    rng = np.random.default_rng(3)
    assert space.edits_of(space.base) == ()
    for _ in range(200):
        places = [knob.drawn(rng) for knob in space.space.knobs]
        point = space.space.point(rng.dirichlet([1, 1]), places)
        edits = space.edits_of(point)
        again = space.point_of(edits)
        assert again.weights == point.weights
        assert space.edits_of(again) == edits


def test_an_edit_outside_the_space_is_told_from_one_inside(tmp_path: Path) -> None:
    space = space_of(load_recipe(with_space(tmp_path, WHOLE)))
    for edit, why in (
        (Edit("set", "datasets.rivers.gopher_quality.min_words", 90), "10 to 60"),
        (Edit("set", "datasets.rivers.gopher_quality.max_words", 90), "lies outside the space"),
        (Edit("weight", "mixtures.even", {"rivers": 0.99, "markets": 0.01}), r"markets may weigh 0\.05 to 1"),
        (Edit("remove_step", "datasets.rivers.exact_dedup"), "lies outside the space"),
    ):
        with pytest.raises(OutsideError, match=why):
            space.point_of([edit])


def test_what_a_person_let_in_is_a_setting_more(tmp_path: Path) -> None:
    recipe = load_recipe(with_space(tmp_path, WHOLE))
    edit = Edit("set", "datasets.rivers.gopher_quality.max_words", 90)
    space = space_of(recipe, let_in=[("1234567890", (edit,))])
    assert space.edits_of(space.point_of([edit])) == (edit,)
    assert len(space.axes) == len(space_of(recipe).axes) + 1


def test_what_is_valid_only_together_is_let_in_as_one_setting(tmp_path: Path) -> None:
    place = "datasets.rivers.gopher_quality"
    both = (Edit("set", f"{place}.max_words", 200_000), Edit("set", f"{place}.min_words", 150_000))
    space = space_of(load_recipe(with_space(tmp_path, WHOLE)), let_in=[("1234567890", both)])
    point = space.point_of(both)
    assert key_of(space.edits_of(point)) == key_of(both)
    assert sum(here != there for here, there in zip(point.knobs, space.base.knobs, strict=True)) == 1
    inside = Edit("set", f"{place}.min_words", 40)
    moved = space.point_of([inside])
    joined = replace(moved, knobs=(*moved.knobs[:-1], point.knobs[-1]))
    assert key_of(space.edits_of(joined)) == key_of(both)  # what was let in goes before, and no place stands twice


def test_weights_that_a_person_let_in_are_a_point_whatever_the_limits(tmp_path: Path) -> None:
    recipe = load_recipe(with_space(tmp_path, WHOLE))
    edit = Edit("weight", "mixtures.even", {"rivers": 0.99, "markets": 0.01})
    space = space_of(recipe, let_in=[("1234567890", (edit,))])
    assert space.edits_of(space.point_of([edit])) == (edit,)
    inside = Edit("weight", "mixtures.even", {"markets": 0.3, "rivers": 0.7})
    assert space.edits_of(space.point_of([inside])) == (inside,)


def test_a_card_that_has_no_point_any_more_is_left_out_of_the_models(tmp_path: Path) -> None:
    space = space_of(load_recipe(with_space(tmp_path, WHOLE)))
    outside = Edit("set", "datasets.rivers.gopher_quality.min_words", 90)
    card = Card(
        id="card000001", number=0, kind="structural", edits=(outside,),
        parent="incumbent", proposer="claude", hypothesis="", mechanism="", falsifier="", prediction=None, cost=Cost(),
        seeds=(1000,),
    )  # fmt: skip
    standing = Standing(cards={0: card}, batch_of={0: 0}, results={0: Result(card.id, "done", goals={"1000": 5.0})})
    assert state_of(standing, space).trials == ()


def test_a_whole_number_of_more_values_than_the_space_tells_apart_needs_a_logarithm(tmp_path: Path) -> None:
    wide = "  space: {set: {datasets.rivers.gopher_quality.min_words: {low: 1, high: 100000%s}}}\n"
    with pytest.raises(RecipeError, match="log: true"):
        space_of(load_recipe(with_space(tmp_path / "linear", wide % "")))
    space = space_of(load_recipe(with_space(tmp_path / "log", wide % ", log: true")))
    assert space.axes[0].own == 30 and space.edits_of(space.base) == ()
    edges = "  space: {set: {datasets.rivers.gopher_quality.min_words: {low: 1, high: 1000}}}\n"
    space = space_of(load_recipe(with_space(tmp_path / "edges", edges)))
    for value in (1, 2, 29, 31, 500, 999, 1000):
        edit = Edit("set", "datasets.rivers.gopher_quality.min_words", value)
        assert space.edits_of(space.point_of([edit])) == (edit,)


def test_what_a_split_dataset_is_made_of_is_in_no_space(tmp_path: Path) -> None:
    split = (
        RECIPE.replace(
            "  markets: {from: mixed, steps: [exact_dedup]}\n",
            "  base: {from: mixed, steps: [exact_dedup]}\n  markets: {from: base, by_topic: {count: 2}}\n",
        )
        .replace("markets: 1}", "markets_0: 1, markets_1: 1}")
        .replace("least: {markets: 0.05}", "least: {markets_0: 0.05}")
    )
    recipe = load_recipe(furnished(tmp_path, split.replace("[markets.exact_dedup]", "[base.exact_dedup]")).recipe)
    with pytest.raises(RecipeError, match="is split by topic"):
        space_of(recipe)
    with pytest.raises(RecipeError, match="is split by topic"):
        variant_of(recipe, plain_data(recipe), (Edit("remove_step", "datasets.base.exact_dedup"),), tag="card")
    fine = variant_of(recipe, plain_data(recipe), (Edit("remove_step", "datasets.rivers.exact_dedup"),), tag="card")
    assert set(fine.datasets) == {"rivers-card"}


def test_weights_of_topics_move_only_where_the_mixture_names_them(tmp_path: Path) -> None:
    split = RECIPE.replace(
        "markets: {from: mixed, steps: [exact_dedup]}", "markets: {from: mixed, by_topic: {count: 2}}"
    ).replace("    weights: {least: {markets: 0.05}}", "    weights: {}")
    split = split.replace("    remove_step: [markets.exact_dedup]\n", "")
    whole = load_recipe(furnished(tmp_path / "whole", split).recipe)
    with pytest.raises(RecipeError, match="`markets_0` is a topic of a dataset that even mixes as a whole"):
        space_of(whole)
    named = split.replace("markets: 1}", "markets_0: 1, markets_1: 1}")
    space = space_of(load_recipe(furnished(tmp_path / "named", named).recipe))
    assert space.space.datasets == ("markets_0", "markets_1", "rivers")


def test_the_name_of_a_variant_is_nobody_elses(tmp_path: Path) -> None:
    long = "x" * 60
    own = RECIPE.replace("datasets:\n", "datasets:\n  rivers-head: {from: plain, steps: [exact_dedup]}\n")
    recipe = load_recipe(furnished(tmp_path / "own", own).recipe)
    edit = Edit("set", "datasets.rivers.gopher_quality.min_words", 50)
    assert not variant_of(recipe, plain_data(recipe), (edit,), tag="head").datasets.keys() & recipe.datasets.keys()

    both = RECIPE.replace("rivers", f"{long}a").replace("markets", f"{long}b")
    recipe = load_recipe(furnished(tmp_path / "long", both).recipe)
    edits = (
        Edit("set", f"datasets.{long}a.gopher_quality.min_words", 50),
        Edit("remove_step", f"datasets.{long}b.exact_dedup"),
    )
    variant = variant_of(recipe, plain_data(recipe), edits, tag="0123456789")
    assert len(variant.datasets) == len(variant.mixture["weights"]) == 2
    assert all(len(name) <= 64 for name in variant.datasets)


def test_supply_caps_the_weights(tmp_path: Path) -> None:
    space = space_of(load_recipe(with_space(tmp_path, WHOLE)), supply={"rivers": 0.4, "markets": 3.0})
    assert space.space.limits is not None
    assert dict(zip(space.space.limits.names, space.space.limits.high_D, strict=True)) == {
        "markets": 1.0,
        "rivers": 0.4,
    }


@pytest.mark.parametrize(
    ("space", "why"),
    [
        ("  space: {}\n", "it holds nothing that may move"),
        ("  space: {set: {datasets.rivers.gopher_quality.min_words: {low: 60, high: 10}}}\n", "must be below `high`"),
        ("  space: {set: {datasets.rivers.gopher_quality.min_words: {low: 40, high: 60}}}\n", "value 30 lies outside"),
        ("  space: {set: {datasets.rivers.gopher_quality.min_word: {low: 1, high: 60}}}\n", "Did you mean min_words"),
        ("  space: {set: {datasets.rivers.nothing.min_words: {low: 1, high: 60}}}\n", "names no parameter of a step"),
        ("  space: {set: {gate.min_gain: {low: 0, high: 1}}}\n", "`gate` is out of reach"),
        ("  space: {set: {datasets.looked.exact_dedup.keep: {choices: [first, longest]}}}\n", "is a held-out set"),
        ("  space: {set: {datasets.rivers.exact_dedup.keep: {low: 0, high: 1}}}\n", "no number; give `choices`"),
        (
            "  space: {set: {datasets.rivers.exact_dedup.keep: {choices: [longest, shortest]}}}\n",
            "not among the choices",
        ),
        ("  space: {remove_step: [markets.c4_quality]}\n", "there is no step `c4_quality`"),
        ("  space: {remove_step: [markets.exact_dedup, markets.exact_dedup]}\n", "names a setting twice"),
        (
            "  space: {add_step: [{dataset: markets, step: {c4_quality: {min_word: 3}}}]}\n",
            "`min_word` is no parameter",
        ),
        ("  space: {weights: {least: {rivers: 0.8, markets: 0.4}}}\n", "must not exceed 1"),
        ("  space: {weights: {least: {rivers: 0.8}}}\n", "the incumbent itself .* lies outside least and most"),
        ("  space: {weights: {least: {lakes: 0.1}}}\n", "unknown dataset of the incumbent `lakes`"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(tmp_path: Path, space: str, why: str) -> None:
    path = with_space(tmp_path, space)
    with pytest.raises(RecipeError, match=why):
        space_of(load_recipe(path))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("candidate: head", "candidate: even2", r"it must judge `candidate: head` \(research.as\)"),
        (
            "gate: {candidate: head, baseline: even, on: [judged], min_gain: 0.004, confidence: 0.6}",
            "",
            "research: needs a `gate:`",
        ),
        ("on: [judged]", "on: [looked]", "what a search looked at cannot judge"),
        ("incumbent: even", "incumbent: odd", "unknown mixture `odd`"),
        ("  batch: 4", "  proposers: {claude: 0.5}", "one of gp, optuna and random must be among them"),
        ("  batch: 4", "  proposers: {oracle: 0.5}", "`oracle` is no proposer"),
        ("  batch: 4", "  proposers: {gp: 0.5, script: 0.5}", "`script:` names the file"),
        ("on: {looked: 1}", "on: {rivers: 1}", "is also trained on"),
    ],
)
def test_a_search_that_cannot_be_judged_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in RECIPE
    with pytest.raises(RecipeError, match=why):
        load_recipe(furnished(tmp_path, RECIPE.replace(old, new)).recipe)
