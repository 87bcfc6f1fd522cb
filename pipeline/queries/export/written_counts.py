"""Documents and a training run's tokenizer -> how many tokens each document will be, so that a budget can be met.

The order and the shares of a mixture are counted by the recipe's tokenizer, which its proxies read it with; these
counts only say where a budget in the other tokenizer ends. Like the recipe's own they are kept in the workspace (kind
`counted`): tokenising all documents is as much work as writing them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.core.files.card import Card, is_complete
from pipeline.core.files.parquet.shards import iterate_tables, read_table, write_table
from pipeline.core.files.writing.sums import is_whole
from pipeline.core.identity import identity_of
from pipeline.engine.executors import Executor
from pipeline.engine.progress import Progress
from pipeline.queries.export.counts import NUM_TOKENS, Counted, counts_name, cut_texts
from pipeline.queries.export.vocabulary import Vocabulary, encoder_of
from pipeline.store.node import Node
from pipeline.store.results import close
from pipeline.store.workspace import Workspace

WRITTEN_COUNTS_VERSION = 1  # bump when the same documents would give other counts


@dataclass(frozen=True, slots=True)
class Cut:
    """Where documents end that are longer than one may be, by which tokenizer."""

    longest: int
    tokenizer: Path


@dataclass(frozen=True, slots=True)
class WrittenTask:
    """Count the documents of one file; those with more than `cut.longest` of `counts` are cut first."""

    label: str
    path: Path
    counts: Path
    out: Path
    vocabulary: Vocabulary
    cut: Cut


@dataclass(frozen=True, slots=True)
class Written:
    """The tokens of a dataset's documents, a file for each of its parts."""

    counts: tuple[Path, ...]
    separators: int

    def columns(self) -> Sequence[WrittenColumn]:
        return [WrittenColumn(path, self.separators) for path in self.counts]


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """int64[rows] of one part, on demand: tokens of each document with what separates it from the next."""

    path: Path
    separators: int

    def __call__(self) -> np.ndarray:
        found: np.ndarray = read_table(self.path, columns=[NUM_TOKENS]).column(0).to_numpy() + self.separators
        return found


def count_written_part(task: WrittenTask) -> int:
    """Write `counts-NNNNN.parquet` unless it is there; return how many documents."""
    if not is_whole(task.out):
        long = read_table(task.counts, columns=[NUM_TOKENS]).column(0).to_numpy() > task.cut.longest
        encoder, start, lengths = encoder_of(task.vocabulary), 0, [np.zeros(0, np.int64)]
        for table in iterate_tables(task.path, columns=["text"]):
            rows = np.flatnonzero(long[start : start + table.num_rows])
            table = cut_texts(table, rows, longest=task.cut.longest, tokenizer=task.cut.tokenizer)
            lengths.append(encoder.encode(table.column("text").to_pylist()).lengths)
            start += table.num_rows
        write_table(task.out, pa.table({NUM_TOKENS: pa.array(np.concatenate(lengths))}), unfinished=True)
    return read_table(task.out, columns=[NUM_TOKENS]).num_rows


def count_written(
    workspace: Workspace, documents: Card, found: Counted, vocabulary: Vocabulary, *, tokenizer: Card, model: Path,
    executor: Executor, progress: Progress,
) -> Written:  # fmt: skip
    """Return what a dataset's documents will be in tokens, from the workspace or counted now and kept there."""
    cut = {"tokenizer": tokenizer.identity, "longest": found.longest} if found.cut_documents else None
    payload = {
        "kind": "counted", "version": WRITTEN_COUNTS_VERSION, "dataset": documents.identity,
        "library": f"{vocabulary.library} {vocabulary.library_version}", "tokenizer": vocabulary.blake3, "cut": cut,
    }  # fmt: skip
    identity = identity_of(payload)
    home = workspace.folder("counted", documents.name, identity)
    tasks = [
        WrittenTask(
            label=part.path.name, path=part.path, counts=part.counts, out=home / counts_name(index),
            vocabulary=vocabulary, cut=Cut(found.longest, model),
        )
        for index, part in enumerate(found.parts)
    ]  # fmt: skip
    if not is_complete(home, identity):
        node = Node(
            kind="counted", name=documents.name, identity=identity, payload=payload,
            parents={documents.name: documents.identity}, folder=home, complete=False, reason="new",
        )  # fmt: skip
        started = time.monotonic()
        with workspace.locked():
            home.mkdir(parents=True, exist_ok=True)
            label = f"count tokens of {documents.name} by the given tokenizer"
            progress.begin(label, total=found.rows, unit="documents")
            rows = executor.map(count_written_part, tasks, label=label, done=progress.advance)
            progress.end()
            files = {task.out.name: number for task, number in zip(tasks, rows, strict=True)}
            close(node, files, rows_in=found.rows, rows_out=found.rows, seconds=time.monotonic() - started)
    return Written(tuple(task.out for task in tasks), vocabulary.separators)
