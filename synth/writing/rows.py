"""Rows on their way from a model to a dataset: counted by what became of each, written in parts, exactly so many."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError
from pipeline.core.step import Making

FEWEST_KEPT = 0.02  # share of the last answers that must be kept, or a step stops
LAST, FEWEST_LAST = 1_000, 200  # of which it is told, and from how many on
PART = 5_000  # rows


class Tally:
    """What was asked and kept, and why the rest was not, by style."""

    def __init__(self, *, grouped_by: str) -> None:
        self.asked, self.kept = 0, 0
        self._grouped_by = grouped_by
        self._by_group: dict[str, Counter[str]] = {}
        self._last: list[bool] = []  # whether each of the last answers was kept

    def count(self, group: str, reason: str) -> None:
        """Note one answer; an empty reason says that it is kept."""
        self.asked += 1
        self.kept += not reason
        self._by_group.setdefault(group, Counter())[reason or "kept"] += 1
        self._last = [*self._last[1 - LAST :], not reason]

    def is_worth_it(self) -> bool:
        """Say whether more should be bought: a few hundred answers of which nearly none was kept say no."""
        return len(self._last) < FEWEST_LAST or sum(self._last) >= FEWEST_KEPT * len(self._last)

    def portion(self, wanted: int, *, most: int) -> int:
        """Return how many to ask for at once: first a few hundred, by which it is seen whether more are worth it."""
        return min(wanted, FEWEST_LAST if self.asked < FEWEST_LAST else most)

    def details(self) -> dict[str, Any]:
        """Return the counts as plain JSON, for the card."""
        refused = sum(self._by_group.values(), Counter())
        del refused["kept"]
        return {
            "asked": self.asked, "kept": self.kept, "refused": dict(sorted(refused.items())),
            self._grouped_by: {group: dict(sorted(counts.items())) for group, counts in sorted(self._by_group.items())},
        }  # fmt: skip


class Rows:
    """Collects rows and writes them in parts of PART."""

    def __init__(self, work: Making) -> None:
        self.count = 0
        self._work, self._rows, self._parts = work, list[dict[str, str]](), 0

    def add(self, row: dict[str, str]) -> None:
        self.count += 1
        self._rows.append(row)
        if len(self._rows) == PART:
            self.end()

    def end(self) -> None:
        """Write what is left; a step without any row writes one empty part."""
        if self._rows or not self._parts:
            self._work.write(self._parts, pa.Table.from_pylist(self._rows, schema=SCHEMA))
            self._parts += 1
            self._rows = []


def tell_shortage(work: Making, name: str, *, wanted: int, made: int, worth_it: bool, stop: str = "") -> None:
    """Say in the card and on the screen why fewer rows were made than asked for; DataError where there are none."""
    if made == wanted:
        return
    why = "there are no more documents to write from" if worth_it else "nearly no answer of the last could be kept"
    why = stop or why
    told = f"{name}: made {made:,} of {wanted:,} rows: {why}; the card counts every reason"
    work.details["short"] = why
    if not made:
        counted = {**work.details.get("refused", {}), **work.details.get("passed_over", {})}
        raise DataError(f"{told}. Reasons: {counted}. Look at the documents, the prompts and the model.")
    work.say(told)
