"""A recipe given in Python, mappings and lists -> the Document that the same recipe in YAML gives, and that YAML.

What comes of it is the same: the same checks, identities and results. It has no lines, so mistakes name their places
(`datasets.clean.steps[2].keep`). Its canonical YAML, which `strict_yaml` reads back as the same data, is what the
record of a run and the report show.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from pipeline.core.errors import RecipeError, shortened
from pipeline.core.files.reading.strict_yaml import MOST_DIGITS, MOST_LEVELS, Document, Place, dotted, scalar

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./@*+-]*")  # what needs no quotes in YAML wherever it stands


def document_of(recipe: Mapping[str, Any]) -> Document:
    """Return a recipe's mapping as a Document of its own; RecipeError for a value that no YAML would hold."""
    data = plain_copy(recipe)
    return Document(path=None, text=yaml_of(data), data=data)


def plain_copy(value: Any, place: Place = ()) -> Any:
    """Return plain data, tuples as lists and paths as text; RecipeError names the place of anything else."""
    if len(place) > MOST_LEVELS:
        raise RecipeError(f"{dotted(place[:3])}...: is nested more than {MOST_LEVELS} deep; no recipe needs that.")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise RecipeError(f"{_at(place)}: the key {shortened(repr(key))} must be text.")
        return {key: plain_copy(value[key], (*place, key)) for key in value}
    if isinstance(value, (list, tuple)):
        return [plain_copy(item, (*place, index)) for index, item in enumerate(value)]
    if isinstance(value, PurePath):
        return str(value)
    if value is None or type(value) is bool or _is_number(value) or _is_text(value):
        return value
    raise RecipeError(
        f"{_at(place)} is {shortened(repr(value))}; it must be a mapping, a list, text, a finite number of up to "
        f"{MOST_DIGITS} digits, True, False or None."
    )


def _at(place: Place) -> str:
    return dotted(place) or "the recipe"


def _is_number(value: Any) -> bool:
    return (type(value) is int and abs(value) < 10**MOST_DIGITS) or (type(value) is float and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return type(value) is str and not any("\ud800" <= character <= "\udfff" for character in value)


def yaml_of(data: Any) -> str:
    """Return plain data as YAML, the same text for the same data: a mapping's keys keep their order."""
    return "".join(line + "\n" for line in _lines(data, 0))


def flow_of(data: Any) -> str:
    """Return plain data as YAML on one line."""
    if isinstance(data, dict):
        return "{" + ", ".join(f"{_text(str(key))}: {flow_of(value)}" for key, value in data.items()) + "}"
    return "[" + ", ".join(map(flow_of, data)) + "]" if isinstance(data, list) else _word(data)


def _lines(value: Any, level: int) -> Iterator[str]:
    indent = "  " * level
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _under(f"{indent}{_text(key)}:", below, level)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _under(f"{indent}-", item, level)
    else:
        yield indent + _word(value)


def _under(head: str, value: Any, level: int) -> Iterator[str]:
    if isinstance(value, (dict, list)) and value:
        yield head
        yield from _lines(value, level + 1)
    else:
        yield f"{head} {_word(value)}"


def _word(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)  # of null, true, false, a whole number, an empty mapping or list


def _text(text: str) -> str:
    """Return text as a YAML word, in double quotes wherever it could be read as anything else."""
    if _PLAIN.fullmatch(text) and scalar(text) == text:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(character if character.isprintable() else _escaped(character) for character in quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
