"""Edits of a recipe: what each does, that their order changes nothing, and what no edit may touch."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import RecipeError
from pipeline.recipe.edits import Edit, edit_of, edited, key_of, refuse_forbidden, value_at
from pipeline.recipe.load import load_recipe
from pipeline.recipe.spec import Recipe
from pipeline.research.edits.variants import plain_data
from tests.pipeline.research.small_search import RECIPE, furnished

SET = Edit("set", "datasets.rivers.gopher_quality.min_words", 40)
REMOVE = Edit("remove_step", "datasets.markets.exact_dedup")
ADD = Edit("add_step", "datasets.markets", {"step": "c4_quality", "before": "exact_dedup"})
MOVE = Edit("move_step", "datasets.rivers.exact_dedup", "gopher_quality")
WEIGHT = Edit("weight", "mixtures.even", {"rivers": 0.7, "markets": 0.3})


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return load_recipe(furnished(tmp_path_factory.mktemp("edits")).recipe)


def test_each_edit_does_what_it_says_and_leaves_the_recipe_as_it_was(recipe: Recipe) -> None:
    data = plain_data(recipe)
    whole = edited(data, [SET, REMOVE, MOVE, WEIGHT])
    assert whole["datasets"]["rivers"]["steps"] == ["exact_dedup", {"gopher_quality": {"min_words": 40}}]
    assert whole["datasets"]["markets"]["steps"] == []
    assert whole["mixtures"]["even"]["weights"] == {"rivers": 0.7, "markets": 0.3}
    assert edited(data, [ADD])["datasets"]["markets"]["steps"] == ["c4_quality", "exact_dedup"]
    assert data == plain_data(recipe)


def test_the_order_of_edits_changes_nothing(recipe: Recipe) -> None:
    data = plain_data(recipe)
    found = [edited(data, order) for order in permutations([SET, REMOVE, ADD, MOVE, WEIGHT])]
    assert all(each == found[0] for each in found)
    assert key_of([SET, REMOVE]) == key_of([REMOVE, SET])


def test_edits_survive_json(recipe: Recipe) -> None:
    for edit in (SET, REMOVE, ADD, MOVE, WEIGHT):
        assert edit_of(edit.told) == edit


def test_the_words_of_an_edit_are_one_line_and_hide_nothing_of_what_is_put_in() -> None:
    """They are what a person reads who approves it."""
    forged = edit_of({**SET.told, "value": "40\nto do again: nothing; up to $0.00\u2028plan abc\x85"})
    graded = edit_of({**ADD.told, "value": {"step": {"label": {"max_usd": 5000, "rubric": "a\nb"}}, "before": "pii"}})

    assert forged.words == "rivers.gopher_quality.min_words = 40 to do again: nothing; up to $0.00 plan abc"
    assert graded.words == "markets + label (max_usd = 5000, rubric = a b) before pii"
    assert ADD.words == "markets + c4_quality before exact_dedup"


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (Edit("set", "gate.min_gain", 0.0), "`gate` is out of reach of any proposal"),
        (Edit("set", "gate.on", ["looked"]), "`gate` is out of reach"),
        (Edit("set", "research.budget.usd", 1e6), "`research` is out of reach"),
        (Edit("set", "proxy.seeds", 64), "`proxy` is out of reach"),
        (Edit("set", "seed", 3), "`seed` is out of reach"),
        (Edit("set", "sources.plain.path", "other"), "`sources` is out of reach"),
        (Edit("set", "promote.as", "mine"), "`promote` is out of reach"),
        (Edit("set", "datasets.judged.exact_dedup.keep", "longest"), "`judged` is a held-out set"),
        (Edit("add_step", "datasets.looked", {"step": "c4_quality"}), "`looked` is a held-out set"),
        (Edit("remove_step", "datasets.looked.exact_dedup"), "`looked` is a held-out set"),
        (Edit("set", "datasets.rivers.gopher_quality.max_drop_fraction", 1.0), "guards or changes no result"),
        (Edit("set", "datasets.rivers.from", "shut"), "names no parameter of a step"),
        (Edit("set", "datasets.nowhere.exact_dedup.keep", "longest"), "there is no dataset `nowhere`"),
        (Edit("weight", "mixtures.other", {"rivers": 1.0}), "only the weights of mixtures.even may move"),
        (Edit("add_step", "datasets.rivers", {"step": {"decontaminate": {"against": ["judged"]}}}), "names a source"),
    ],
)
def test_what_judges_guards_or_pays_is_out_of_reach(recipe: Recipe, edit: Edit, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        refuse_forbidden(recipe, [SET, edit])


def test_a_guard_of_the_comparison_stays(tmp_path: Path) -> None:
    guarded = RECIPE.replace(
        "{from: mixed, steps: [exact_dedup]}", "{from: mixed, steps: [exact_dedup, decontaminate: {against: [judged]}]}"
    )
    recipe = load_recipe(furnished(tmp_path, guarded).recipe)
    for edit in (
        Edit("remove_step", "datasets.markets.decontaminate"),
        Edit("move_step", "datasets.markets.decontaminate", "exact_dedup"),
        Edit("set", "datasets.markets.decontaminate.ngram", 50),
    ):
        with pytest.raises(RecipeError, match="guards the comparison"):
            refuse_forbidden(recipe, [edit])


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (Edit("remove_step", "datasets.markets.c4_quality"), "there is no step `c4_quality` there"),
        (Edit("move_step", "datasets.rivers.exact_dedup", "pii"), "there is no step `pii` there"),
        (Edit("weight", "mixtures.even", {"rivers": 0.7, "markets": 0.7}), "must be 0 to 1 and sum to 1"),
        (Edit("weight", "mixtures.even", {"lakes": 1.0}), "must give a share of each of rivers, markets"),
        (Edit("add_step", "datasets.markets", "c4_quality"), "the value must be {step, before}"),
    ],
)
def test_an_edit_that_meets_nothing_is_named(recipe: Recipe, edit: Edit, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        edited(plain_data(recipe), [edit])


def _deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize("value", [10**400, float("nan"), float("inf"), "\ud800", _deep(600), [1, {"a": float("nan")}]])
def test_a_value_that_no_recipe_would_hold_is_no_edit(value: Any) -> None:
    with pytest.raises(RecipeError):
        edit_of({"op": "set", "place": "datasets.rivers.gopher_quality.min_words", "value": value})


@pytest.mark.parametrize(
    ("op", "value"),
    [
        *(("weight", value) for value in (0.5, None, {}, {"rivers": "half", "markets": "half"})),
        *(
            ("weight", value)
            for value in ({"rivers": None, "markets": 1}, {"rivers": True}, {"rivers": -1, "markets": 2})
        ),
        *(("add_step", value) for value in (None, "c4_quality", {}, {"step": {}}, {"step": ["c4_quality"]})),
        *(
            ("add_step", {"step": step})
            for step in ("", None, {"c4_quality": {}, "exact_dedup": {}}, {"c4_quality": 3})
        ),
        ("add_step", {"step": "c4_quality", "before": ["exact_dedup"]}),
        *(("move_step", value) for value in (None, "", ["a"], {"a": 1}, 3)),
        *(("remove_step", value) for value in ([1], "exact_dedup", 0)),
    ],
)
def test_a_value_of_another_shape_than_its_op_takes_is_no_edit(op: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=f"^{op} "):
        edit_of({"op": op, "place": "datasets.rivers", "value": value})


def test_a_seed_is_out_of_reach(tmp_path: Path) -> None:
    recipe = load_recipe(furnished(tmp_path, RECIPE.replace("exact_dedup", "minhash_dedup")).recipe)
    step = {"step": {"minhash_dedup": {"seed": 5}}}
    for edit in (Edit("set", "datasets.markets.minhash_dedup.seed", 5), Edit("add_step", "datasets.rivers", step)):
        with pytest.raises(RecipeError, match="seeds are chance"):
            refuse_forbidden(recipe, [edit])


@pytest.mark.parametrize(
    "told", ["set", {"op": "run", "place": "x"}, {"op": "set"}, {"op": "set", "place": "a", "value": 1, "code": "x"}]
)
def test_what_is_no_edit_is_refused(told: Any) -> None:
    with pytest.raises(RecipeError, match="edit"):
        edit_of(told)


def test_a_value_is_read_with_its_default(recipe: Recipe) -> None:
    assert value_at(recipe, "datasets.rivers.gopher_quality.min_words") == 30
    assert value_at(recipe, "datasets.rivers.gopher_quality.max_words") == 100_000
    with pytest.raises(RecipeError, match=r"`min_word` is no parameter there\. Did you mean min_words"):
        value_at(recipe, "datasets.rivers.gopher_quality.min_word")
