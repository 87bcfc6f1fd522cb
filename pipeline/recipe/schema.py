"""The classes that check recipes -> one JSON Schema (2020-12), by which editors complete, explain and check a recipe.

`# yaml-language-server: $schema=recipe.schema.json` in a recipe names the file that `tamis schema` wrote. Keys, types,
bounds, defaults and meanings come from the classes; what only a whole recipe shows (names that meet nothing, cycles,
parameters that exclude each other) stays with the loader. Steps of plugins are in it as far as they are known.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from pipeline.catalog import READERS, STEPS
from pipeline.core.errors import RecipeError
from pipeline.core.step import MakingStep, Step
from pipeline.recipe.names import preset_names, reader_class, step_class
from pipeline.recipe.plugins import plugin_names
from pipeline.recipe.research import ResearchSection
from pipeline.recipe.sections import (
    GateSection,
    MixtureSection,
    PromoteSection,
    ProxySection,
    SweepSection,
    TrialsSection,
)

DRAFT = "https://json-schema.org/draft/2020-12/schema"
NAME = {"pattern": "^[A-Za-z0-9_-]{1,64}$"}
TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
MEANINGS = {
    "name": "Word of letters, digits, - and _; names the report. Default: the file's name.",
    "seed": "Whole number from which every random choice is derived. Default: 0.",
    "sources": "Named inputs, each `{read: READER, ...}`.",
    "datasets": "Named sets of documents. The only key that every recipe needs.",
    "mixtures": "Named weighted datasets to train on; they need `proxy`.",
    "proxy": "Size and number of the small models that judge.",
    "sweep": "Search for the weights of a mixture by training many proxies.",
    "trials": "Proxies on mixtures of which nothing is claimed.",
    "research": "Search for a better mixture by cards, overnight: `tamis research`.",
    "gate": "The rule, fixed before the experiment, for which mixture wins.",
    "promote": "Where a promoted mixture is registered; needs `gate`.",
    "from": "A source or dataset, or a list of them. Before the steps on several inputs stands `unique_ids` with "
    "`max_drop_fraction: 0.01`, as ids of two inputs may meet; write it as the first step to set another share.",
    "make": "One making step, `{STEP: {...}}`. It writes new documents, from those of `from` where it is given.",
    "steps": "A list of measuring and gathering steps, in order: `STEP` or `{STEP: {...}}`.",
    "by_topic": "Parameters of `topics`, such as `{count: 8}`: after its steps the dataset NAME is split into NAME_0 "
    "to NAME_7, one for each topic. A mixture that names NAME has its weight in equal parts on them.",
}


def recipe_schema() -> dict[str, Any]:
    """Return the schema of recipes; steps of plugins that are loaded or installed are in it."""
    kinds = {name: step_class(name) for name in STEPS} | _of_plugins()
    making = {name: kind for name, kind in kinds.items() if issubclass(kind, MakingStep)}
    others = {name: kind for name, kind in kinds.items() if name not in making}
    definitions = {
        **{f"reader.{name}": _reader(name) for name in READERS},
        **{f"step.{name}": _parameters(kind) for name, kind in kinds.items()},
        "step": _entry(others, presets=preset_names()),
        "making": _entry(making),
        "dataset": _dataset(),
        "mixture": _model(MixtureSection),
    }
    sections: dict[str, dict[str, Any]] = {
        "name": {"type": "string", **NAME},
        "seed": {"type": "integer", "default": 0},
        "sources": _named({"anyOf": [_ref(f"reader.{name}") for name in READERS]}),
        "datasets": {**_named(_ref("dataset")), "minProperties": 1},
        "mixtures": _named(_ref("mixture")),
        "proxy": _model(ProxySection),
        "sweep": _model(SweepSection),
        "trials": _model(TrialsSection),
        "research": _model(ResearchSection),
        "gate": _model(GateSection),
        "promote": _model(PromoteSection),
    }
    lifted = _lifted([*definitions.values(), *sections.values()])
    return {
        "$schema": DRAFT,
        "title": "A recipe of Tamis",
        "type": "object",
        "properties": {key: {"description": MEANINGS[key], **section} for key, section in sections.items()},
        "required": ["datasets"],
        "additionalProperties": False,
        "$defs": definitions | lifted,
    }


def _lifted(schemas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Take the definitions out of some schemas, which refer to them as if they stood at the top."""
    found: dict[str, Any] = {}
    for schema in schemas:
        for name, definition in schema.pop("$defs", {}).items():
            if found.setdefault(name, definition) != definition:
                raise ValueError(f"two models called {name}: rename one, as a schema of recipes names both")
    return found


def _of_plugins() -> dict[str, type[Step]]:
    """Return the steps from outside; one that is broken is none here, and `tamis plugins` tells why."""
    found: dict[str, type[Step]] = {}
    for name in plugin_names():
        try:
            found[name] = step_class(name)
        except RecipeError:
            continue
    return found


def _ref(definition: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{definition}"}


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "propertyNames": NAME, "additionalProperties": values}


def _dataset() -> dict[str, Any]:
    keys: dict[str, Any] = {
        "from": TEXTS,
        "make": _ref("making"),
        "steps": {"type": ["array", "null"], "items": _ref("step")},
        "by_topic": {"anyOf": [_ref("step.topics"), {"type": "null"}]},
    }
    return {
        "type": "object",
        "properties": {key: {"description": MEANINGS[key], **value} for key, value in keys.items()},
        "additionalProperties": False,
        "anyOf": [{"required": ["from"]}, {"required": ["make"]}],
    }


def _entry(kinds: Mapping[str, type[Step]], *, presets: Iterable[str] = ()) -> dict[str, Any]:
    """Return what one of some steps may look like: its name, where it stands without parameters, or name: {...}."""
    bare = [name for name, kind in kinds.items() if _stands_alone(kind)]
    bodies = {
        name: {"anyOf": [_ref(f"step.{name}"), {"type": "null"}]} if name in bare else _ref(f"step.{name}")
        for name in kinds
    }
    told = {name: {"description": _about(kinds[name]), **body} for name, body in bodies.items()}
    mapping = {
        "type": "object", "properties": told, "additionalProperties": False, "minProperties": 1, "maxProperties": 1,
    }  # fmt: skip
    return {"anyOf": [{"enum": [*bare, *presets]}, mapping]}


def _stands_alone(kind: type[Step]) -> bool:
    try:
        kind(params=kind.Params())
    except (ValidationError, RecipeError):
        return False
    return True


def _parameters(kind: type[Step]) -> dict[str, Any]:
    return {**_model(kind.Params), "description": _about(kind)}


def _reader(name: str) -> dict[str, Any]:
    kind = reader_class(name)
    schema = _model(kind.Params)
    schema["properties"] = {"read": {"const": name, "description": _about(kind)}, **schema["properties"]}
    schema["required"] = ["read", *schema.get("required", ())]
    return schema


def _about(kind: type[Any]) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


class _Inline(GenerateJsonSchema):
    """Schemas without titles, which only repeat the names of the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _model(kind: type[BaseModel]) -> dict[str, Any]:
    schema = kind.model_json_schema(schema_generator=_Inline)
    schema.pop("title", None)
    for value in schema["properties"].values():
        value.pop("role", None)  # ours
    return {key: value for key, value in schema.items() if key != "description"}
