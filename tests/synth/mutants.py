"""Checkers with one small change each: does a control notice? What none notices stands in the figures as it is.

Changed are comparisons, operators, `and` and `or`, `not`, whole numbers, texts, and conditions (always, never). A
mutant is killed if it refuses a right answer or accepts a wrong one; one that raises an error or does not end refuses.
"""

from __future__ import annotations

import ast
import copy
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from synth.families import Check, checker, room_of
from synth.task_part import FAULTS
from synth.tasks.draw import Draw
from tests.conftest import ROOT
from tests.synth.changed_problems import changed_problems
from tests.synth.made import SEED, made, wrong_tried

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr, ast.LShift: ast.RShift, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip
SECONDS = 1.0  # of processor time for all controls of one mutant, which take a tenth of that
NOWHERE = "\1"  # in no problem
BROKEN = (*FAULTS, NameError, re.error)  # what a changed program raises


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed checker and what was changed, as `line 12: Lt -> LtE`."""

    change: str
    tree: ast.Module


def mutants(family: str) -> Iterator[Mutant]:
    """Yield every mutant of a family's checker."""
    tree = ast.parse((ROOT / f"synth/checkers/{room_of(family)}/{family}.py").read_text(encoding="utf-8"))
    changes = [
        (number, change)
        for number, node in enumerate(ast.walk(tree))
        for change in _changes(node, said=_is_docstring(node, tree))
    ]
    for number, (name, act) in changes:
        mutated = copy.deepcopy(tree)
        node = next(node for at, node in enumerate(ast.walk(mutated)) if at == number)
        line = getattr(node, "lineno", 0)
        act(node)
        yield Mutant(f"line {line}: {name}", ast.fix_missing_locations(mutated))


def _is_docstring(node: ast.AST, tree: ast.Module) -> bool:
    holders = [each for each in ast.walk(tree) if isinstance(each, ast.Module | ast.FunctionDef | ast.ClassDef)]
    return any(isinstance(each.body[0], ast.Expr) and each.body[0].value is node for each in holders)


def _changes(node: ast.AST, *, said: bool) -> Iterator[tuple[str, Callable[..., None]]]:
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            yield _swap(operator), lambda n, at=at: n.ops.__setitem__(at, SWAPS[type(n.ops[at])]())
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in SWAPS:
        yield _swap(node.op), lambda n: setattr(n, "op", SWAPS[type(n.op)]())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not is left out", lambda n: setattr(n, "operand", ast.UnaryOp(ast.Not(), n.operand))
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "always", lambda n: setattr(n, "test", ast.Constant(True))
        yield "never", lambda n: setattr(n, "test", ast.Constant(False))
    if isinstance(node, ast.Constant) and not said:
        if type(node.value) is int:
            yield f"{node.value} -> {node.value + 1}", lambda n: setattr(n, "value", n.value + 1)
        elif isinstance(node.value, str):
            yield f"{node.value[:20]!r} left out", lambda n: setattr(n, "value", NOWHERE)


def _swap(operator: ast.AST) -> str:
    return f"{type(operator).__name__} -> {SWAPS[type(operator)].__name__}"


Control = tuple[str, str]  # problem, answer


@dataclass(frozen=True, slots=True)
class Controls:
    """What a checker must accept, and what it must refuse."""

    right: list[Control]
    wrong: list[Control]


def controls(family: str, *, right: int, wrong: int) -> Controls:
    """Return right answers of so many tasks; wrong answers of so many, and old answers under changed problems."""
    good = [(task.prompt, task.answer) for task, _ in made(family)[:right]]
    bad = [(task.prompt, answer) for _, task, answer in wrong_tried(family, wrong)]
    check = checker(family)
    for index, (prompt, answer) in enumerate(good):
        for problem in changed_problems(Draw(SEED, "changed", family, index), prompt).values():
            if not _accepted(check, problem, answer):
                bad.append((problem, answer))
    return Controls(good, bad)


def survivors(tried: Iterable[Mutant], tests: Controls) -> list[str]:
    """Return the changes that no control notices."""
    return [mutant.change for mutant in tried if not _killed(mutant, tests)]


def _killed(mutant: Mutant, tests: Controls) -> bool:
    space: dict[str, Any] = {"__name__": "mutant"}
    with _bounded():
        try:
            exec(compile(mutant.tree, "mutant", "exec"), space)
            check: Check = space["check"]
            return not all(check(*control) for control in tests.right) or any(
                _accepted(check, *control) for control in tests.wrong
            )
        except (*BROKEN, TimeoutError):
            return True


def _accepted(check: Check, prompt: str, answer: str) -> bool:
    try:
        return check(prompt, answer)
    except BROKEN:
        return False


@contextmanager
def _bounded() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
