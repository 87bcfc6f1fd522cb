"""Generators and checkers stand alone: they share no code, run nothing, and lie where the table of families says."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from synth.families import ALL_FAMILIES, ROOMS
from tests.synth import figures

SYNTH = Path(__file__).resolve().parents[2] / "synth"
CHECKERS = sorted((SYNTH / "checkers").rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_every_family_has_a_generator_and_a_checker() -> None:
    assert {path.stem for path in CHECKERS} - {"__init__", "reading"} == set(ALL_FAMILIES)
    for room, families in ROOMS.items():
        assert all((SYNTH / side / room / f"{name}.py").exists() for side in ("tasks", "checkers") for name in families)


@pytest.mark.parametrize("path", CHECKERS, ids=lambda path: path.stem)
def test_a_checker_imports_nothing_but_the_standard_library_and_the_reader(path: Path) -> None:
    ours = {
        name for name in imports_of(path) if name.split(".")[0] in {"synth", "pipeline", "filters", "eval", "tests"}
    }

    assert ours <= {"synth.checkers.reading"}


@pytest.mark.parametrize("path", sorted((SYNTH / "tasks").rglob("*.py")), ids=lambda path: path.stem)
def test_a_generator_does_not_import_a_checker(path: Path) -> None:
    assert not {name for name in imports_of(path) if name.startswith("synth.checkers")}


@pytest.mark.parametrize("path", sorted(SYNTH.rglob("*.py")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_nothing_is_executed(path: Path) -> None:
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }

    assert not called & {"eval", "exec", "compile", "__import__"}


def test_the_page_tells_the_counted_figures_of_every_family() -> None:
    counted = json.loads(figures.FIGURES.read_text(encoding="utf-8"))
    page = figures.PAGE.read_text(encoding="utf-8")

    assert figures.shown_in(page, counted) == page
    assert list(counted["families"]) == list(ALL_FAMILIES)
    assert all(found["wrong_refused"] == found["wrong"] for found in counted["families"].values())
