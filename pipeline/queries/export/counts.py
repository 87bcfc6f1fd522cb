"""Documents files -> what an export must know of every document before it writes one: tokens, bytes, kinds of metadata.

One pass over all documents of a dataset, a file each worker, a few row groups in memory. Tokens are counted by the
frozen tokenizer of the recipe, with one BOS a document as the mixture counts them; an empty document has none and is
no part of a mixture. Tokenizing is most of an export's work, so a mixture's counts are kept in the workspace as a
result of their own (kind `counted`), and the next export of a mixture with that dataset and tokenizer reads them.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.document import SCHEMA
from pipeline.core.files.card import Card, is_complete, read_card
from pipeline.core.files.parquet.shards import iterate_tables, read_table, write_table
from pipeline.core.files.writing.durable import write_text
from pipeline.core.files.writing.sums import are_whole
from pipeline.core.identity import identity_of
from pipeline.engine.executors import Executor
from pipeline.engine.progress import Progress
from pipeline.queries.export.columns import Kinds, joined, kinds_in
from pipeline.store.node import Node
from pipeline.store.results import close, document_paths
from pipeline.store.workspace import Workspace

COUNTS_VERSION = 1  # bump when the same documents would give other counts
NUM_TOKENS, SIZE_BYTES = "num_tokens", "size_bytes"


@dataclass(frozen=True, slots=True)
class Part:
    """One documents file and the counts of its documents."""

    path: Path
    rows: int
    counts: Path

    def num_tokens(self) -> np.ndarray:
        """int64[rows]: with BOS, 0 for an empty document."""
        return self._column(NUM_TOKENS)

    def size_bytes(self) -> np.ndarray:
        """int64[rows]: of what a row holds of text."""
        return self._column(SIZE_BYTES)

    def _column(self, name: str) -> np.ndarray:
        found: np.ndarray = read_table(self.counts, columns=[name]).column(name).to_numpy()
        return found


@dataclass(frozen=True, slots=True)
class Counted:
    """A dataset whose documents are counted."""

    name: str
    parts: tuple[Part, ...]
    kinds: Kinds
    num_tokens: int = 0  # of all documents, BOS included; 0 where no tokenizer counted
    longest: int = 2**62  # tokens that a document gives at most; the rest of it is cut
    cut_documents: int = 0

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True, slots=True)
class CountTask:
    """Count the documents of one file."""

    label: str
    path: Path
    folder: Path
    index: int
    tokenizer: Path | None


def count_part(task: CountTask) -> int:
    """Write `kinds-NNNNN.json` and `counts-NNNNN.parquet`, unless they are there; return how many documents."""
    counts, noted = task.folder / counts_name(task.index), task.folder / _kinds_name(task.index)
    if not are_whole(counts, noted):
        tokens, sizes, kinds = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], list[Kinds]()
        for table in iterate_tables(task.path, columns=["id", "text", "lineage", "metadata"]):
            sizes.append(sum(pc.binary_length(column).to_numpy().astype(np.int64) for column in table.columns))
            kinds.append(kinds_in(table.column("metadata").to_pylist()))
            if task.tokenizer is not None:
                ends = tokenizer_at(task.tokenizer).encode(table.column("text").to_pylist()).offsets
                lengths = np.diff(ends)
                tokens.append(np.where(lengths > 0, lengths + 1, 0))
        columns = {SIZE_BYTES: pa.array(np.concatenate(sizes))}
        if task.tokenizer is not None:
            columns[NUM_TOKENS] = pa.array(np.concatenate(tokens))
        write_text(noted, json.dumps(joined(kinds), sort_keys=True) + "\n", unfinished=True)
        write_table(counts, pa.table(columns), unfinished=True)
    return read_table(counts, columns=[SIZE_BYTES]).num_rows


@lru_cache(maxsize=1)
def tokenizer_at(path: Path) -> Any:
    """Return a tokenizer, read once per process."""
    from eval.proxies.tokenizer import Tokenizer

    return Tokenizer.load(path)


def cut_texts(table: pa.Table, rows: np.ndarray, *, longest: int, tokenizer: Path) -> pa.Table:
    """Return a table in which some texts end with the last token that a document may give, its BOS counted."""
    if not len(rows):
        return table
    by = tokenizer_at(tokenizer)
    texts = table.column("text").to_pylist()
    for row in rows.tolist():
        tokens = by.encode([texts[row]]).flat[: longest - 1]
        size = int(by.num_bytes[tokens].sum())
        texts[row] = texts[row].encode()[:size].decode(errors="ignore")  # a token may end within a character
    return table.set_column(table.column_names.index("text"), SCHEMA.field("text"), pa.array(texts, pa.large_string()))


def counts_name(index: int) -> str:
    """Return the file name of the counts of documents file `index`."""
    return f"counts-{index:05d}.parquet"


def _kinds_name(index: int) -> str:
    return f"kinds-{index:05d}.json"


def count_dataset(
    name: str, documents: Path, *, folder: Path, tokenizer: Path | None, executor: Executor, progress: Progress
) -> Counted:
    """Count the documents of a complete dataset folder into `folder`; what is counted there already is kept."""
    card = read_card(documents)
    paths = document_paths(documents)
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        CountTask(label=path.name, path=path, folder=folder, index=index, tokenizer=tokenizer)
        for index, path in enumerate(paths)
    ]
    label = f"count {'tokens' if tokenizer is not None else 'documents'} of {name}"
    progress.begin(label, total=card.rows_out, unit="documents")
    executor.map(count_part, tasks, label=label, done=progress.advance)
    progress.end()
    return counted_in(name, documents, folder=folder, tokenized=tokenizer is not None)


def counted_in(name: str, documents: Path, *, folder: Path, tokenized: bool) -> Counted:
    """Return what was counted into a folder."""
    rows = {file.file: file.rows for file in read_card(documents).files}
    parts = tuple(
        Part(path=path, rows=rows[path.name], counts=folder / counts_name(index))
        for index, path in enumerate(document_paths(documents))
    )
    kinds = [json.loads((folder / _kinds_name(index)).read_bytes()) for index in range(len(parts))]
    tokens = sum(int(part.num_tokens().sum()) for part in parts) if tokenized else 0
    return Counted(name=name, parts=parts, kinds=joined(kinds), num_tokens=tokens)


def counted_of(
    workspace: Workspace, documents: Card, *, folder: Path, tokenizer: Card, model: Path, executor: Executor,
    progress: Progress,
) -> Counted:  # fmt: skip
    """Return a dataset's counts by a tokenizer, from the workspace or counted now and kept there."""
    payload = {
        "kind": "counted", "version": COUNTS_VERSION, "dataset": documents.identity, "tokenizer": tokenizer.identity
    }  # fmt: skip
    parents = {documents.name: documents.identity, "tokenizer": tokenizer.identity}
    identity = identity_of(payload)
    home = workspace.folder("counted", documents.name, identity)
    if not is_complete(home, identity):
        node = Node(
            kind="counted", name=documents.name, identity=identity, payload=payload, parents=parents, folder=home,
            complete=False, reason="new",
        )  # fmt: skip
        started = time.monotonic()
        with workspace.locked():
            found = count_dataset(
                documents.name, folder, folder=home, tokenizer=model, executor=executor, progress=progress
            )
            close(node, _files(found), rows_in=found.rows, rows_out=found.rows,
                  details={"num_tokens": found.num_tokens}, seconds=time.monotonic() - started)  # fmt: skip
    return counted_in(documents.name, folder, folder=home, tokenized=True)


def cut_at(found: Counted, *, longest: int) -> Counted:
    """Return a dataset of which no document gives more tokens than one gave to the proxies that judged the mixture."""
    cut = [tokens[tokens > longest] for tokens in (part.num_tokens() for part in found.parts)]
    lost = sum(int(tokens.sum()) - longest * len(tokens) for tokens in cut)
    number = sum(len(tokens) for tokens in cut)
    return replace(found, num_tokens=found.num_tokens - lost, longest=longest, cut_documents=number)


def _files(found: Counted) -> dict[str, int]:
    files = {part.counts.name: part.rows for part in found.parts}
    return files | {_kinds_name(index): -1 for index in range(len(found.parts))}
