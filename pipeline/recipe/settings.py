"""`--set PATH=VALUE`: one value of a parsed recipe replaced, with steps reached by their names.

`datasets.clean.gopher_quality.min_words` goes through the list of steps as if it were a mapping, by the label of a step
or by its full name with what follows the `@`; `gate.min_gain` and the like are keys as they stand. Below a step every
key leads on, into mappings that are not there yet too. A value in brackets, braces or quotes is YAML as in a recipe,
any other one word. What it may be is checked with the recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.errors import RecipeError, did_you_mean
from pipeline.core.files.reading.strict_yaml import Document, parse, scalar

_ENCLOSED = ("[]", "{}", "''", '""')


def parse_value(text: str, *, place: str) -> Any:
    """Return the value that the right side of a setting is; RecipeError if it is not YAML."""
    if text[:1] + text[-1:] not in _ENCLOSED:
        return scalar(text)
    try:
        document = parse(text, path=Path(f"--set {place}"))
        document.raise_mistakes()
    except RecipeError as error:
        if "escape" in str(error):
            raise RecipeError(f"{error} A backslash stands for itself between single quotes: '\\w+'.") from error
        raise
    return document.data


def put(body: dict[str, Any], keys: Sequence[str], value: Any, *, place: str) -> None:
    """Replace one value below a step's parameters; RecipeError if there is something that has no parts on the way."""
    for key in keys[:-1]:
        below = body.get(key)
        if below is not None and not isinstance(below, dict):
            raise RecipeError(f"--set {place}: `{key}` is {below!r} and has no parts to set.")
        body[key] = dict(below or {})  # a preset's own stays as it is
        body = body[key]
    body[keys[-1]] = value


def head(place: str, known: Iterable[str]) -> tuple[str, str]:
    """Split a place behind its first key: the longest known one, as a step's full name holds dots, or up to a dot."""
    fits = [name for name in known if place == name or place.startswith(f"{name}.")]
    key = max(fits, key=len, default=place.partition(".")[0])
    return key, place[len(key) + 1 :]


def apply_setting(document: Document, place: str, value: Any) -> None:
    """Replace one value in place; RecipeError names the first key that is not there."""
    node, above, rest = document.data, "", place
    while True:
        key, rest = head(rest, [*_keys(node), *_positions(node)])
        if not rest:
            break
        step = _parameters_of(node, key)
        if step is not None:
            return put(step, rest.split("."), value, place=place)
        node, above = _child(node, key, f"--set {place}: `{key}` is not in {document.name}."), key
    if not isinstance(node, dict):
        raise RecipeError(f"--set {place}: `{above}` in {document.name} is {node!r} and has no parts to set.")
    node[key] = value


def _child(node: Any, key: str, complaint: str) -> Any:
    """Return what stands under a key, a mapping where it was left empty."""
    if not isinstance(node, dict):
        raise RecipeError(complaint)
    if key not in node:
        raise RecipeError(complaint + did_you_mean(key, [*node, *_positions(node)]))
    if node[key] is None:
        node[key] = {}
    return node[key]


def _keys(node: Any) -> list[str]:
    return list(node) if isinstance(node, dict) else []


def _positions(node: Any) -> dict[str, int]:
    """Return where each of a dataset's steps stands."""
    steps = node.get("steps") if isinstance(node, dict) else None
    return step_positions(steps if isinstance(steps, list) else [])


def step_positions(listed: Sequence[Any]) -> dict[str, int]:
    """Return where each entry of a list of steps stands, by label (`pii_2` for the second) and by full name."""
    names = [str(next(iter(step), "")) if isinstance(step, dict) else str(step) for step in listed]
    labels = [name.partition("@")[0] for name in names]
    found: dict[str, int] = {}
    for index, (label, name) in enumerate(zip(labels, names, strict=True)):
        earlier = labels[:index].count(label)
        found[f"{label}_{earlier + 1}" if earlier else label] = index
        found.setdefault(name, index)
    return found


def _parameters_of(node: Any, wanted: str) -> dict[str, Any] | None:
    """Return the parameters of a dataset's step, a bare name turned into one with parameters; or None."""
    index = _positions(node).get(wanted)
    if index is None:
        return None
    steps = node["steps"]
    if not isinstance(steps[index], dict):
        steps[index] = {str(steps[index]): {}}
    name = next(iter(steps[index]))
    if steps[index][name] is None:
        steps[index][name] = {}
    found = steps[index][name]
    return found if isinstance(found, dict) else None
