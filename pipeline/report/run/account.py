"""A plan and its cards -> what every result took: identity, rows, files, seconds, dollars.

The steps of one pass are measured together and each card holds the seconds of the whole pass; they are counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.core.files.card import Card, is_complete, read_card
from pipeline.plan.graph import Plan
from pipeline.plan.groups import groups_of
from pipeline.report.draw import figures
from pipeline.store.node import Node


@dataclass(frozen=True, slots=True)
class Spent:
    """What one result took. `shared` marks the second and later steps of one pass, which report the same seconds."""

    kind: str
    name: str
    used_by: str
    identity: str  # empty where a row is of several results
    rows_in: int
    rows_out: int
    seconds: float
    shared: bool
    cost_usd: float
    version: str
    num_files: int
    size_bytes: int


def cards_of(plan: Plan) -> dict[str, Card]:
    """Return the cards of all complete results of a plan, by identity."""
    return {node.identity: read_card(node.folder) for node in plan.nodes if is_complete(node.folder, node.identity)}


def spent_on(plan: Plan, cards: Mapping[str, Card]) -> list[Spent]:
    """Return every complete result of a plan in its order, with what it took."""
    used: dict[str, list[str]] = {}
    for dataset in plan.datasets.values():
        for step in dataset.steps:
            used.setdefault(step.node.identity, []).append(dataset.spec.name)
    rows: list[Spent] = []
    for node in plan.nodes:
        card = cards.get(node.identity)
        if card is None:
            continue
        last = rows[-1] if rows else None
        shared = last is not None and last.kind == card.kind == "measured" and last.seconds == card.seconds
        rows.append(
            Spent(
                kind=card.kind,
                name=card.name,
                used_by=", ".join(used.get(card.identity, ())),
                identity=card.identity,
                rows_in=card.rows_in,
                rows_out=card.rows_out,
                seconds=card.seconds,
                shared=shared,
                cost_usd=card.cost_usd,
                version=str(card.payload.get("version", figures.NONE)),
                num_files=len(card.files),
                size_bytes=sum(file.size_bytes for file in card.files),
            )
        )
    return rows


def grouped(plan: Plan, rows: Sequence[Spent]) -> list[Spent]:
    """Return the rows with lanes and scores of one mixture as one, added up: there may be hundreds."""
    by_identity = {row.identity: row for row in rows}
    found = []
    for group in groups_of(plan, alike=lambda node: node.kind):
        mine = [by_identity[node.identity] for node in group.nodes if node.identity in by_identity]
        if len(mine) < 2:
            found += mine
            continue
        found.append(
            replace(
                mine[0],
                name=group.name,
                identity="",
                seconds=sum(row.seconds for row in mine),
                **{key: sum(getattr(row, key) for row in mine) for key in ("rows_in", "rows_out", "num_files")},
                size_bytes=sum(row.size_bytes for row in mine),
            )
        )
    return found


def total_seconds(rows: Sequence[Spent]) -> float:
    """Return the seconds of all results, each pass counted once."""
    return sum(row.seconds for row in rows if not row.shared)


def finished(node: Node | None) -> Node | None:
    """Return a node if it is planned and complete."""
    return node if node is not None and is_complete(node.folder, node.identity) else None
