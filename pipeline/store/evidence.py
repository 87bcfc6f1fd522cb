"""A published dataset's card -> its evidence: the documents it started from and every step's stored signals and rules.

Works from files alone, so a dataset can be questioned years later without its recipe or the code that measured it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.arrow import as_flags
from pipeline.core.errors import DataError, RecipeError, did_you_mean
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.names import CARD
from pipeline.core.files.parquet.opened import way_out
from pipeline.core.files.parquet.shards import read_rows, read_table, schema_of
from pipeline.core.files.stores.stored import present
from pipeline.store.dataset.chain import EDITS, BasePart, Chain, ChainReader, Link, part_name
from pipeline.store.dataset.stored_dataset import StoredDataset
from pipeline.store.dataset.verdicts import verdicts_name
from pipeline.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Evidence:
    """One dataset with all that decided it. `chain.links` carry the rules with their resolved thresholds."""

    name: str
    folder: Path
    card: Card
    chain: Chain

    def verdicts(self, part: BasePart, columns: list[str] | None = None) -> pa.Table:
        """Return one row per base document: id, kept, reason, failed, quarantined, num_bytes."""
        return read_table(self.folder / verdicts_name(part.index), columns=columns)

    def verdict_rows(self, part: BasePart, rows: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Return the verdicts on some base documents, in row order."""
        return read_rows(self.folder / verdicts_name(part.index), rows, columns=columns)

    def documents(self, part: BasePart, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return some base documents, ascending: kept ones as published, others as the steps left them.

        TextGoneError if the text of one that was dropped lies in an input that is gone or has changed since.
        """
        kept = as_flags(self.verdicts(part, ["kept"]).column("kept"))
        published = np.cumsum(kept) - 1
        mine = [row for row in rows if kept[row]]
        others = [row for row in rows if not kept[row]]
        found: dict[int, dict[str, Any]] = {}
        if mine:
            table = read_rows(self.folder / part_name(part.index), published[mine].tolist(), columns=columns)
            found |= dict(zip(mine, table.to_pylist(), strict=True))
        if others:
            reader = ChainReader(base=part, links=self.chain.links)
            found |= dict(zip(others, reader.load_rows(columns, others).to_pylist(), strict=True))
        return [found[row] for row in rows]

    def signals(self, link: Link, part: BasePart, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a step's signals, one row per base document; all but the edited text if no columns are named."""
        if columns is None:
            columns = [name for name in self.signals_schema(link, part).names if name not in EDITS]
        return read_table(self._signals_file(link, part), columns=columns)

    def signal_rows(self, link: Link, part: BasePart, rows: Sequence[int]) -> pa.Table:
        """Return a step's signals of some base documents, in row order; all but the edited text."""
        columns = [name for name in self.signals_schema(link, part).names if name not in EDITS]
        return read_rows(self._signals_file(link, part), rows, columns=columns)

    def signals_schema(self, link: Link, part: BasePart) -> pa.Schema:
        """Return the names and types of what a step stored."""
        return schema_of(self._signals_file(link, part))

    def _signals_file(self, link: Link, part: BasePart) -> Path:
        path = present(link.file(part.index))
        if not path.exists():
            remedy = way_out(path) if path.parent.exists() else "Run the recipe again to measure them."
            raise DataError(f"{path}: the signals of {link.label} are gone. {remedy}")
        return path


def evidence_of(workspace: Workspace, name: str) -> Evidence:
    """Return the evidence of the newest dataset with this name."""
    folder, card = workspace.dataset(name)
    if card.kind != "dataset":
        raise RecipeError(
            f"`{name}` is a {card.kind}: nothing was decided about its documents. `look {name}` shows them."
        )
    return evidence_at(workspace, folder)


def evidence_at(workspace: Workspace, folder: Path) -> Evidence:
    """Return the evidence of one complete dataset folder."""
    return _from_card(workspace, folder, read_card(folder))


def all_evidence(workspace: Workspace) -> list[Evidence]:
    """Return what every dataset's name stands for, parents before children; without those not finished."""
    names = sorted({path.parent.name.rpartition("-")[0] for path in (workspace.root / "dataset").glob(f"*/{CARD}")})
    newest = {name: workspace.dataset(name) for name in names if workspace.unfinished(name) is None}
    found = {name: evidence_at(workspace, folder) for name, (folder, card) in newest.items() if card.kind == "dataset"}
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered:
            return
        for parent in found[name].card.parents:
            if parent in found and parent != name:
                visit(parent)
        ordered.append(name)

    for name in found:
        visit(name)
    return [found[name] for name in ordered]


def _from_card(workspace: Workspace, folder: Path, card: Card) -> Evidence:
    stored = StoredDataset.from_card(card)
    links = tuple(
        Link(label=step.label, folder=workspace.root / step.folder, rules=stored.rules_of(step.label), edits=step.edits)
        for step in stored.steps
    )
    base = tuple(
        BasePart(index=index, path=workspace.root / part.file, num_rows=part.rows)
        for index, part in enumerate(stored.base)
    )
    return Evidence(name=card.name, folder=folder, card=card, chain=Chain(base=base, links=links))


def find_rule(evidence: Evidence, wanted: str) -> str:
    """Return the full `step.rule` that a user's word means; RecipeError names the nearest."""
    names = [f"{link.label}.{rule.name}" for link in evidence.chain.links for rule in link.rules]
    exact = [name for name in names if wanted in (name, name.partition(".")[2])]
    if exact:
        return exact[0]
    steps = [link.label for link in evidence.chain.links]
    if wanted in steps:
        return wanted
    if not names:
        raise RecipeError(f"--rule {wanted}: no step of `{evidence.name}` has a rule. Leave out --rule.")
    raise RecipeError(f"--rule {wanted}: `{evidence.name}` has no such rule.{did_you_mean(wanted, names)}")


def plain(value: Any) -> Any:
    """Return a stored value as JSON would hold it: NaN as None."""
    return None if isinstance(value, float) and value != value else value
