"""A recipe given in Python: the same data, identities and mistakes as the same recipe in YAML, places without lines."""

from __future__ import annotations

import datetime
import math
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import RecipeError
from pipeline.core.files.reading import strict_yaml
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.recipe.python_recipe import document_of, yaml_of
from pipeline.store.workspace import Workspace
from tests.pipeline.house import House, texts

WORDS = st.text(string.printable + "\u00e9\u05d0\u6587\U0001f600\x85\u2028\ufeff\x00", max_size=12)
NUMBERS = st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
DATA = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.lines("docs.jsonl", texts(30))
    return made


def body(house: House) -> dict[str, Any]:
    """Return a recipe with every kind of value."""
    return {
        "name": "small",
        "seed": 3,
        "sources": {"docs": {"read": "jsonl", "path": house.folder / "docs.jsonl", "limit": None}},
        "datasets": {
            "clean": {
                "from": "docs",
                "steps": [
                    {"gopher_quality": {"min_words": 5, "min_alpha_words": 0.5}},
                    {"language": {"keep": ("en", "no")}},
                    {"c4_quality": {"terminal_punctuation": False}},
                    "exact_dedup",
                ],
            }
        },
    }


def identities(house: House, recipe: Any) -> list[str]:
    plan = make_plan(load_recipe(recipe), Workspace(house.folder / "workspace"))
    return [node.identity for node in plan.nodes]


def test_it_has_the_identities_of_the_same_recipe_in_yaml(house: House) -> None:
    written = house.write(
        """\
name: small
seed: 3
sources: {docs: {read: jsonl, path: DIR/docs.jsonl}}
datasets:
  clean:
    from: docs
    steps:
      - gopher_quality: {min_words: 5, min_alpha_words: 0.5}
      - language: {keep: [en, no]}
      - c4_quality: {terminal_punctuation: false}
      - exact_dedup
"""
    )

    assert identities(house, body(house)) == identities(house, written)


def test_its_text_is_yaml_of_the_same_recipe(house: House) -> None:
    recipe = load_recipe(body(house))

    assert identities(house, house.write(recipe.text)) == identities(house, body(house))
    assert load_recipe(house.recipe).text == recipe.text
    assert recipe.text.startswith("name: small\nseed: 3\nsources:\n  docs:\n    read: jsonl\n")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(WORDS, DATA, max_size=4))
def test_its_yaml_is_read_back_as_the_same_data(data: dict[str, Any]) -> None:
    read = strict_yaml.parse(yaml_of(data), path=Path("r.yaml"))

    read.raise_mistakes()
    assert (read.data or {}) == data
    assert repr(read.data or {}) == repr(data)  # 1 is not 1.0


def test_what_was_given_stays_as_it_is(house: House) -> None:
    given = body(house)

    load_recipe(
        given, settings={"datasets.clean.gopher_quality.min_words": 7, "datasets.clean.exact_dedup.keep": "first"}
    )

    assert given == body(house)


def test_mistakes_name_their_places_and_no_lines(house: House) -> None:
    wrong = body(house)
    wrong["datasets"]["clean"]["steps"][0] = {"gopher_quality": {"min_words": -1, "min_word": 3}}
    wrong["sorces"] = wrong.pop("sources")

    with pytest.raises(RecipeError) as caught:
        load_recipe(wrong)

    assert str(caught.value).splitlines() == [
        "sorces: `sorces` is not a key of a recipe. Did you mean sources, datasets or mixtures?",
        "datasets.clean.steps[0].gopher_quality.min_words is -1; it must be greater than or equal to 0. "
        "Remove the line to use 50.",
        "datasets.clean.steps[0].gopher_quality: `min_word` is not known here. "
        "Did you mean min_words, min_stop_words or max_words?",
        "datasets.clean.from: `docs` is neither a source nor a dataset.",
    ]


ODD = {
    "a date": (
        {"name": datetime.date(2026, 11, 1)},
        r"^name is datetime\.date\(2026, 11, 1\); it must be a mapping, a l",
    ),
    "a set": ({"datasets": {"clean": {"from": {"a"}}}}, r"^datasets\.clean\.from is \{'a'\}; it must be"),
    "no number": ({"seed": math.nan}, r"^seed is nan; it must be"),
    "a number without end": ({"seed": 10**200}, r"^seed is 1000"),
    "half a character": ({"name": "a\ud800"}, r"^name is 'a\\ud800'; it must be"),
    "a key that is a number": ({"datasets": {1: {}}}, r"^datasets: the key 1 must be text"),
}


@pytest.mark.parametrize("case", ODD)
def test_a_value_that_no_yaml_holds_is_named_with_its_place(case: str) -> None:
    recipe, told = ODD[case]

    with pytest.raises(RecipeError, match=told):
        load_recipe(recipe)


def test_a_recipe_inside_itself_is_refused() -> None:
    recipe: dict[str, Any] = {"name": "x"}
    recipe["datasets"] = recipe

    with pytest.raises(RecipeError, match="nested more than 50 deep"):
        document_of(recipe)
