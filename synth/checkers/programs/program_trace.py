"""Checks program traces with its own machine: the text becomes a flat list of instructions with jumps, then runs.

Three spellings are read (indentation, `end`, braces). Expressions become postfix code for a stack of whole numbers.
Nothing is ever given to Python's own evaluator.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache

from synth.checkers.reading import UnreadableError

_LIMIT = 5000
_RANK = {"*": 3, "%": 3, "+": 2, "-": 2, "<": 1, ">": 1, "<=": 1, ">=": 1, "==": 1}
_TOKEN = re.compile(r"\s*(\d+|[a-z]+|<=|>=|==|[-+*%<>()])")
_DO: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "%": operator.mod,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
}
_FENCE = re.compile(r"^```\w*\n|\n```$")
_COLON = re.compile(r":$", re.MULTILINE)
Line = tuple[int, str, tuple[str, ...]]  # depth, kind, operands
Instruction = tuple[str, list[str], str, int]  # kind, postfix, name, target

_FORMS = (
    ("set", re.compile(r"set (\w+) to (.+)|(?:let )?(\w+) = (.+?);?")),  # the commonest first
    (
        "for",
        re.compile(
            r"for (\w+) in range\((\d+), (\d+)\):|for (\w+) from (\d+) to "
            r"(\d+) do|for \(let (\w+) = (\d+); \w+ <= (\d+); \w+\+\+\) \{"
        ),
    ),
    ("while", re.compile(r"while (.+):|while \((.+)\) \{|while (.+) do")),
    ("if", re.compile(r"if \((.+)\) \{|if (.+):|if (.+) then")),
    ("else", re.compile(r"(?:else:|otherwise|\} else \{)()")),
    ("close", re.compile(r"(?:end|\})()")),
    ("print", re.compile(r"print\((.+)\);?|output (.+)")),
)


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` is what the program prints or the value that is asked for."""
    blocks = prompt_text.split("\n\n")
    question = blocks[-1]
    values, printed = _run(blocks[1])
    if re.search(r"\bprint|\boutput\b", question):
        return bool(printed) and answer_text == ", ".join(str(value) for value in printed)
    named = [name for name in re.findall(r"(?:value of|does|stored in|what is) ([a-z]+)\b", question) if name in values]
    if len(named) != 1:
        raise UnreadableError(question)
    return answer_text == str(values[named[0]])


def _lines(code: str) -> list[Line]:
    """Return the statements with their depth; `close` and `else` lines are turned into depth alone."""
    lines: list[Line] = []
    depth = 0
    by_indentation = _COLON.search(code) is not None
    for row in code.split("\n"):
        text = row.strip()
        kind, operands = _statement(text)
        if by_indentation:
            depth = (len(row) - len(row.lstrip())) // 4
        elif kind in ("close", "else"):
            depth -= 1
        if kind != "close":
            lines.append((depth, kind, operands))
        if not by_indentation and kind in ("for", "while", "if", "else"):
            depth += 1
    return lines


def _statement(text: str) -> tuple[str, tuple[str, ...]]:
    for kind, pattern in _FORMS:
        match = pattern.fullmatch(text)
        if match:
            operands = tuple(group for group in match.groups() if group)
            if kind == "for" and "range" in text:  # Python's range leaves its end out
                return kind, (*operands[:2], str(int(operands[2]) - 1))
            return kind, operands
    raise UnreadableError(text)


def _assemble(lines: list[Line]) -> list[Instruction]:
    """Lay the statements out flat, with a jump wherever a block begins or ends."""
    code: list[Instruction] = []
    waiting: list[tuple[int, str, int, tuple[str, ...]]] = []  # depth, kind, address of the jump to fill in, operands
    for depth, kind, operands in [*lines, (0, "stop", ())]:
        while waiting and waiting[-1][0] >= depth:
            _close(code, waiting, keep_else=kind == "else" and waiting[-1][0] == depth)
            if kind == "else" and waiting and waiting[-1][:2] == (depth, "else"):
                break
        if kind == "set":
            code.append(("store", _postfix(operands[1]), operands[0], 0))
        elif kind == "print":
            code.append(("print", _postfix(operands[0]), "", 0))
        elif kind in ("if", "while"):
            waiting.append((depth, kind, len(code), operands))
            code.append(("unless", _postfix(operands[0].replace(" = ", " == ")), "", -1))
        elif kind == "for":
            name, low, high = operands
            code.append(("store", [low], name, 0))
            waiting.append((depth, "for", len(code), operands))
            code.append(("unless", [name, high, "<="], "", -1))
        elif kind == "stop":
            code.append(("stop", [], "", 0))
    return code


def _close(code: list[Instruction], waiting: list[tuple[int, str, int, tuple[str, ...]]], *, keep_else: bool) -> None:
    depth, kind, address, operands = waiting.pop()
    if kind == "while":
        code.append(("jump", [], "", address))
    elif kind == "for":
        code.append(("store", [operands[0], "1", "+"], operands[0], 0))
        code.append(("jump", [], "", address))
    elif kind == "if" and keep_else:
        waiting.append((depth, "else", len(code), ()))
        code.append(("jump", [], "", -1))
    head = code[address]
    code[address] = (head[0], head[1], head[2], len(code))


def _postfix(text: str) -> list[str]:
    tokens = _TOKEN.findall(re.sub(r"\bmod\b", "%", text))
    output: list[str] = []
    stack: list[str] = []
    for token in tokens:
        if token in _RANK:
            while stack and _RANK[stack[-1]] >= _RANK[token]:
                output.append(stack.pop())
            stack.append(token)
        elif token.isalnum():
            output.append(token)
        else:
            raise UnreadableError(text)
    return output + stack[::-1]


@lru_cache(maxsize=8)
def _run(block: str) -> tuple[dict[str, int], list[int]]:
    """Return the values at the end and what was printed; kept for the next answers to the same program."""
    code = _assemble(_lines(_FENCE.sub("", block)))
    values: dict[str, int] = {}
    printed: list[int] = []
    at = 0
    for _ in range(_LIMIT):
        kind, postfix, name, target = code[at]
        if kind == "stop":
            return values, printed
        result = _stack(postfix, values) if postfix else 0
        at += 1
        if kind == "store":
            values[name] = result
        elif kind == "print":
            printed.append(result)
        elif kind == "jump" or not result:
            at = target
    raise UnreadableError("the program does not stop")


def _stack(postfix: list[str], values: dict[str, int]) -> int:
    stack: list[int] = []
    for token in postfix:
        if token in _DO:
            right = stack.pop()
            stack.append(int(_DO[token](stack.pop(), right)))
        else:
            stack.append(int(token) if token.isdigit() else values[token])
    return stack[0]
