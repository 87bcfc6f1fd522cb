"""Stored documents, signals and verdicts as the tables that notebooks work with: Arrow, polars, Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.core import document
from pipeline.core.errors import DataError, RecipeError, did_you_mean
from pipeline.core.files.card import Card
from pipeline.core.files.parquet.shards import iterate_tables, read_table
from pipeline.core.step import ENGINE_COLUMNS
from pipeline.experiment.streams.opened import refuse_sealed
from pipeline.queries.documents import refuse_closed, story_of
from pipeline.store.dataset.chain import BasePart
from pipeline.store.evidence import Evidence, evidence_at
from pipeline.store.results import document_paths
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    import datasets
    import polars as pl


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset, made documents or a source of a workspace: its documents, and what decided about each.

    `to_arrow`, `to_polars` and `to_hf` read every document into memory; `batches` reads a few megabytes at a time. All
    of them raise DataError for a set that a gate seals a part of.
    """

    workspace: Workspace
    folder: Path
    card: Card  # counts, losses by rule, identity, parents, seconds and dollars

    @property
    def name(self) -> str:
        return self.card.name

    def __len__(self) -> int:
        return self.card.rows_out

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the documents in order, a few megabytes at a time: id, text, source, origin, lineage, metadata."""
        refuse_sealed(self.workspace, self.folder.name)
        wanted = _wanted(columns, document.SCHEMA.names, kind="column")
        for path in document_paths(self.folder):
            yield from iterate_tables(path, columns=wanted)

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all documents, or some of their columns, as an Arrow table."""
        refuse_sealed(self.workspace, self.folder.name)
        wanted = _wanted(columns, document.SCHEMA.names, kind="column")
        tables = [read_table(path, columns=wanted) for path in document_paths(self.folder)]
        return pa.concat_tables(tables) if tables else document.SCHEMA.empty_table().select(wanted)

    def to_polars(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return all documents, or some of their columns, as a polars DataFrame."""
        return _frame(self.to_arrow(columns))

    def to_hf(self, columns: Sequence[str] | None = None) -> datasets.Dataset:
        """Return all documents, or some of their columns, as a `datasets.Dataset`."""
        return _hf(self.to_arrow(columns))

    def signals(self, *names: str) -> pl.DataFrame:
        """Return a row for each document that reached the dataset, kept or not: `id` and signals as `step.signal`.

        Without names, all of them. A gathering step's are null for documents that were dropped before it.
        """
        evidence = self._evidence()
        tables = [_signals(evidence, part, names) for part in evidence.chain.base]
        return _frame(pa.concat_tables(tables)) if tables else _frame(pa.table({"id": pa.array([], pa.string())}))

    def verdicts(self) -> pl.DataFrame:
        """Return a row for each document that reached the dataset, in the order of `signals`.

        `kept`, the first `reason` as `step.rule`, all `failed` rules, the step that it broke (`quarantined`), and
        `num_bytes` of its text.
        """
        evidence = self._evidence()
        tables = [evidence.verdicts(part) for part in evidence.chain.base]
        return _frame(pa.concat_tables(tables)) if tables else _frame(pa.table({"id": pa.array([], pa.string())}))

    def why(self, doc_id: str) -> dict[str, Any]:
        """Return what every step measured of one document and decided about it, as `tamis why --json` tells it."""
        refuse_closed(self.workspace, self.folder, doc_id)
        story = story_of(self._evidence(), doc_id)
        if story is None:
            raise DataError(f"{doc_id}: did not reach {self.folder.name}. `signals()` has the ids that did.")
        return story

    def _evidence(self) -> Evidence:
        if self.card.kind != "dataset":
            raise RecipeError(f"`{self.name}` is a {self.card.kind}: nothing was decided about its documents.")
        return evidence_at(self.workspace, self.folder)


@dataclass(frozen=True, slots=True)
class MeasuredFiles:
    """What `measure` found: a row for each document with its signals, verdict and first reason, and counts."""

    table: pa.Table  # id, kept, reason, error, every `step.signal`, and the text where it was asked for
    rows_in: int
    kept: int
    dropped: Mapping[str, int]  # first reason -> documents
    quarantined: Mapping[str, int]  # reason -> rows that are no documents
    left_out: tuple[str, ...]  # steps of a preset that need a whole dataset

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars DataFrame."""
        return _frame(self.table)

    def to_hf(self) -> datasets.Dataset:
        """Return the rows as a `datasets.Dataset`."""
        return _hf(self.table)


def open_stored(workspace: Workspace, name: str) -> Dataset:
    """Return the dataset called `name` that a run built or reused last, or the folder `name-<hash>`."""
    folder, card = workspace.dataset(name)
    return Dataset(workspace=workspace, folder=folder, card=card)


def _wanted(columns: Sequence[str] | None, known: Sequence[str], *, kind: str) -> list[str]:
    chosen = list(known if columns is None else columns)
    for name in chosen:
        if name not in known:
            raise RecipeError(f"unknown {kind} `{name}`.{did_you_mean(name, known)}")
    return chosen


def _signals(evidence: Evidence, part: BasePart, names: Sequence[str]) -> pa.Table:
    stored = {
        f"{link.label}.{signal}": (link, signal)
        for link in evidence.chain.links
        for signal in evidence.signals_schema(link, part).names
        if signal not in ENGINE_COLUMNS
    }
    columns = {"id": evidence.verdicts(part, ["id"]).column("id")}
    wanted = _wanted(names or None, list(stored), kind="signal")
    for link in evidence.chain.links:
        mine = [signal for owner, signal in (stored[name] for name in wanted) if owner is link]
        table = evidence.signals(link, part, mine) if mine else None
        columns |= {f"{link.label}.{signal}": table.column(signal) for signal in mine if table is not None}
    return pa.table({name: columns[name] for name in ("id", *wanted)})


def _frame(table: pa.Table) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(table)


def _hf(table: pa.Table) -> datasets.Dataset:
    from datasets import Dataset as HubDataset

    return HubDataset(table)
