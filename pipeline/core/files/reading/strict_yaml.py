"""YAML text -> plain data plus the line of every key, by strict rules.

Scalars follow the YAML 1.2 core schema (`no` is a word, `3e-4` a number, `0123` a word), duplicate keys are refused,
and so are anchors, tags and merges: recipes and heads of rubrics are read by people. All mistakes are collected.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.tokens import (
    AliasToken,
    AnchorToken,
    BlockEndToken,
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    TagToken,
)

from pipeline.core.errors import RecipeError

Place = tuple[str | int, ...]

MOST_LEVELS = 50  # of mappings and lists inside one another: a recipe has 8, and what reads it calls itself for each
MOST_DIGITS = 100  # of a whole number; Python takes 4,300, and 309 are more than a float can hold
_OPENING = (BlockMappingStartToken, BlockSequenceStartToken, FlowMappingStartToken, FlowSequenceStartToken)
_CLOSING = (BlockEndToken, FlowMappingEndToken, FlowSequenceEndToken)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class Document:
    """A recipe as plain data, the line (1-based) of every place in it, and the mistakes found so far.

    One that was given in Python has neither a path nor lines: its mistakes name their places instead.
    """

    path: Path | None
    text: str = ""
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return what messages call it."""
        return "the recipe" if self.path is None else str(self.path)

    def line(self, place: Place) -> int:
        """Return the line of a place, or of its nearest ancestor that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def mistake(self, place: Place, message: str) -> None:
        """Note a mistake at a place; `raise_mistakes` reports all of them."""
        if self.path is None and not message.startswith(dotted(place[:1])):  # most begin with their place
            message = f"{dotted(place)}: {message}"
        self.mistakes.append((self.line(place), message))

    def raise_mistakes(self) -> None:
        """Raise one RecipeError that lists every mistake in line order, if there is any."""
        if self.mistakes:
            found = sorted(dict.fromkeys(self.mistakes), key=lambda mistake: mistake[0])
            lines = [message if self.path is None else f"{self.path}:{line}: {message}" for line, message in found]
            raise RecipeError("\n".join(lines))


def dotted(place: Place) -> str:
    """Return a place as a message names it: `datasets.clean.steps[2].keep`."""
    text = ""
    for key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def load(path: Path) -> Document:
    """Read a YAML file; syntax errors raise at once, all others are collected in the Document."""
    if path.is_dir():
        inside = ", ".join(str(found) for found in sorted(path.glob("*.yaml"))[:3])
        raise RecipeError(f"{path}: is a folder; name a recipe, a YAML file{f', such as {inside}' if inside else ''}.")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe. `ls recipes` shows those that come with Tamis.") from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}). Correct the path or its permissions.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: is not UTF-8 text ({error}). Name a recipe, a YAML file.") from error
    return parse(text, path=path)


def parse(text: str, *, path: Path) -> Document:
    """Read YAML text; syntax errors raise at once and name `path`, all others are collected in the Document."""
    document = Document(path=path, text=text)
    level = 0
    try:
        for token in YAML(pure=True).scan(text):
            level += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if level > MOST_LEVELS:
                raise RecipeError(
                    f"{path}:{token.start_mark.line + 1}: is nested more than {MOST_LEVELS} deep; no recipe needs that."
                    " Close the brackets or correct the indentation before this line."
                )
            if isinstance(token, (AliasToken, AnchorToken, TagToken)):
                mark = token.start_mark.line + 1
                document.mistakes.append((mark, "anchors, aliases and tags are not used; write the value out."))
        document.raise_mistakes()
        root = YAML(pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(
            f"{path}:{line}: is not YAML ({error.problem}). Check the indentation and brackets there."
        ) from error
    except YAMLError as error:
        raise RecipeError(f"{path}:1: is not YAML ({str(error).splitlines()[0]}).") from error
    document.data = _plain(root, (), document) if root is not None else None
    return document


def _plain(node: Node, place: Place, document: Document) -> Any:
    document.lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, MappingNode):
        return _mapping(node, place, document)
    if isinstance(node, SequenceNode):
        return [_plain(item, (*place, index), document) for index, item in enumerate(node.value)]
    assert isinstance(node, ScalarNode)
    return scalar(node.value) if node.style is None else node.value


def _mapping(node: MappingNode, place: Place, document: Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, ScalarNode):
            document.mistakes.append((line, "a key must be one word."))
            continue
        key = str(key_node.value)
        if key in found:
            first = document.lines[(*place, key)]
            document.mistakes.append((line, f"`{key}` stands here and on line {first}; keep one of the two."))
            continue
        document.lines[(*place, key)] = line
        found[key] = _plain(value_node, (*place, key), document)
    return found


def scalar(text: str) -> Any:
    """Return the value of a plain (unquoted) scalar by the YAML 1.2 core schema."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= MOST_DIGITS else text  # a word, which no number accepts
    if _FLOAT.fullmatch(text) and not re.fullmatch(r"[-+]?0[0-9]+", text) and math.isfinite(float(text)):
        return float(text)  # 1e999 is no number that an identity can hold: it stays a word, which no number accepts
    return text
