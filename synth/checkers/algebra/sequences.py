"""Checks sequences without being told the rule: every simple rule that fits the given terms must agree on the answer.

Rules tried: a polynomial of degree 1 or 2 (finite differences), x -> px + q, x(n) = x(n-1) + x(n-2), and two
interleaved straight lines. If two rules fit and disagree, the task is ambiguous and is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from synth.checkers.reading import UnreadableError

_RUN = re.compile(r"(?:-?\d+|_)(?:, (?:-?\d+|_)){3,}")
_WORDS = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
)
_NAMED = re.compile(rf"the ({'|'.join(_WORDS)}|\d+th) term")
Terms = dict[int, int]
Rule = Callable[[int], int | Fraction]


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` is what every fitting rule gives."""
    return _answers(prompt_text) == {answer_text}


@lru_cache(maxsize=8)
def _answers(prompt_text: str) -> set[str]:
    """Return what the rules that fit give; kept for the next answers to the same problem."""
    run = _RUN.search(prompt_text)
    if run is None:
        raise UnreadableError(prompt_text)
    known = {at: int(term) for at, term in enumerate(run.group().split(", ")) if term != "_"}
    count = len(run.group().split(", "))
    question = prompt_text[run.end() :]
    gap = next((at for at in range(count) if at not in known), None)
    named = _NAMED.search(question)
    if gap is not None:
        wanted = [gap]
    elif "two" in question:
        wanted = [count, count + 1]
    elif named:
        word = named.group(1)
        wanted = [_WORDS.index(word) if word in _WORDS else int(word[:-2]) - 1]
    else:
        wanted = [count]
    answers = {", ".join(str(rule(at)) for at in wanted) for rule in _fitting(known, max([*wanted, count]) + 1)}
    if not answers:
        raise UnreadableError("no rule fits")
    return answers


def _fitting(known: Terms, length: int) -> Iterator[Rule]:
    for rule in (
        _polynomial(known, 1),
        _polynomial(known, 2),
        _woven(known),
        _recurrence(known, length),
        _sum_rule(known, length),
    ):
        if rule is not None and all(rule(at) == term for at, term in known.items()):
            yield rule


def _polynomial(known: Terms, degree: int) -> Rule | None:
    """Lagrange through the first degree + 1 known terms, over one common denominator."""
    if len(known) < degree + 2:
        return None
    points = list(known.items())[: degree + 1]
    below = [math.prod(x - other for other, _ in points if other != x) for x, _ in points]
    common = math.prod(below)

    places = [x for x, _ in points]
    weights = [y * (common // d) for (_, y), d in zip(points, below, strict=True)]

    def rule(at: int) -> int | Fraction:
        total = 0
        for place, weight in zip(places, weights, strict=True):
            for other in places:
                if other != place:
                    weight *= at - other
            total += weight
        whole, rest = divmod(total, common)
        return whole if rest == 0 else Fraction(whole) + Fraction(rest, common)

    return rule


def _woven(known: Terms) -> Rule | None:
    halves = [{at: term for at, term in known.items() if at % 2 == side} for side in (0, 1)]
    even, odd = (_polynomial(half, 1) for half in halves)
    if even is None or odd is None:
        return None
    return lambda at: odd(at) if at % 2 else even(at)


def _recurrence(known: Terms, length: int) -> Rule | None:
    """x -> p x + q from two pairs of neighbours, then forward from the first term."""
    pairs = [(known[at], known[at + 1]) for at in known if at + 1 in known]
    first = next(((a, b) for a, b in pairwise(pairs) if a[0] != b[0]), None)
    if first is None or 0 not in known:
        return None
    (x1, y1), (x2, y2) = first
    p, rest = divmod(y2 - y1, x2 - x1)
    if rest or p < 1:
        return None
    return _table([known[0]], length, lambda terms: p * terms[-1] + y1 - p * x1)


def _sum_rule(known: Terms, length: int) -> Rule | None:
    if 0 not in known or 1 not in known:
        return None
    return _table([known[0], known[1]], length, lambda terms: terms[-1] + terms[-2])


def _table(start: list[int], length: int, follow: Callable[[list[int]], int]) -> Rule:
    terms = list(start)
    while len(terms) < length + 1:
        terms.append(follow(terms))
    return lambda at: terms[at]
