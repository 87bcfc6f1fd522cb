"""`--set PATH=VALUE`: one value of a parsed recipe replaced, with steps reached by their names.

`datasets.clean.gopher_quality.min_words` goes through the list of steps as if it were a mapping; `gate.min_gain` and
the like are keys as they stand. What the new value may be is checked with the rest of the recipe.
"""

from __future__ import annotations

from typing import Any

from pipeline.core.errors import RecipeError, nearest_names
from pipeline.strict_yaml import Document


def apply_setting(document: Document, place: str, value: Any) -> None:
    """Replace one value in place; RecipeError names the first key that is not there."""
    keys = place.split(".")
    node = document.data
    for key in keys[:-1]:
        node = _child(node, key, f"--set {place}: `{key}` is not in {document.path}.")
    if not isinstance(node, dict):
        raise RecipeError(f"--set {place}: `{keys[-2]}` in {document.path} is {node!r} and has no parts to set.")
    node[keys[-1]] = value


def _child(node: Any, key: str, complaint: str) -> Any:
    """Return the mapping under a key or a step's name, made where it was left out."""
    if not isinstance(node, dict):
        raise RecipeError(complaint)
    steps = node["steps"] if isinstance(node.get("steps"), list) else []
    names = [str(next(iter(step), "")) if isinstance(step, dict) else str(step) for step in steps]
    labels = [name.partition("@")[0] for name in names]
    if key in labels:
        return _parameters(steps, labels.index(key))
    if key not in node:
        raise RecipeError(f"{complaint} Did you mean {nearest_names(key, [*node, *names])}?")
    if node[key] is None:
        node[key] = {}
    return node[key]


def _parameters(steps: list[Any], index: int) -> Any:
    """Return the parameters of one step, turning a bare name into a name with parameters."""
    if not isinstance(steps[index], dict):
        steps[index] = {str(steps[index]): {}}
    name = next(iter(steps[index]))
    if steps[index][name] is None:
        steps[index][name] = {}
    return steps[index][name]
