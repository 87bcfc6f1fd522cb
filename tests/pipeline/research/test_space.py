"""A space and its edits say each other; a space that contradicts itself or the recipe is refused with the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import RecipeError
from pipeline.recipe.edits import Edit
from pipeline.recipe.load import load_recipe
from pipeline.research.space import OutsideError, space_of
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
    space = space_of(recipe, let_in=[("1234567890", edit)])
    assert space.edits_of(space.point_of([edit])) == (edit,)
    assert len(space.axes) == len(space_of(recipe).axes) + 1


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
        ("gate: {candidate: head, baseline: even, on: [judged], min_gain: 0.004}", "", "research: needs a `gate:`"),
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
