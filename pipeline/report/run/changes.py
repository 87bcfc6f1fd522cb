"""Two runs' records -> what changed: lines of the recipe, documents kept, drops by rule, the verdict.

Only what differs is told. Both sides come from the records, so a result of the earlier run need not be there any more.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.engine.run_record import RunRecord
from pipeline.report.draw import figures
from pipeline.report.run.head import date

MOST_LINES, MOST_RULES = 60, 12  # of the recipe's changes; of the rules whose drops changed most, for each dataset


@dataclass(frozen=True, slots=True)
class Change:
    """One number of both runs."""

    dataset: str
    what: str
    before: int
    after: int

    @property
    def by(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Changes:
    """What one run did otherwise than the one before it."""

    since: str
    lines: tuple[tuple[str, str], ...]  # added | removed | place, and a line of the recipe
    num_lines: int
    datasets: tuple[Change, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    verdicts: tuple[str, str] | None

    @property
    def nothing(self) -> bool:
        return not (self.lines or self.datasets or self.gone or self.new or self.verdicts)


def changes_since(records: Sequence[RunRecord], run: RunRecord | None) -> Changes | None:
    """Return what a run changed beside the one before it; None for the first."""
    earlier = [record for record in records if run is not None and record.number < run.number]
    if run is None or not earlier:
        return None
    before = earlier[-1]
    old, new = ({item["name"]: item for item in record.results} for record in (before, run))
    found = [change for name in new if name in old for change in _of_dataset(name, old[name], new[name])]
    lines = _lines(before.text, run.text)
    verdicts = (_verdict(before.verdict), _verdict(run.verdict))
    return Changes(
        since=date(before.at),
        lines=tuple(lines[:MOST_LINES]),
        num_lines=len(lines),
        datasets=tuple(found),
        gone=tuple(name for name in old if name not in new),
        new=tuple(name for name in new if name not in old),
        verdicts=verdicts if verdicts[0] != verdicts[1] else None,
    )


def _of_dataset(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    told = [Change(name, "documents in", old["rows_in"], new["rows_in"])]
    told.append(Change(name, "documents kept", old["rows_out"], new["rows_out"]))
    told.append(Change(name, "quarantined", *(sum(side["quarantined"].values()) for side in (old, new))))
    reasons = sorted({*old["dropped"], *new["dropped"]})
    rules = [Change(name, rule, old["dropped"].get(rule, 0), new["dropped"].get(rule, 0)) for rule in reasons]
    rules = [rule for rule in rules if rule.by]
    most = sorted(rules, key=lambda rule: (-abs(rule.by), rule.what))[:MOST_RULES]
    return [change for change in told if change.by] + most


def _lines(old: str, new: str) -> list[tuple[str, str]]:
    """Return removed and added lines, each piece behind its place in the new text."""
    kinds = {"+": "added", "-": "removed", "@": "place"}
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0))[2:]
    return [
        (kinds[line[0]], line[1:] if line[0] in "+-" else line.partition("+")[2].partition(" ")[0].partition(",")[0])
        for line in lines
        if line[0] in kinds
    ]


def _verdict(verdict: Mapping[str, Any] | None) -> str:
    if verdict is None:
        return "none"
    gain, low, high = (figures.signed(verdict[key], 4) for key in ("gain", "low", "high"))
    return f"{verdict['outcome']}, gain {gain} ({low} to {high})"
