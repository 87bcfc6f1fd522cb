"""Edits of a recipe -> the datasets and the mixture that they come to, beside the incumbent's, in one recipe.

What an edit changes stands under a name of its own, `clean-1a2b3c4d5e`, with everything between it and the mixture; the
rest is shared. Names are in no identity, so whatever an earlier card or the incumbent measured is found again. One
exception: a dataset with `make` is a draw of its own under each name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import RecipeError
from pipeline.recipe.edits import Edit, edited
from pipeline.recipe.names import step_class
from pipeline.recipe.spec import Recipe, step_inputs

NAME = 64  # characters of a dataset's name


@dataclass(frozen=True, slots=True)
class Variant:
    """What some edits make of the incumbent: datasets of their own, and the mixture of them and of shared ones."""

    datasets: Mapping[str, Any]
    mixture: Mapping[str, Any]
    stands_for: Mapping[str, str]  # dataset of the incumbent -> the one in its place


def variant_of(recipe: Recipe, data: Mapping[str, Any], edits: tuple[Edit, ...], *, tag: str) -> Variant:
    """Return what the edits come to, its datasets called after `tag`; RecipeError where an edit meets nothing."""
    assert recipe.research is not None
    body = edited(data, edits)
    changed = {name for name in data["datasets"] if body["datasets"][name] != data["datasets"][name]}
    mixture = body["mixtures"][recipe.research.incumbent]
    if clash := [name for name in changed if "by_topic" in data["datasets"][name]]:
        raise RecipeError(f"`{clash[0]}` is split by topic; edit the dataset that it is made of instead.")
    used = _upstream(recipe, list(mixture["weights"]))
    affected = set(changed & used)
    while new := {name for name in used - affected if _needs(recipe, name) & affected}:
        affected |= new
    renamed = {name: f"{name[: NAME - len(tag) - 1]}-{tag}" for name in affected}
    datasets = {
        renamed[name]: _renamed(body["datasets"][name], renamed) for name in recipe.datasets if name in affected
    }
    weights = {renamed.get(name, name): weight for name, weight in mixture["weights"].items()}
    return Variant(datasets, {**mixture, "weights": weights}, renamed)


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
