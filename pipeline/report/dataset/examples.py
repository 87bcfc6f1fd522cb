"""A rule's verdicts -> a few documents that it dropped beside a few that passed it, the deciding value with each.

One of each side is the document nearest to the threshold, where a rule is right or wrong; the others are drawn at
random, because the nearest say nothing about the many. A duplicate stands beside the document kept instead. All
documents are chosen before any is read, and each part's text is read once: memory is that of one part.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.arrow import as_flags
from pipeline.core.files.parquet.shards import read_rows
from pipeline.core.step import Rule
from pipeline.experiment.streams.opened import OPEN, Closed
from pipeline.report.dataset.chosen import DUPLICATE_OF, Place, Quoted, Side
from pipeline.report.dataset.signals import Signals
from pipeline.report.dataset.steps import DatasetShown
from pipeline.report.draw import figures
from pipeline.store.dataset.chain import ERROR, BasePart, ChainReader, Link, check_ids, edit_in, edited_text
from pipeline.store.evidence import Evidence

EXCERPT, EXCERPT_LINES = 400, 16  # characters and lines


@dataclass(frozen=True, slots=True)
class Example:
    """One document as the report quotes it."""

    doc_id: str
    source: str
    text: str
    note: str  # the deciding value, or why this document stands here
    signals: tuple[tuple[str, str], ...] = ()


SEALED = "(sealed for a gate's verdict)"


@dataclass(frozen=True, slots=True)
class RuleExamples:
    """Both sides of one rule."""

    rule: str
    condition: str
    num_dropped: int
    dropped: tuple[Example, ...]
    kept: tuple[Example, ...]
    paired: bool  # each kept document was kept instead of the dropped one in the same place


class Examples:
    """Chooses and quotes documents of one dataset. `named` are ids to quote besides, by the step that reads them, and
    `members` places."""

    def __init__(
        self, shown: DatasetShown, signals: Signals, *, per_side: int, named: Mapping[str, Sequence[str]],
        members: Mapping[str, Sequence[Quoted]], closed: Closed = OPEN,
    ) -> None:  # fmt: skip
        self.shown, self.signals, self.per_side, self.closed = shown, signals, per_side, closed
        links = shown.evidence.chain.links if per_side else ()
        self._links = {link.label: link for link in links}
        self._chosen = {side: list(chosen) for side, chosen in shown.chosen.items()}
        dropped = {
            (side.link.label, item.place) for side, chosen in self._chosen.items() if side.dropped for item in chosen
        }
        self._words = self._read_words(dropped)
        ids = {words[DUPLICATE_OF] for words in self._words.values() if DUPLICATE_OF in words}
        self._places = self._find(ids | {doc_id for label in self._links for doc_id in named.get(label, ())})
        self._add_kept_instead()
        quoted = {(side.link.label, item.place) for side, chosen in self._chosen.items() for item in chosen}
        self._words |= self._read_words(quoted - dropped)
        asked = {
            (label, self._places[doc_id])
            for label in self._links
            for doc_id in named.get(label, ())
            if doc_id in self._places
        }
        asked |= {(label, item.place) for label in self._links for item in members.get(label, ())}
        self._documents = self._read_documents(quoted | asked)

    def _count(self, link: Link, rule: Rule) -> int:
        return self.shown.reasons.get(f"{link.label}.{rule.name}", 0)

    def _add_kept_instead(self) -> None:
        """Put what was kept opposite each dropped duplicate; where that is not to be found, neither is quoted."""
        for side in [side for side in self._chosen if DUPLICATE_OF in self.signals.texts(side.link)]:
            instead = [
                self._places.get(self._words[side.link.label, item.place].get(DUPLICATE_OF, ""))
                for item in self._chosen[side]
            ]
            pairs = [(item, kept) for item, kept in zip(self._chosen[side], instead, strict=True) if kept is not None]
            self._chosen[side] = [item for item, _ in pairs]
            self._chosen[replace(side, dropped=False)] = [Quoted(kept, "kept in its place") for _, kept in pairs]

    def of_step(self, label: str) -> tuple[RuleExamples, ...]:
        """Return examples of every rule of a step that dropped something, the one that dropped most first."""
        link = self._links.get(label)
        if link is None:
            return ()
        rules = sorted((rule for rule in link.rules if self._count(link, rule)), key=lambda r: -self._count(link, r))
        return tuple(self._of_rule(link, rule) for rule in rules)

    def _of_rule(self, link: Link, rule: Rule) -> RuleExamples:
        dropped, kept = (
            tuple(self._quote(item, link) for item in self._chosen[Side(link, rule, side)]) for side in (True, False)
        )
        return RuleExamples(
            rule=rule.name,
            condition=f"{rule.signal} {figures.sign(rule.op)} {figures.number(rule.threshold)}",
            num_dropped=self._count(link, rule),
            dropped=dropped,
            kept=kept,
            paired=DUPLICATE_OF in self.signals.texts(link),
        )

    def _quote(self, item: Quoted, link: Link) -> Example:
        words = self._words[link.label, item.place]
        known = tuple((name, figures.excerpt(text, 120)) for name, text in words.items())
        return replace(self._documents[link.label, item.place], note=item.note, signals=known)

    def named(self, doc_id: str, *, label: str) -> Example | None:
        """Return a document that was named, as the step `label` read it, or None if the dataset never saw it."""
        place = self._places.get(doc_id)
        return self._documents[label, place] if place is not None else None

    def placed(self, members: Sequence[Quoted], *, label: str) -> tuple[Example, ...]:
        """Return documents that were placed, as the step `label` read them."""
        return tuple(replace(self._documents[label, item.place], note=item.note) for item in members)

    def _find(self, ids: set[str]) -> dict[str, Place]:
        """Return where the documents with these ids lie."""
        wanted, found = pa.array(sorted(ids), pa.string()), dict[str, Place]()
        for part in self.shown.evidence.chain.base if ids else ():
            column = self.shown.evidence.verdicts(part, ["id"]).column("id")
            rows = np.flatnonzero(as_flags(pc.is_in(column, value_set=wanted)))
            found |= {column[int(row)].as_py(): Place(part.index, int(row)) for row in rows}
        return found

    def _read_words(self, wanted: set[tuple[str, Place]]) -> dict[tuple[str, Place], dict[str, str]]:
        """Return the signals that are text and not empty, by step and place."""
        found: dict[tuple[str, Place], dict[str, str]] = {}
        for label, part, rows in _by_part(wanted, self.shown.evidence.chain.base):
            link = self._links[label]
            names = self.signals.texts(link)
            table = self.shown.evidence.signals(link, part, names) if names else None
            taken = table.take(pa.array(rows)).to_pylist() if table is not None else [{}] * len(rows)
            for row, values in zip(rows, taken, strict=True):
                found[label, Place(part.index, row)] = {name: str(text) for name, text in values.items() if text}
        return found

    def _read_documents(self, wanted: set[tuple[str, Place]]) -> dict[tuple[str, Place], Example]:
        """Return documents as the steps read them, earlier edits applied; each part is read once for all steps."""
        rows: dict[int, dict[str, list[int]]] = {}
        for label, place in sorted(wanted):
            rows.setdefault(place.part, {}).setdefault(label, []).append(place.row)
        evidence, found = self.shown.evidence, dict[tuple[str, Place], Example]()
        jobs = [(evidence, part, rows[part.index], self.closed) for part in evidence.chain.base if part.index in rows]
        for part in self.signals.map(_read_part, jobs):
            found |= part
        return found


def _read_part(
    job: tuple[Evidence, BasePart, Mapping[str, Sequence[int]], Closed],
) -> dict[tuple[str, Place], Example]:
    """Return documents of one part, without the text of closed ones; `wanted` are rows by the step that reads them."""
    evidence, part, wanted, closed = job
    links = evidence.chain.links
    rows = sorted({row for asked in wanted.values() for row in asked})
    table = ChainReader(base=part, links=()).load_rows(("id", "text", "source"), rows)
    quoted: dict[int, Example] = {}  # as they stand between two edits
    found: dict[tuple[str, Place], Example] = {}
    for number, link in enumerate(links):
        for row in wanted.get(link.label, ()):
            if row not in quoted:
                quoted[row] = _example(table, bisect_left(rows, row), closed)
            found[link.label, Place(part.index, row)] = quoted[row]
        later = {row for other in links[number + 1 :] for row in wanted.get(other.label, ())}
        if link.edits and later:
            table = table.filter(pa.array([row in later for row in rows]))
            rows, quoted = sorted(later), {}
            table = _edited(table, link, part, rows, ids=evidence.verdicts(part, ["id"]).column("id"))
    return found


def _edited(table: pa.Table, link: Link, part: BasePart, rows: Sequence[int], *, ids: pa.ChunkedArray) -> pa.Table:
    """Return the same documents as an editing step left them."""
    check_ids(link.file(part.index), ids)
    edits = read_rows(link.file(part.index), rows, columns=[edit_in(link, part)])[0]
    return table.set_column(table.schema.get_field_index("text"), "text", edited_text(table.column("text"), edits))


def _example(table: pa.Table, at: int, closed: Closed) -> Example:
    doc_id, text, source = (table.column(name)[at].as_py() for name in ("id", "text", "source"))
    if doc_id in closed.ids:
        text = SEALED
    return Example(
        doc_id=figures.excerpt(doc_id, 160),
        source=source,
        text=figures.excerpt(text, EXCERPT, lines=EXCERPT_LINES),
        note="",
    )


def _by_part(wanted: set[tuple[str, Place]], base: Sequence[BasePart]) -> Iterator[tuple[str, BasePart, list[int]]]:
    """Yield each step and part with the rows wanted of it, ascending."""
    rows: dict[tuple[int, str], list[int]] = {}
    for label, place in sorted(wanted):
        rows.setdefault((place.part, label), []).append(place.row)
    parts = {part.index: part for part in base}
    for (part, label), found in sorted(rows.items()):
        yield label, parts[part], found


def quarantine_reasons(shown: DatasetShown, most: int = 5) -> list[tuple[str, int]]:
    """Return what broke steps, most frequent first."""
    counts: dict[str, int] = {}
    for link in shown.evidence.chain.links:
        for part in shown.evidence.chain.base:
            errors = shown.evidence.signals(link, part, [ERROR]).column(ERROR).drop_null()
            for error in errors.to_pylist():
                text = f"{link.label}: {figures.excerpt(str(error), 140)}"
                counts[text] = counts.get(text, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
