"""Checks polynomials by values: terms are read from the text, and an answer must have the right value at eight places.

Two polynomials of degree 3 or less that agree at eight places are the same; the answer must also be in its short form.
"""

from __future__ import annotations

import re

from synth.checkers.reading import UnreadableError, agrees, found

_TERM = re.compile(r"([-+]?) ?(\d*)(x?)(?:\^(\d))?(?= |$)")


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the value, the sum or the product that is asked for."""
    read = [_terms(text) for text in re.findall(r"\((-?\d*x[^()]*|\d+[^()a-wyz]*)\)", prompt_text)]
    if not read:
        raise UnreadableError(prompt_text)
    if "x = " in prompt_text:
        return agrees(prompt_text, answer_text, _value(read[0], int(found(r"x = (\d+)", prompt_text).group(1))))
    product = "roduct" in prompt_text or "Multiply" in prompt_text
    inside = found(r"^(?:\[|<<|\\boxed\{|\{\"answer\": \")?(.*?)(?:\]|>>|\"?\})?$", answer_text).group(1)
    if not agrees(prompt_text, answer_text, inside) or not re.fullmatch(r"-?\d*x?[-+x\d^ ]*", inside) or not inside:
        return False
    terms = _terms(inside)
    powers = [power for power, _ in terms]
    if powers != sorted(set(powers), reverse=True) or any(number == 0 for _, number in terms):
        return False
    if (
        re.search(r"(?<!\d)[01]x|\^[01]|^\+|(?<!\d)0\d|  |[-+] ?[-+]|\d[+-]|[-+]$", inside)
        or len(inside.split()) % 2 == 0
    ):
        return False
    one, two = read
    return all(
        _value(terms, at) == (_value(one, at) * _value(two, at) if product else _value(one, at) + _value(two, at))
        for at in range(-3, 5)
    )


def _terms(text: str) -> list[tuple[int, int]]:
    """Return (power, coefficient) for every term of the text, as they stand."""
    terms, at = [], 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None or not (match.group(2) or match.group(3)):
            raise UnreadableError(text)
        sign, digits, x, power = match.groups()
        number = int(digits or 1) * (-1 if sign == "-" else 1)
        terms.append((int(power or 1) if x else 0, number))
        at = match.end() + 1
    return terms


def _value(terms: list[tuple[int, int]], at: int) -> int:
    return sum(number * at**power for power, number in terms)
