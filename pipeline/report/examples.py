"""A rule's verdicts -> a few documents that it dropped beside a few that passed it, the deciding value with each.

One of each side is the document nearest to the threshold, where a rule is right or wrong; the others are drawn at
random, because the nearest say nothing about the many. A duplicate stands beside the twin that was kept for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.chain import ChainReader, Link
from pipeline.core.rng import generator
from pipeline.core.step import Rule
from pipeline.decide import passes
from pipeline.report import figures
from pipeline.report.steps import DatasetShown, Signals

EXCERPT, EXCERPT_LINES = 400, 16  # characters and lines
DUPLICATE_OF = "duplicate_of"  # signal of a deduplication: id of the twin that was kept


@dataclass(frozen=True, slots=True)
class Example:
    """One document as the report quotes it."""

    doc_id: str
    source: str
    text: str
    note: str  # the deciding value, or why this document stands here
    signals: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RuleExamples:
    """Both sides of one rule."""

    rule: str
    condition: str
    num_dropped: int
    dropped: tuple[Example, ...]
    kept: tuple[Example, ...]
    twins: bool  # each kept document is the twin of the dropped one in the same place


@dataclass(frozen=True, slots=True)
class _Chosen:
    row: int
    note: str


class Examples:
    """Chooses and quotes documents of one dataset; every part's text is read at most once."""

    def __init__(self, shown: DatasetShown, signals: Signals, *, per_side: int) -> None:
        self.shown, self.signals, self.per_side = shown, signals, per_side
        self._tables: dict[tuple[int, int], Any] = {}  # (part, edits applied) -> documents
        self._rows = {str(doc): row for row, doc in enumerate(shown.verdicts["id"].to_list())} if per_side else {}

    def of_step(self, label: str) -> tuple[RuleExamples, ...]:
        """Return examples of every rule of a step that dropped something, the one that dropped most first."""
        link = next(link for link in self.shown.evidence.chain.links if link.label == label)
        counts = {rule.name: self.shown.reasons.get(f"{label}.{rule.name}", 0) for rule in link.rules}
        chosen = sorted((rule for rule in link.rules if counts[rule.name]), key=lambda rule: -counts[rule.name])
        return tuple(self._of_rule(link, rule, counts[rule.name]) for rule in chosen) if self.per_side else ()

    def _of_rule(self, link: Link, rule: Rule, num_dropped: int) -> RuleExamples:
        values = self.signals.numbers(link, rule.signal)
        reason = self.shown.verdicts["reason"]
        lost = np.flatnonzero((reason == f"{link.label}.{rule.name}").fill_null(False).to_numpy())
        words = self.signals.strings(link)
        condition = f"{rule.signal} {rule.op} {figures.number(rule.threshold)}"
        dropped = self._choose(lost, values, rule, place=f"{link.label}.{rule.name}.dropped")
        if DUPLICATE_OF in words:
            pairs = [(item, self._rows.get(str(words[DUPLICATE_OF][item.row]))) for item in dropped]
            pairs = [(item, twin) for item, twin in pairs if twin is not None]
            kept = [_Chosen(row=twin, note="kept in its place") for _, twin in pairs if twin is not None]
            dropped = [item for item, _ in pairs]
        else:
            stayed = np.flatnonzero(self.shown.verdicts["kept"].to_numpy() & passes(rule, values) & ~np.isnan(values))
            kept = self._choose(stayed, values, rule, place=f"{link.label}.{rule.name}.kept")
        return RuleExamples(
            rule=rule.name,
            condition=condition,
            num_dropped=num_dropped,
            dropped=tuple(self._quote(item, words, seen_by=link) for item in dropped),
            kept=tuple(self._quote(item, words, seen_by=link) for item in kept),
            twins=DUPLICATE_OF in words,
        )

    def _choose(self, rows: np.ndarray, values: np.ndarray, rule: Rule, *, place: str) -> list[_Chosen]:
        """Return the row nearest to the threshold, where the values differ, and others at random, in row order."""
        if not len(rows):
            return []
        nearest: list[int] = []
        if len(np.unique(values[rows])) > 2:
            nearest = [int(rows[int(np.abs(values[rows] - rule.threshold).argmin())])]
        rest = rows[~np.isin(rows, nearest)]
        size = min(self.per_side - len(nearest), len(rest))
        drawn = sorted(
            int(row) for row in generator(0, "report", self.shown.name, place).choice(rest, size=size, replace=False)
        )
        notes = {row: ", nearest to the threshold" for row in nearest}
        return [
            _Chosen(
                row=row, note=f"{rule.signal} {figures.beside(float(values[row]), rule.threshold)}{notes.get(row, '')}"
            )
            for row in [*nearest, *drawn]
        ]

    def _quote(self, item: _Chosen, words: Mapping[str, list[Any]], *, seen_by: Link) -> Example:
        document = self.document(item.row, seen_by=seen_by)
        known = tuple(
            (name, figures.excerpt(str(values[item.row]), 120)) for name, values in words.items() if values[item.row]
        )
        return Example(
            doc_id=figures.excerpt(document["id"], 160),
            source=document["source"],
            text=figures.excerpt(document["text"], EXCERPT, lines=EXCERPT_LINES),
            note=item.note,
            signals=known,
        )

    def named(self, doc_id: str, *, seen_by: Link) -> Example | None:
        """Return the document with this id as an example, or None if the dataset never saw it."""
        row = self._rows.get(doc_id)
        return self._quote(_Chosen(row=row, note=""), {}, seen_by=seen_by) if row is not None else None

    def document(self, row: int, *, seen_by: Link) -> dict[str, Any]:
        """Return id, text and source of base row `row` as the step `seen_by` read it: earlier edits applied."""
        part, inside = self.shown.verdicts["part"][row], int(self.shown.verdicts["row"][row])
        chain = self.shown.evidence.chain
        earlier = chain.links[: chain.links.index(seen_by)]
        key = (part, sum(link.edits for link in earlier))
        if key not in self._tables:
            base = next(base for base in chain.base if base.index == part)
            self._tables[key] = ChainReader(base=base, links=earlier).load_all(("id", "text", "source"))
        found: dict[str, Any] = self._tables[key].slice(inside, 1).to_pylist()[0]
        return found


def quarantine_reasons(shown: DatasetShown, most: int = 5) -> list[tuple[str, int]]:
    """Return what broke steps, most frequent first."""
    counts: dict[str, int] = {}
    for link in shown.evidence.chain.links:
        for part in shown.evidence.chain.base:
            errors = pl.DataFrame(shown.evidence.signals(link, part).select(["error"]))["error"].drop_nulls()
            for error in errors.to_list():
                text = f"{link.label}: {figures.excerpt(str(error), 140)}"
                counts[text] = counts.get(text, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
