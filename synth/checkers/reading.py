"""What the checkers share to read a problem: numbers, lists, and the equations of a worked solution.

Nothing here or in any checker comes from `synth.tasks`: a checker that shared a table or a helper with its generator
would repeat its mistakes. Numbers are exact fractions.
"""

from __future__ import annotations

import re
from fractions import Fraction

_TOKEN = re.compile(r"\d+(?:\.\d+)?|[-+*/x()]")
_OPERAND = re.compile(r"\(*-?\d+(?:\.\d+)?\)*$")  # at the end of a word
_RIGHT = re.compile(r"-?\d+(?:\.\d+)?(?![\d/]|\.\d)")
_SIGNS = frozenset("-+*/x")
_RANK = {"+": 1, "-": 1, "*": 2, "x": 2, "/": 2, "~": 3}


class UnreadableError(ValueError):
    """The prompt is not one that this checker understands."""


def evaluate(text: str) -> Fraction:
    """Return the value of an arithmetic expression by shunting-yard; raise UnreadableError when it is not one."""
    return Fraction(_value(text))


def _value(text: str) -> int | Fraction:
    """Return what `evaluate` does, as a whole number where no fraction came up on the way."""
    values: list[int | Fraction] = []
    waiting: list[str] = []
    after_value = False
    for token in _TOKEN.findall(text):
        if token[0].isdigit():
            values.append(_number(token))
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


def _number(text: str) -> int | Fraction:
    return Fraction(text) if "." in text else int(text)


def _apply(values: list[int | Fraction], operator: str) -> None:
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
        values.append(Fraction(left) / right)
    else:
        values.append(left + right if operator == "+" else left - right if operator == "-" else left * right)


def wrong_equations(text: str) -> list[str]:
    """Return every `a + b = c` of a worked solution that does not hold.

    From each `=` between spaces the words are read backwards: number, sign, number, as far as they go. What stands
    before a number without a space (`(so 3`) ends the chain there.
    """
    wrong = []
    for line in text.split("\n"):
        if " = " not in line:
            continue
        words = line.split(" ")
        done = 0  # words before this one belong to an earlier equation
        for at in range(1, len(words) - 1):
            if words[at] != "=":
                continue
            right = _RIGHT.match(words[at + 1])
            chain = _chain(words, done, at) if right else []
            if right is None or len(chain) < 3:
                continue
            done = at + 2
            left = " ".join(chain)
            if left.count("(") == left.count(")") and not _holds(chain, left, right.group()):
                wrong.append(f"{left} = {right.group()}")
    return wrong


def _chain(words: list[str], first: int, end: int) -> list[str]:
    """Return the longest `number, sign, ..., number` that ends before word `end`, and begins at `first` or later."""
    at = end - 1
    chain: list[str] = []
    while at >= first:
        operand = _OPERAND.search(words[at])
        if operand is None:
            return chain[1:]
        chain.insert(0, operand.group())
        if operand.start() or at - 2 < first or words[at - 1] not in _SIGNS:
            return chain
        chain.insert(0, words[at - 1])
        at -= 2
    return chain


def _holds(chain: list[str], left: str, right: str) -> bool:
    if len(chain) == 3 and chain[0].isdigit() and chain[2].isdigit() and chain[1] != "/":
        one, two = int(chain[0]), int(chain[2])
        value: int | Fraction = one + two if chain[1] == "+" else one - two if chain[1] == "-" else one * two
    else:
        value = _value(left)
    return value == _number(right)


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
