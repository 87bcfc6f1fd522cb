"""`--set PATH=VALUE`: values as in a recipe, and keys that lead into a step's mappings."""

from __future__ import annotations

import pytest

from pipeline.commands.flags import parse_settings
from pipeline.core.errors import RecipeError
from pipeline.queries.measure_files import chosen_steps
from pipeline.recipe.load import load_recipe
from tests.pipeline.house import House, texts

VALUES = {
    "3": 3,
    "3e-4": 3e-4,
    "no": "no",
    "null": None,
    "": None,
    "[en, de]": ["en", "de"],
    "[\"en\", 'de']": ["en", "de"],
    "[]": [],
    "'3'": "3",
    "'[0-9,]'": "[0-9,]",
    "[0-9,]+": "[0-9,]+",
    "*.jsonl": "*.jsonl",
    "a: b # c": "a: b # c",
    '{mail: "[a-z,]+@x", n: 0}': {"mail": "[a-z,]+@x", "n": 0},
    r"{mail: '\w+@\w+', more: [1, {a: b}]}": {"mail": r"\w+@\w+", "more": [1, {"a": "b"}]},
}


@pytest.mark.parametrize("text", VALUES)
def test_a_value_is_read_as_a_recipe_is(text: str):
    assert parse_settings([f"some.key = {text}"]) == {"some.key": VALUES[text]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[en, de]]", r"^--set a\.b:1: is not YAML"),
        ("{a: 1, a: 2}", r"^--set a\.b:1: `a` stands here and on line 1"),
        (r'{mail: "\w+"}', r"single quotes: '\\w\+'\.$"),
        ("{a: &b 1}", "anchors, aliases and tags"),
    ],
)
def test_a_value_that_is_not_yaml_is_said_with_its_place(text: str, told: str):
    with pytest.raises(RecipeError, match=told):
        parse_settings([f"a.b={text}"])


def test_measure_takes_mappings_whole_or_key_by_key():
    whole = chosen_steps(["patterns"], parse_settings(["patterns.patterns={mail: '@', n: '[0-9,]'}"]))
    keyed = chosen_steps(["patterns"], parse_settings(["patterns.patterns.mail=@", "patterns.patterns.n='[0-9,]'"]))

    assert whole.steps[0].ref.params == keyed.steps[0].ref.params == '{"patterns":{"mail":"@","n":"[0-9,]"}}'


@pytest.mark.parametrize("setting", ["max_matches={a: 0}", "max_matches.a=0"])
def test_a_recipe_takes_a_mapping_that_a_step_has_not_yet(house: House, setting: str):
    house.lines("a.jsonl", texts(2))
    house.clean(["patterns: {patterns: {a: x}}", "length"])

    recipe = load_recipe(house.recipe, settings=parse_settings([f"datasets.clean.patterns.{setting}"]))

    assert recipe.datasets["clean"].steps[0].step.params.of_role("decide") == {"max_matches": {"a": 0}}


def test_a_step_is_reached_by_its_full_name_and_by_its_number(house: House):
    house.lines("a.jsonl", texts(2))
    house.clean(["c4_quality@datatrove-0.10", "length", "length: {min_length: 2}"])

    recipe = load_recipe(
        house.recipe,
        settings={
            "datasets.clean.c4_quality@datatrove-0.10.min_words_per_line": 5,
            "datasets.clean.length.min_length": 3,
            "datasets.clean.length_2.min_length": 4,
        },
    )

    of_steps = {item.label: item.step.params for item in recipe.datasets["clean"].steps}
    assert of_steps["c4_quality"].min_words_per_line == 5
    assert (of_steps["length"].min_length, of_steps["length_2"].min_length) == (3, 4)


def test_measure_takes_the_full_name_and_the_short_one():
    name = "c4_quality@datatrove-0.10"

    full, short = (chosen_steps([name], {f"{each}.min_words_per_line": 5}) for each in (name, "c4_quality"))

    assert full.steps[0].ref.params == short.steps[0].ref.params == '{"min_words_per_line":5}'


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("gopher_quality.min_words.x=3", r'is \{"x": 3\}; it must be a valid integer'),
        ("gopher_quality.min_wrods.x=3", "`min_wrods` is not known here. Did you mean min_words"),
        ("patterns.patterns=x", r'patterns\.patterns is "x"; it must be a mapping'),
        ("language.keep=en", r'language\.keep is "en"; it must be a list, such as \[en\]\.'),
        ("language.keep=[eng]", r"did you mean [^?]*\?(?!\.)"),
        ("length={min_words: 3}", "must begin with one of the steps and a dot"),
        ("gopher_quality.min_words=200000", "min_words 200000 is above max_words 100000, and no document meets both"),
    ],
)
def test_what_a_step_does_not_take_is_said_in_the_words_of_a_recipe(setting: str, told: str):
    with pytest.raises(RecipeError, match=told):
        chosen_steps([setting.partition(".")[0].partition("=")[0]], parse_settings([setting]))


def test_no_key_leads_below_a_value(house: House):
    house.clean(["length: {min_length: 3}"])

    with pytest.raises(RecipeError, match=r"--set datasets\.clean\.length\.min_length\.x: `min_length` is 3"):
        load_recipe(house.recipe, settings={"datasets.clean.length.min_length.x": 1})


def test_limits_that_no_document_meets_are_a_mistake_of_the_recipe(house: House):
    house.lines("a.jsonl", texts(2))
    house.clean(["gopher_quality: {min_words: 100, max_words: 10}"])

    with pytest.raises(RecipeError, match=r"recipe\.yaml:7: .*min_words 100 is above max_words 10"):
        load_recipe(house.recipe)


def test_a_name_that_is_only_known_by_a_definition_is_told_with_it():
    with pytest.raises(RecipeError, match=r"unknown step `fineweb`\. Did you mean fineweb@datatrove-0\.10\?"):
        chosen_steps(["fineweb"], {})
