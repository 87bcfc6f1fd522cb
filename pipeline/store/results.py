"""Finished folders: which files hold documents, and the card that closes a node."""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.core.errors import DataError
from pipeline.core.files.card import Card, StoredFile, content_of, describe_files, read_card, write_card
from pipeline.core.files.names import CARD, STORE
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.files.writing.sums import SUMS
from pipeline.store.dataset.chain import ERROR, BasePart, part_name
from pipeline.store.dataset.stored_dataset import StoredDataset
from pipeline.store.node import Node

DOCUMENTS_START, DOCUMENTS_END = ("part-", "slice-"), ".parquet"  # of the names of files that hold documents


def document_paths(folder: Path) -> list[Path]:
    """Return a complete folder's document files in order."""
    return [folder / file.file for file in read_card(folder).files if is_documents(file.file)]


def is_documents(name: str) -> bool:
    """Say whether a file of a result holds documents (and not verdicts, labels or a model)."""
    return name.endswith(DOCUMENTS_END) and name.startswith(DOCUMENTS_START)


def base_parts(nodes: Sequence[Node]) -> tuple[BasePart, ...]:
    """Return the non-empty document files of complete nodes, numbered in order."""
    return tuple(
        BasePart(index=index, path=path, num_rows=file.rows)
        for index, (path, file) in enumerate(described_parts([node.folder for node in nodes]))
    )


def described_parts(folders: Sequence[Path]) -> list[tuple[Path, StoredFile]]:
    """Return the non-empty document files of complete folders, in the order of `base_parts`, as their cards do."""
    return [
        (folder / file.file, file)
        for folder in folders
        for file in read_card(folder).files
        if is_documents(file.file) and file.rows
    ]


def finish_signals(
    node: Node, base: Sequence[BasePart], *, details: Mapping[str, Any], seconds: float, cost_usd: float,
    known: Mapping[str, StoredFile] | None = None, sound: Collection[str] = (),
) -> None:  # fmt: skip
    """Write the card of a measured or gathered node: documents in, and those that broke the step.

    Files that are `known` are not read to be described, and `sound` are those in which no document broke the step.
    """
    broken: Counter[str] = Counter()
    errors: list[str] = []
    for part in base:
        if part_name(part.index) in sound:
            continue
        errors = read_table(node.folder / part_name(part.index), columns=[ERROR]).column(ERROR).drop_null().to_pylist()
        broken.update(str(error).partition(":")[0] for error in errors)
    rows = sum(part.num_rows for part in base)
    if rows > 1 and broken.total() == rows:
        _refuse_broken(node, base, str(errors[0]))
    files = {part_name(part.index): part.num_rows for part in base}
    extra = {
        path.name: -1
        for path in node.folder.iterdir()
        if path.is_file() and path.name not in files and not path.name.startswith(".") and path.name != CARD
    }
    close(
        node,
        files | extra,
        rows_in=rows,
        rows_out=rows - sum(broken.values()),
        quarantined=broken,
        details=details,
        seconds=seconds,
        cost_usd=cost_usd,
        known=known,
    )


def _refuse_broken(node: Node, base: Sequence[BasePart], reason: str) -> None:
    """A step that breaks on every document is broken itself: forget its answers, so that the next run asks again."""
    for part in base:
        (node.folder / part_name(part.index)).unlink()
    shutil.rmtree(node.folder / SUMS, ignore_errors=True)
    raise DataError(
        f"step {node.name} broke on every one of {sum(part.num_rows for part in base)} documents ({reason}). "
        "Correct its parameters, its inputs or its code and run again; nothing of it was kept."
    )


def close(
    node: Node,
    files: Mapping[str, int],
    *,
    rows_in: int,
    rows_out: int,
    dropped: Mapping[str, int] | None = None,
    quarantined: Mapping[str, int] | None = None,
    details: Mapping[str, Any] | None = None,
    seconds: float = 0.0,
    cost_usd: float = 0.0,
    known: Mapping[str, StoredFile] | None = None,
) -> Card:
    """Describe a finished folder and write its card; what resumed runs needed of it goes, and what they half wrote."""
    for path in node.folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)
    stored = describe_files(node.folder, files, known=known)
    card = Card(
        kind=node.kind,
        name=node.name,
        identity=node.identity,
        payload=node.payload,
        parents=node.parents,
        files=stored,
        content=content_of(stored),
        rows_in=rows_in,
        rows_out=rows_out,
        dropped=dict(sorted((dropped or {}).items())),
        quarantined=dict(sorted((quarantined or {}).items())),
        details=details or {},
        seconds=round(seconds, 3),
        cost_usd=cost_usd,
        environment=environment(),
    )
    write_card(node.folder, card)
    shutil.rmtree(node.folder / SUMS, ignore_errors=True)
    to_store(node.folder)
    return card


def to_store(folder: Path) -> None:
    """Bring a finished folder of a store's cache to the store, if this process writes to it."""
    if (folder.parent.parent / STORE).exists():
        from pipeline.store.remote.cached import published  # what a folder needs not

        published(folder)


def dropped_by(card: Card, label: str) -> int:
    """Return how many documents the rules of a step dropped, as the first that they failed."""
    return sum(count for rule, count in card.dropped.items() if rule.partition(".")[0] == label)


def removed_by_step(card: Card) -> list[tuple[str, int, int]]:
    """Return each step of a published dataset with the documents that it removed or that broke it, of how many."""
    found, reached = [], card.rows_in
    for step in StoredDataset.from_card(card).steps:
        lost = dropped_by(card, step.label) + card.quarantined.get(step.label, 0)
        if reached:
            found.append((step.label, lost, reached))
        reached -= lost
    return found


def why_empty(card: Card) -> str:
    """Return a sentence on a result of no documents: what went in, and what most of it was lost to."""
    lost = Counter(card.dropped) + Counter(card.quarantined)
    if not lost:
        inputs = StoredDataset.from_card(card).inputs
        return f"{card.name} holds no documents: none reached it" + (f" from {', '.join(inputs)}." if inputs else ".")
    worst, count = max(lost.items(), key=lambda item: (item[1], item[0]))
    unit = "documents" if card.kind == "dataset" else "rows"
    return f"{card.name} holds no documents: of {card.rows_in:,} {unit} none was kept, {count:,} went by {worst}."


def environment() -> dict[str, str]:
    """Return what a result was built with: versions and kind of machine, no names of hosts or people."""
    import numpy as np  # what writes a card has both; their metadata would be read for each card, 1 ms
    import pyarrow as pa

    return {
        "tamis": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
    }
