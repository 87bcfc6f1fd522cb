"""The schema of recipes: it takes what the loader takes, refuses what can be seen to be wrong, knows every name."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.catalog import READERS, STEPS
from pipeline.core.files.reading import strict_yaml
from pipeline.recipe import plugins
from pipeline.recipe.load import KEYS
from pipeline.recipe.names import preset_names, step_class
from pipeline.recipe.plugins import add_plugin
from pipeline.recipe.schema import recipe_schema
from tests.conftest import ROOT
from tests.pipeline.recipe.test_plugins import VOWELS

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
GOOD: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "sources": {"docs": {"read": "jsonl", "path": ["a.jsonl", "b.jsonl"], "limit": None}},
    "datasets": {
        "clean": {"from": "docs", "steps": ["pii", {"gopher_quality": {"min_words": 5}}, {"exact_dedup": None}]},
        "tasks": {"make": {"verified_tasks": {"documents": 5}}},
        "both": {"from": ["clean", "tasks"], "steps": None},
    },
    "mixtures": {"m": {"weights": {"both": 1}}},
    "proxy": {"tokens": "2.5M", "seeds": 3},
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return recipe_schema()


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema)


def test_it_is_a_schema_of_the_draft_that_it_names(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_of_the_tree_is_valid(path: Path, validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(strict_yaml.load(path).data)] == []


def test_a_recipe_with_every_kind_of_entry_is_valid(validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(GOOD)] == []


WRONG: dict[str, tuple[tuple[Any, ...], Any]] = {
    "a key that no recipe has": (("sorces",), {}),
    "a name of several words": (("name",), "two words"),
    "no datasets": (("datasets",), {}),
    "a reader that is none": (("sources", "docs", "read"), "jsonll"),
    "a reader's key that is none": (("sources", "docs", "txt"), "body"),
    "a step that is none": (("datasets", "clean", "steps", 0), "gopher_qualty"),
    "a step's key that is none": (("datasets", "clean", "steps", 1, "gopher_quality", "min_word"), 5),
    "a step's value out of bounds": (("datasets", "clean", "steps", 1, "gopher_quality", "min_words"), -1),
    "a step's value of another type": (("datasets", "clean", "steps", 1, "gopher_quality", "min_words"), "5"),
    "two steps in one entry": (("datasets", "clean", "steps", 1, "pii"), {}),
    "a step that needs parameters without any": (("datasets", "clean", "steps", 0), "decontaminate"),
    "a maker among the steps": (("datasets", "clean", "steps", 0), "verified_tasks"),
    "a step as a maker": (("datasets", "tasks", "make"), "pii"),
    "a dataset without an origin": (("datasets", "both"), {"steps": ["pii"]}),
    "no weight": (("mixtures", "m", "weights"), {}),
    "a count that is none": (("proxy", "tokens"), "20MB"),
    "too few seeds": (("proxy", "seeds"), 2),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused(case: str, validator: Draft202012Validator) -> None:
    (*way, key), value = WRONG[case]
    recipe = copy.deepcopy(GOOD)
    place: Any = recipe
    for part in way:
        place = place[part]
    place[key] = value

    assert not validator.is_valid(recipe)


def test_every_key_step_reader_and_preset_is_in_it(schema: dict[str, Any]) -> None:
    assert tuple(schema["properties"]) == KEYS
    assert {*STEPS} <= {*_properties(schema["$defs"]["step"]), *_properties(schema["$defs"]["making"])}
    assert [name for name in READERS if f"reader.{name}" not in schema["$defs"]] == []
    assert {*preset_names()} <= {*schema["$defs"]["step"]["anyOf"][0]["enum"]}


@pytest.mark.parametrize("name", STEPS)
def test_every_parameter_is_in_it_with_its_meaning_and_default(name: str, schema: dict[str, Any]) -> None:
    told = schema["$defs"][f"step.{name}"]["properties"]

    for key, field in step_class(name).Params.model_fields.items():
        assert told[key]["description"] == field.description
        assert "default" in told[key] or field.is_required()


def _properties(entry: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = entry["anyOf"][1]["properties"]
    return found


@pytest.fixture
def vowels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(plugins, "_from_files", {})
    (tmp_path / "mine.py").write_text(VOWELS)
    add_plugin(tmp_path / "mine.py")
    yield


def test_steps_of_plugins_are_in_it(vowels: None) -> None:
    schema = recipe_schema()
    recipe = {"datasets": {"clean": {"from": "docs", "steps": [{"vowels": {"max_count": 3}}]}}}

    validator = Draft202012Validator(schema)

    assert validator.is_valid(recipe)
    assert not validator.is_valid(json.loads(json.dumps(recipe).replace("max_count", "max_cuont")))
    assert _properties(schema["$defs"]["step"])["vowels"]["description"] == "Counts one letter."
