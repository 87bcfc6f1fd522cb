"""Checks order puzzles by filling the places from the first to the last, turning back at the first broken clue.

The puzzle must have exactly one solution; a prompt with none or several is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

from synth.checkers.reading import UnreadableError

_WORDS = ("first", "second", "third", "fourth", "fifth", "sixth")
_PLACE = "|".join(_WORDS)
_N = r"([A-Z][a-z]+)"
Places = dict[str, int]
Clue = tuple[tuple[str, ...], Callable[[Places], bool]]

_PAIRS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            (
                rf"{_N} finished immediately before {_N}|{_N} stands (?:directly in front"
                rf"|immediately to the left) of {_N}|{_N} is the stop right before {_N}"
            )
        ),
        "next",
    ),
    (
        re.compile(
            rf"{_N} finished directly after {_N}|{_N} stands (?:directly behind"
            rf"|immediately to the right of) {_N}|{_N} is the next stop after {_N}"
        ),
        "previous",
    ),
    (re.compile(rf"{_N} and {_N} (?:finished one right after|are neighbours|stand next to|are consecutive)"), "near"),
    (re.compile(rf"[Ee]xactly one \w+ (?:finished|stands|lies) between {_N} and {_N}"), "gap"),
    (
        re.compile(
            rf"{_N} (?:finished before|was faster than|stands somewhere in front of|will be "
            rf"served earlier than|stands somewhere to the left of|is reached before) {_N}"
        ),
        "before",
    ),
    (
        re.compile(
            rf"{_N} (?:finished after|is somewhere behind|is somewhere "
            rf"to the right of|comes later on the route than) {_N}"
        ),
        "after",
    ),
)
_AT = re.compile(rf"{_N} (?:(did not|does not|is not|came|took|is|has)) (?:come |take |have )?(?:the )?({_PLACE})\b")
_NAMES = re.compile(rf"{_N}(?:, {_N})+ and {_N}")
_ASKED = re.compile(rf"\b({_PLACE})\b[^.?\n]*\?$")
_ENDS = re.compile(r"[.;:?]\s+|\n+|[.?]$")
_HOLDS: dict[str, Callable[[int, int], bool]] = {
    "next": lambda a, b: b - a == 1,
    "previous": lambda a, b: a - b == 1,
    "near": lambda a, b: abs(a - b) == 1,
    "gap": lambda a, b: abs(a - b) == 2,
    "before": lambda a, b: a < b,
    "after": lambda a, b: a > b,
}


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` is the one order, or who stands in the place asked for."""
    order = _order(prompt_text)
    asked = _ASKED.search(prompt_text)
    if asked and "first to last" not in asked.group():
        return answer_text == order[_WORDS.index(asked.group(1))]
    return answer_text == ", ".join(order)


@lru_cache(maxsize=8)
def _order(prompt: str) -> list[str]:
    """Return the one order that breaks no clue; kept for the next answers to the same problem."""
    sentences = [part.strip() for part in _ENDS.split(prompt) if part.strip()]
    clues = [clue for clue in (_clue(sentence) for sentence in sentences[1:]) if clue is not None]
    names = _names(prompt)
    about = {name: [clue for clue in clues if name in clue[0]] for name in names}
    solutions = list(_fill(names, {}, about))
    if len(solutions) != 1:
        raise UnreadableError(f"{len(solutions)} solutions: {prompt}")
    return solutions[0]


def _names(prompt: str) -> list[str]:
    """The names stand first as a list in alphabetical order: `A, B and C`."""
    match = _NAMES.search(prompt)
    if match is None:
        raise UnreadableError(prompt)
    return re.findall(r"[A-Z][a-z]+", match.group())


def _clue(sentence: str) -> Clue | None:
    for pattern, kind in _PAIRS:
        match = pattern.search(sentence)
        if match:
            a, b = (group for group in match.groups() if group)
            return (a, b), partial(_pair_holds, a=a, b=b, relation=_HOLDS[kind])
    match = _AT.search(sentence)
    if match:
        name, verb, place = match.groups()
        wanted, negative = _WORDS.index(place), "not" in verb
        return (name,), lambda places: (places[name] == wanted) != negative
    return None


def _pair_holds(places: Places, *, a: str, b: str, relation: Callable[[int, int], bool]) -> bool:
    return relation(places[a], places[b])


def _fill(names: list[str], places: Places, about: dict[str, list[Clue]]) -> Iterator[list[str]]:
    """Yield every order that breaks no clue; a clue is tried as soon as all its names have places."""
    if len(places) == len(names):
        yield sorted(places, key=lambda name: places[name])
        return
    for name in names:
        if name in places:
            continue
        places[name] = len(places)
        for who, holds in about[name]:
            if who[0] in places and who[-1] in places and not holds(places):
                break
        else:
            yield from _fill(names, places, about)
        del places[name]
