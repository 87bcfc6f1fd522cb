"""The families of tasks by subject, and where each has its two programs: the generator, and the checker apart from it.

A family named NAME of the room ROOM is `tasks/ROOM/NAME.py` and `checkers/ROOM/NAME.py`; recipes and rows know its
name alone, so a family can move.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType

from synth.tasks.draw import Draw
from synth.tasks.task import Task

ROOMS = {
    "numbers": (
        "arithmetic", "unit_conversion", "fractions", "percentages", "common_divisors", "prime_factors", "number_bases",
    ),
    "algebra": ("linear_equations", "polynomials", "sequences"),
    "sets": ("set_operations", "sorting", "counting", "probability"),
    "strings": ("string_edits", "anagrams", "palindromes", "ciphers", "regular_expressions"),
    "logic": ("logic_order", "truth_tables", "syllogisms", "knights"),
    "programs": ("program_trace", "list_programs", "bug_finding", "sorting_steps"),
    "graphs": ("graph_paths", "trees", "grid_walks"),
    "tables": ("table_questions", "document_facts"),
    "times": ("calendar_dates", "schedules"),
}  # fmt: skip
FAMILIES = (
    "arithmetic",
    "unit_conversion",
    "sorting",
    "set_operations",
    "string_edits",
    "table_questions",
    "program_trace",
    "calendar_dates",
    "sequences",
    "logic_order",
)
# Made where a recipe names them: the default is what it was, so its rows are too.
MORE_FAMILIES = tuple(family for families in ROOMS.values() for family in families if family not in FAMILIES)
ALL_FAMILIES = (*FAMILIES, *MORE_FAMILIES)

Check = Callable[[str, str], bool]


def generate(family: str, draw: Draw, difficulty: int) -> Task:
    """Return the family's task for these draws."""
    task: Task = _module("tasks", family).generate(draw, difficulty)
    return task


def checker(family: str) -> Check:
    """Return the independent checker of a family."""
    check: Check = _module("checkers", family).check
    return check


def room_of(family: str) -> str:
    """Return the folder of a family, in `tasks` as in `checkers`."""
    return next(room for room, families in ROOMS.items() if family in families)


@cache
def _module(side: str, family: str) -> ModuleType:
    return import_module(f"synth.{side}.{room_of(family)}.{family}")
