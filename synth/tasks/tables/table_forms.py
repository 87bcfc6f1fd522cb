"""What the tables are about, and four ways to write one: Markdown, CSV, aligned columns, a list of records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from synth.tasks.words import NAMES, TOWNS, WORDS, capital


@dataclass(frozen=True, slots=True)
class Theme:
    """A kind of table: what a row stands for, and the columns it may have."""

    about: str  # what a row is, singular
    rows: str  # plural
    names: tuple[str, ...]
    columns: tuple[tuple[str, int, int], ...]  # heading, lowest, highest value
    intros: tuple[str, ...]


THEMES = (
    Theme(
        "town",
        "towns",
        tuple(TOWNS),
        (("Population", 800, 98000), ("Area (km2)", 4, 240), ("Schools", 1, 40), ("Parks", 0, 25)),
        (
            "The table describes several towns.",
            "A regional almanac prints this table.",
            "These towns lie along the same river.",
        ),
    ),
    Theme(
        "pupil",
        "pupils",
        NAMES,
        (("Mathematics", 30, 100), ("History", 30, 100), ("Biology", 30, 100), ("Absences", 0, 14)),
        (
            "The marks of one term are shown below.",
            "A teacher keeps this record.",
            "Here are the marks of some pupils.",
        ),
    ),
    Theme(
        "product",
        "products",
        tuple(capital(w) for w in WORDS),
        (("Price", 2, 180), ("Stock", 0, 400), ("Sold", 0, 250), ("Weight (g)", 20, 4000)),
        (
            "A shop keeps its stock in this table.",
            "The warehouse report lists these products.",
            "Below is an extract from a price list.",
        ),
    ),
    Theme(
        "runner",
        "runners",
        NAMES,
        (("Age", 16, 71), ("Minutes", 38, 140), ("Races", 1, 30), ("Points", 0, 300)),
        (
            "These are the results of a road race.",
            "The running club publishes a table.",
            "The results board shows the following.",
        ),
    ),
    Theme(
        "book",
        "books",
        tuple(f"The {capital(w)}" for w in WORDS),
        (("Pages", 80, 900), ("Year", 1950, 2024), ("Copies", 1, 30), ("Loans", 0, 400)),
        (
            "A small library lists some of its books.",
            "The catalogue contains these books.",
            "A librarian has drawn up this table.",
        ),
    ),
    Theme(
        "employee",
        "employees",
        NAMES,
        (("Hours", 8, 48), ("Wage", 12, 60), ("Projects", 0, 9), ("Years", 0, 35)),
        (
            "The payroll office works with this table.",
            "A company has the following employees.",
            "Here is an extract from a staff list.",
        ),
    ),
    Theme(
        "farm",
        "farms",
        tuple(f"{t} Farm" for t in TOWNS),
        (("Cows", 0, 120), ("Sheep", 0, 400), ("Hectares", 5, 300), ("Workers", 1, 30)),
        (
            "A census of farms gives these numbers.",
            "The table compares some farms.",
            "Each row of the table is a farm.",
        ),
    ),
    Theme(
        "bus line",
        "bus lines",
        tuple(f"Line {n}" for n in range(1, 60)),
        (("Stops", 6, 48), ("Minutes", 12, 95), ("Passengers", 40, 9000), ("Buses", 1, 22)),
        (
            "A transport authority publishes these figures.",
            "The timetable office compares its bus lines.",
            "The table is about bus lines.",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its theme, its headings, and a name and numbers for each row."""

    theme: Theme
    heads: list[str]
    rows: list[tuple[str, list[int]]]

    def column(self, head: str) -> list[tuple[str, int]]:
        """Return the name and the value of every row under one heading."""
        at = self.heads.index(head)
        return [(name, values[at]) for name, values in self.rows]


# Ways to write a table ---------------------------------------------------------------------------------------------


def _cells(table: Table) -> list[list[str]]:
    return [[capital(table.theme.about), *table.heads], *([name, *map(str, values)] for name, values in table.rows)]


def _markdown(table: Table) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in _cells(table)]
    return "\n".join([lines[0], "|" + " --- |" * (len(table.heads) + 1), *lines[1:]])


def _csv(table: Table) -> str:
    return "\n".join(",".join(row) for row in _cells(table))


def _aligned(table: Table) -> str:
    rows = _cells(table)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def _records(table: Table) -> str:
    return "\n".join(
        f"- {name}: " + ", ".join(f"{head} {value}" for head, value in zip(table.heads, values, strict=True))
        for name, values in table.rows
    )


FORMS: tuple[tuple[str, Callable[[Table], str]], ...] = (
    ("markdown", _markdown),
    ("markdown", _markdown),
    ("csv", _csv),
    ("aligned", _aligned),
    ("records", _records),
)
