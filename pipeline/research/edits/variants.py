"""Edits of a recipe -> the datasets and the mixture that they come to, beside the incumbent's, in one recipe.

What an edit changes stands under a name of its own, `clean-1a2b3c4d5e`, with everything between it and the mixture; the
rest is shared. Names are in no identity, so whatever an earlier card or the incumbent measured is found again. One
exception: a dataset with `make` is a draw of its own under each name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.core.errors import RecipeError
from pipeline.core.files.reading.strict_yaml import parse
from pipeline.core.identity import identity_of
from pipeline.recipe.edits import Edit, edited
from pipeline.recipe.names import step_class
from pipeline.recipe.python_recipe import document_of
from pipeline.recipe.spec import Recipe, step_inputs

NAME = 64  # characters of a dataset's name
MARK = 8  # characters of the hash that tells apart what was cut


@dataclass(frozen=True, slots=True)
class Variant:
    """What some edits make of the incumbent: datasets of their own, and the mixture of them and of shared ones."""

    datasets: Mapping[str, Any]
    mixture: Mapping[str, Any]
    stands_for: Mapping[str, str]  # dataset of the incumbent -> the one in its place


def variant_of(recipe: Recipe, data: Mapping[str, Any], edits: tuple[Edit, ...], *, tag: str) -> Variant:
    """Return what the edits come to, its datasets called after `tag`; RecipeError where an edit meets nothing."""
    assert recipe.research is not None
    if recipe.research.space.is_of_settings:  # its text is the incumbent's
        return Variant({}, data["mixtures"][recipe.research.incumbent], {})
    body = edited(data, edits)
    changed = {name for name in data["datasets"] if body["datasets"][name] != data["datasets"][name]}
    incumbent, mixture = (each["mixtures"][recipe.research.incumbent] for each in (data, body))
    affected = affected_by(recipe, data, changed, left_out=incumbent["weights"].keys() - mixture["weights"].keys())
    taken = {*recipe.datasets, *data["datasets"], *(data.get("sources") or {})}
    renamed = {name: _new_name(name, tag, taken) for name in affected}
    datasets = {
        renamed[name]: _renamed(body["datasets"][name], renamed) for name in recipe.datasets if name in affected
    }
    weights = {renamed.get(name, name): weight for name, weight in mixture["weights"].items()}
    return Variant(datasets, {**mixture, "weights": weights}, renamed)


def affected_by(
    recipe: Recipe, data: Mapping[str, Any], changed: set[str], *, left_out: Collection[str] = ()
) -> set[str]:
    """Return which datasets under the incumbent some changed ones change; RecipeError where one is split by topic."""
    assert recipe.research is not None
    mixed = recipe.mixtures[recipe.research.incumbent].weights
    used = _upstream(recipe, [name for name in mixed if name not in left_out])
    affected = {name for name in recipe.datasets if name in used and name in changed}
    while new := {name for name in used - affected if _needs(recipe, name) & affected}:
        affected |= new
    for name in sorted({*changed, *affected}):
        if "by_topic" in data["datasets"].get(name, {"by_topic": None}):  # a topic has no entry of its own
            raise RecipeError(
                f"`{name}` is split by topic, and its topics are of the text as it is: what they are made of cannot be "
                "edited. Mix the dataset itself, without `by_topic`."
            )
    return affected


def _new_name(name: str, tag: str, taken: set[str]) -> str:
    """Return a name for a dataset's variant that nothing else has; a long one is cut and ends in a hash of itself."""
    found, draw = f"{name}-{tag}", 0
    while len(found) > NAME or found in taken:
        mark = identity_of([name, tag, draw])[:MARK]
        found, draw = f"{name[: NAME - len(tag) - MARK - 2]}-{mark}-{tag}", draw + 1
    return found


def _needs(recipe: Recipe, name: str) -> set[str]:
    """Return the datasets that a dataset is made of or that its steps look at."""
    spec = recipe.datasets[name]
    return {*spec.inputs, *step_inputs(spec)} & recipe.datasets.keys()


def _upstream(recipe: Recipe, names: list[str]) -> set[str]:
    found: set[str] = set()
    waiting = [name for name in names if name in recipe.datasets]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _needs(recipe, name)
    return found


def _renamed(body: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return a dataset with every name that has a stand-in replaced, in `from` and in what its steps look at."""
    found = dict(body)
    if "from" in found:
        found["from"] = _swapped(found["from"], renamed)
    if found.get("steps"):
        found["steps"] = [_step(entry, renamed) for entry in found["steps"]]
    return found


def _step(entry: Any, renamed: Mapping[str, str]) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    ((name, given),) = entry.items()
    if not isinstance(given, Mapping):
        return entry
    inputs = set(_inputs(name, given))
    return {name: {key: _swapped(value, renamed) if key in inputs else value for key, value in given.items()}}


def _inputs(name: str, given: Mapping[str, Any]) -> Iterator[str]:
    params = step_class(name).Params
    for key in given:
        if key in params.model_fields and params.role_of(key) == "input":
            yield key


def _swapped(value: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [renamed.get(str(item), item) for item in value]
    return renamed.get(str(value), value)


def plain_data(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's mapping as it is written, before anything is read out of it; the caller's own."""
    return deepcopy(_written(recipe.text, recipe.path if recipe.path is not None else Path(f"{recipe.name}.yaml")))


@cache  # a night asks for one recipe's hundreds of times, and reading YAML takes 50 ms
def _written(text: str, path: Path) -> dict[str, Any]:
    return dict(document_of(parse(text, path=path).data).data)
