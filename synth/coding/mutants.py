"""A solution -> the same with one small mistake each: operators, comparisons, constants, off by one, lost branches.

Tests that do not tell a solution from its mutants would pay an agent for such mistakes. Edits are of the syntax tree,
each kind in its turn, so that a long solution's mutants are not all of one kind.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import setitem

from synth.coding.problem import parsed

MOST = 24
Edit = Callable[[], None]
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """Code with one mistake, and which kind it is of."""

    kind: str
    code: str


def mutants_of(code: str, *, most: int = MOST) -> list[Mutant]:
    """Return at most so many mutants of a solution, the same ones every time; none equals it or another."""
    tree = parsed(code)
    if tree is None:
        return []
    kinds: dict[str, list[int]] = {}
    for number, (kind, _) in enumerate(_edits(tree)):
        kinds.setdefault(kind, []).append(number)
    made = {ast.unparse(tree): Mutant("", code)}
    turns = [(turn, kind) for kind in sorted(kinds) for turn in range(len(kinds[kind]))]
    for turn, kind in sorted(turns):
        changed = copy.deepcopy(tree)
        _, edit = list(_edits(changed))[kinds[kind][turn]]
        edit()
        text = ast.unparse(ast.fix_missing_locations(changed))
        made.setdefault(text, Mutant(kind, text))
        if len(made) > most:
            break
    return list(made.values())[1:]


def _edits(tree: ast.Module) -> Iterator[tuple[str, Edit]]:
    """Yield every edit of a tree, in its order: the kind, and what makes it."""
    for node in _nodes(tree):
        yield from _edits_of(node)


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that can hold a mistake: no documentation, no types."""
    yield node
    for name, field in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_comment", "decorator_list"):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not _is_said(child):
                yield from _nodes(child)


def _is_said(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _edits_of(node: ast.AST) -> Iterator[tuple[str, Edit]]:
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield "operator", lambda: setattr(node, "op", OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Compare):
        for place, compared in enumerate(node.ops):
            yield "comparison", partial(setitem, node.ops, place, COMPARISONS[type(compared)]())
    elif isinstance(node, ast.BoolOp):
        yield "logic", lambda: setattr(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "logic", lambda: setattr(node, "operand", ast.UnaryOp(ast.Not(), node.operand))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "operator", lambda: setattr(node, "op", ast.UAdd())
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "branch", lambda: setattr(node, "test", ast.Constant(False))
        if not isinstance(node, ast.While):
            yield "branch", lambda: setattr(node, "test", ast.Constant(True))
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "result", lambda: setattr(node, "value", ast.Constant(None))
    elif isinstance(node, ast.Expr):
        yield "statement", lambda: setattr(node, "value", ast.Constant(None))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and node.args:
        last = min(1, len(node.args) - 1)
        yield "off by one", lambda: node.args.__setitem__(last, _one_more(node.args[last]))
    elif isinstance(node, ast.Slice):
        for end in ("lower", "upper"):
            if getattr(node, end) is not None:
                yield "off by one", partial(setattr, node, end, _one_more(getattr(node, end)))
    elif isinstance(node, ast.Constant) and (new := _other(node.value)) is not None:
        yield "constant", lambda: setattr(node, "value", new)


def _one_more(node: ast.expr) -> ast.expr:
    return ast.BinOp(node, ast.Add(), ast.Constant(1))


def _other(value: object) -> object | None:
    """Return another constant of the same type; None where there is none."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return "" if value else "x"
    return None
