"""What the checkers share to read a problem: numbers, lists, and the equations of a worked solution.

Nothing here or in any checker comes from `synth.tasks`: a checker that shared a table or a helper with its generator
would repeat its mistakes. Numbers are exact fractions.
"""

from __future__ import annotations

import re
from fractions import Fraction

_TOKEN = re.compile(r"\d+(?:\.\d+)?|[-+*/x()]")
_EQUATION = re.compile(r"((?:\(*-?\d+(?:\.\d+)?\)* [-+*/x] )+\(*-?\d+(?:\.\d+)?\)*) = (-?\d+(?:\.\d+)?)(?![\d/]|\.\d)")
_RANK = {"+": 1, "-": 1, "*": 2, "x": 2, "/": 2, "~": 3}


class UnreadableError(ValueError):
    """The prompt is not one that this checker understands."""


def evaluate(text: str) -> Fraction:
    """Return the value of an arithmetic expression by shunting-yard; raise UnreadableError when it is not one."""
    values: list[Fraction] = []
    waiting: list[str] = []
    after_value = False
    for token in _TOKEN.findall(text):
        if token[0].isdigit():
            values.append(Fraction(token))
            after_value = True
        elif token == "(":
            waiting.append(token)
            after_value = False
        elif token == ")":
            while waiting and waiting[-1] != "(":
                _apply(values, waiting.pop())
            if not waiting:
                raise UnreadableError(text)
            waiting.pop()
            after_value = True
        else:
            operator = token if after_value else "~" if token == "-" else "?"
            if operator == "?":
                raise UnreadableError(text)
            while operator != "~" and waiting and waiting[-1] != "(" and _RANK[waiting[-1]] >= _RANK[operator]:
                _apply(values, waiting.pop())
            waiting.append(operator)
            after_value = False
    while waiting:
        _apply(values, waiting.pop())
    if len(values) != 1:
        raise UnreadableError(text)
    return values[0]


def _apply(values: list[Fraction], operator: str) -> None:
    if operator == "(" or len(values) < (1 if operator == "~" else 2):
        raise UnreadableError(operator)
    right = values.pop()
    if operator == "~":
        values.append(-right)
        return
    left = values.pop()
    if operator == "/":
        if right == 0:
            raise UnreadableError("division by zero")
        values.append(left / right)
    else:
        values.append(left + right if operator == "+" else left - right if operator == "-" else left * right)


def wrong_equations(text: str) -> list[str]:
    """Return every `a + b = c` of a worked solution that does not hold."""
    wrong = []
    for match in _EQUATION.finditer(text):
        left, right = match.groups()
        if left.count("(") == left.count(")") and evaluate(left) != Fraction(right):
            wrong.append(match.group())
    return wrong


def whole(text: str) -> int | None:
    """Return the integer that `text` spells in canonical form (`-3`, `0`, `12`), else None."""
    return int(text) if re.fullmatch(r"0|-?[1-9]\d*", text) else None


def items_of(text: str) -> list[str]:
    """Split `a, b and c` or `a, b, c` into its items."""
    parts = re.split(r",\s*(?:and\s+)?|\s+and\s+", text.strip())
    return [part.strip() for part in parts if part.strip()]


_FORMS = (
    ("in square brackets", "[{}]"),
    ("inside \\boxed{}", "\\boxed{{{}}}"),
    ('as JSON with the single key "answer"', '{{"answer": "{}"}}'),
    ("between << and >>", "<<{}>>"),
)


def agrees(prompt_text: str, answer_text: str, right: object) -> bool:
    """Say whether the answer is `right`, exactly and in the form that the last sentence of the prompt asks for."""
    for words, form in _FORMS:
        if words in prompt_text:
            return answer_text == form.format(right)
    return answer_text == str(right)


def found(pattern: str, text: str) -> re.Match[str]:
    """Return the first match of the pattern; raise UnreadableError where there is none."""
    match = re.search(pattern, text)
    if match is None:
        raise UnreadableError(text)
    return match
