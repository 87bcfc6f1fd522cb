"""A programming exercise: how a model is asked to write one, how another solves it, and what is wrong with it on paper.

Values of tests are JSON, written as text inside the answer, so that numbers, truths and lists keep their types. What
can be told without running anything is told here; what running it shows, `trial.py` says.
"""

from __future__ import annotations

import ast
import json
import keyword
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from blake3 import blake3

from pipeline.core.claude.messages.fence import fenced
from pipeline.core.claude.messages.request import Request
from pipeline.core.claude.messages.visible import visible
from synth.sandbox.values import Json, same
from synth.writing.faithful import leaked

FEWEST_TESTS, MOST_TESTS, SHOWN = 5, 30, 2
LONGEST_CODE, LONGEST_SPECIFICATION, LONGEST_VALUE = 8_000, 4_000, 2_000  # characters
DEEPEST = 60  # lists or pieces of code within each other, so that nothing that walks through them runs out of stack
WRITE = """You write programming exercises whose solutions a machine can check.

Write one exercise that what the document is about suggests. Whoever solves it does not see the document.
- specification: what one Python function gets and returns, in words, complete: every argument and its type, the type of
  the result, ties, order, empty and odd input. No code in it. Inputs that it does not speak of are not tested.
- function: its name.
- tests: {fewest} to 12 calls. arguments: a JSON list of the arguments; returns: the result as JSON. Values are of JSON
  only (no tuples, no sets), whole numbers stay whole, and the tests tell a right solution from a nearly right one.
- solution: Python code with that function, of the standard library alone; it reads and writes nothing, knows no clock
  and no chance.
Give an empty function if the document suggests none."""
TASK = "Write one programming exercise from the document between the two marks."
SOLVE = """You write one Python function from its specification. Code alone, of the standard library; it reads and
writes nothing, knows no clock and no chance. Results are of JSON only: no tuples, no sets, whole numbers stay whole."""
CASE = {
    "type": "object", "properties": {"arguments": {"type": "string"}, "returns": {"type": "string"}},
    "required": ["arguments", "returns"], "additionalProperties": False,
}  # fmt: skip
EXERCISE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "specification": {"type": "string"}, "function": {"type": "string"},
        "tests": {"type": "array", "items": CASE}, "solution": {"type": "string"},
    },
    "required": ["specification", "function", "tests", "solution"], "additionalProperties": False,
}  # fmt: skip
SOLUTION: Mapping[str, Any] = {
    "type": "object", "properties": {"solution": {"type": "string"}}, "required": ["solution"],
    "additionalProperties": False,
}  # fmt: skip
INSTRUCTIONS = WRITE.format(fewest=FEWEST_TESTS)
HASH = blake3("\n".join([INSTRUCTIONS, TASK, SOLVE]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Case:
    """One call and what it returns."""

    arguments: list[Json]
    returns: Json


@dataclass(frozen=True, slots=True)
class Exercise:
    """What a model wrote, its tests read; `unread` says what could not be."""

    specification: str
    function: str
    tests: tuple[Case, ...]
    solution: str
    unread: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Exercise:
        """Return what an answer by the schema EXERCISE says."""
        tests, unread = [], ""
        for each in data["tests"][: MOST_TESTS + 1]:
            try:
                arguments, returns = _json(each["arguments"]), _json(each["returns"])
            except (ValueError, RecursionError):
                unread = "a test is no JSON"
                continue
            if isinstance(arguments, list):
                tests.append(Case(arguments, returns))
            else:
                unread = "a test is no JSON"
        return cls(
            visible(data["specification"]).strip(), data["function"].strip(), tuple(tests), code_in(data["solution"]),
            unread,
        )  # fmt: skip

    @property
    def signature(self) -> str:
        """The function with the names of its arguments, as the solution has them."""
        found = function_in(self.solution, self.function)
        if found is None:
            return f"{self.function}()"
        names = [each.arg for each in (*found.args.posonlyargs, *found.args.args)]
        names += [] if found.args.vararg is None else [f"*{found.args.vararg.arg}"]
        return f"{self.function}({', '.join(names)})"

    @property
    def prompt(self) -> str:
        """What a reader is asked: specification, name, and the first tests as examples."""
        shown = "\n".join(
            f"{self.function}({', '.join(map(json.dumps, test.arguments))}) returns {json.dumps(test.returns)}"
            for test in self.tests[:SHOWN]
        )
        return f"{self.specification}\n\nWrite the Python function `{self.signature}`. Values are JSON:\n\n{shown}"


def to_write(shown: str, *, model: str) -> Request:
    """Return the request for an exercise from what is shown of a document."""
    return Request(
        model=model, system=INSTRUCTIONS, prompt=fenced(shown, task=TASK), schema=EXERCISE, max_tokens=3_000,
        purpose="code_tasks/write",
    )  # fmt: skip


def to_solve(exercise: Exercise, *, model: str) -> Request:
    """Return the request for a solution from the specification alone."""
    asked = f"{exercise.specification}\n\nThe function is `{exercise.signature}`."
    return Request(
        model=model, system=SOLVE, prompt=asked, schema=SOLUTION, max_tokens=2_000, purpose="code_tasks/solve"
    )


def longest_to_solve(character: str, *, model: str) -> Request:
    """Return the most expensive request for a solution, for an estimate."""
    exercise = Exercise(LONGEST_SPECIFICATION * character, "f", (), "", "")
    return to_solve(exercise, model=model)


def fault(exercise: Exercise) -> str:
    """Return why an exercise is not worth running, in a few words, or an empty text."""
    if not exercise.function or not exercise.specification:
        return "nothing to solve"
    if not exercise.function.isidentifier() or keyword.iskeyword(exercise.function) or exercise.function[0] == "_":
        return "no name of a function"
    if not _can_be_stored(exercise.specification + exercise.solution):
        return "text that cannot be stored"
    if exercise.unread or any(not test.arguments for test in exercise.tests):
        return exercise.unread or "a test without arguments"
    if len(exercise.specification) > LONGEST_SPECIFICATION or len(exercise.solution) > LONGEST_CODE:
        return "too long"
    if len(exercise.tests) > MOST_TESTS or any(
        len(json.dumps([test.arguments, test.returns])) > LONGEST_VALUE for test in exercise.tests
    ):
        return "too long"
    calls = {json.dumps(test.arguments, sort_keys=True): test for test in exercise.tests}
    if any(
        not same(calls[json.dumps(test.arguments, sort_keys=True)].returns, test.returns) for test in exercise.tests
    ):
        return "two tests contradict each other"
    if len(calls) < FEWEST_TESTS:
        return "too few tests"
    if parsed(exercise.solution) is None:
        return "the solution does not compile"
    if function_in(exercise.solution, exercise.function) is None:
        return "the solution lacks the function"
    if f"def {exercise.function}" in exercise.specification or "```" in exercise.specification:
        return "code in the specification"
    return leaked(exercise.specification, instructions=INSTRUCTIONS)


def code_in(text: str) -> str:
    """Return code without the fence that a model likes to put around it."""
    lines = text.strip().splitlines()
    if len(lines) > 1 and lines[0].startswith("```") and lines[-1].strip() == "```":
        lines = lines[1:-1]
    return "\n".join(lines).strip("\n") + "\n"


def parsed(code: str) -> ast.Module | None:
    """Return the code as a tree; None where it is none that can be read, or nested deeper than DEEPEST."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
        return tree if _depth(tree) <= DEEPEST else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def function_in(code: str, name: str) -> ast.FunctionDef | None:
    """Return a function that stands at the top of some code."""
    tree = parsed(code)
    found: Sequence[ast.stmt] = [] if tree is None else tree.body
    return next((each for each in found if isinstance(each, ast.FunctionDef) and each.name == name), None)


def _json(text: str) -> Json:
    value: Json = json.loads(text, parse_constant=_refuse)
    if not _is_plain(value):
        raise ValueError(text)
    return value


def _is_plain(value: Json, depth: int = 0) -> bool:
    """Say whether a value is finite, of text that can be stored, and not bottomless."""
    if isinstance(value, float):
        return value - value == 0.0
    if isinstance(value, str):
        return _can_be_stored(value)
    if isinstance(value, dict):
        return all(map(_can_be_stored, value)) and _is_plain(list(value.values()), depth)
    return not isinstance(value, list) or (depth < DEEPEST and all(_is_plain(each, depth + 1) for each in value))


def _can_be_stored(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _depth(tree: ast.AST) -> int:
    level, depth = [tree], 0
    while level:
        level, depth = [child for node in level for child in ast.iter_child_nodes(node)], depth + 1
    return depth


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
