"""Checks orders without sorting: an item's place is one more than the number of items that must stand before it."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from synth.checkers.reading import UnreadableError, items_of

_PERSON = re.compile(
    r"\b([A-Z][a-z]+) (?:is|scored|ran|has read|saved) (\d+) (?:years old|points|cm tall|km|books|dollars)"
)
_BULLET = re.compile(r"^- (.+)$", re.MULTILINE)
_RUN = re.compile(r"(?:-?\d+(?:\.\d+)?|[a-z]+)(?:, (?:-?\d+(?:\.\d+)?|[a-z]+)){2,}")
_COUNTS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_FALLING = re.compile(
    r"largest to smallest|descending|reverse alphabetical|"
    r"(?:oldest|highest|tallest|longest distance|most|largest) first"
)
_ENDS = re.compile(r"first (?:one )?and (?:the )?last")
_ONE = re.compile(rf"(?:[Ww]hich one is|stands|the) ({'|'.join(_COUNTS)})(?: one)?[?.]")
_ASKED = re.compile(r"(?:does|position of) (-?[\w.]+?)(?= stand| take| \()")

Key = tuple[Any, ...]  # (number or word) or (number, name)


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` is the order, place or position that the prompt asks for."""
    place = _places(prompt_text)
    if "position" in prompt_text or "what place does" in prompt_text:
        item = _ASKED.search(prompt_text)
        if item is None:
            raise UnreadableError(prompt_text)
        return answer_text == str(place[item.group(1)])
    given = answer_text.split(", ")
    if any(item not in place for item in given):
        return False
    if _ENDS.search(prompt_text):
        return [place[item] for item in given] == [1, len(place)]
    one = _ONE.search(prompt_text)
    if one:
        return [place[item] for item in given] == [_COUNTS.index(one.group(1)) + 1]
    return [place[item] for item in given] == list(range(1, len(place) + 1))


@lru_cache(maxsize=8)
def _places(prompt: str) -> dict[str, int]:
    """Return the place of each item; kept for the next answers to the same problem."""
    keys = _keys(prompt)
    falling = _FALLING.search(prompt) is not None
    return {item: 1 + sum([_before(other, key, falling) for other in keys.values()]) for item, key in keys.items()}


def _before(other: Key, key: Key, falling: bool) -> bool:
    if other[0] == key[0]:
        return other[1:] < key[1:]  # ties go alphabetically whichever way the key runs
    return other[0] > key[0] if falling else other[0] < key[0]


def _keys(prompt: str) -> dict[str, Key]:
    """Return what each item is compared by."""
    people = _PERSON.findall(prompt)
    if people:
        keys: dict[str, Key] = {name: (int(value), name) for name, value in people}
        if len(keys) != len(people):
            raise UnreadableError("a name occurs twice")
        return keys
    bullets = _BULLET.findall(prompt)
    run = _RUN.search(prompt)
    items = bullets or (items_of(run.group()) if run else [])
    if len(items) < 3 or len(set(items)) != len(items):
        raise UnreadableError(prompt)
    if re.fullmatch(r"-?[\d.]+", items[0]):
        return {item: (Fraction(item) if "." in item else int(item),) for item in items}
    if "by length" in prompt or "by number of letters" in prompt or "shortest to longest" in prompt:
        return {item: (len(item), item) for item in items}
    return {item: (item,) for item in items}
