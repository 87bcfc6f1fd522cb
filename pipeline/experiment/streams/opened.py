"""A stored dataset -> what of it anybody may read: where a gate of the workspace seals a part, only the other part.

What a verdict judges by stays fair only while nobody looks at it. Whoever shows documents of a dataset leaves out those
of `closed_in`, also in what a sealed set was made from: a document keeps its id. `open_part_of` is for who reads one
part (`choose(folder, part=...)`), `refuse_sealed` for who reads all or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.core.errors import DataError, TamisError
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.names import CARD
from pipeline.core.files.parquet.shards import read_table
from pipeline.experiment.streams.encode import choose
from pipeline.plan.parts import Part, name_of_set
from pipeline.store.dataset.chain import BasePart
from pipeline.store.evidence import Evidence, evidence_at
from pipeline.store.results import document_paths
from pipeline.store.workspace import Workspace

EVERYTHING = 1 << 62  # bytes
COPY_OF = "duplicate_of"  # signal of a deduplication


@dataclass(frozen=True, slots=True)
class Closed:
    """Documents that only a verdict opens, by their ids, and the sets that they are held out in."""

    ids: frozenset[str] = frozenset()
    sets: tuple[str, ...] = ()

    def note(self, number: int) -> str:
        """Say of so many documents why they are not shown; nothing of none."""
        if not number:
            return ""
        are = "document of {} is" if number == 1 else "documents of {} are"
        return f"{number:,} {are.format(' and '.join(self.sets))} sealed for a gate's verdict, and not shown."

    def open_of(self, ids: pa.ChunkedArray) -> np.ndarray:
        """Return bool[num_ids]: which of some documents anybody may read."""
        if not self.ids:
            return np.ones(len(ids), bool)
        return np.fromiter((doc_id not in self.ids for doc_id in ids.to_pylist()), bool, len(ids))

    def open_rows(self, evidence: Evidence, part: BasePart, rows: np.ndarray) -> np.ndarray:
        """Return those of some rows of a part, ascending, that anybody may read."""
        if not self.ids or not len(rows):
            return rows
        found: np.ndarray = rows[self.open_of(evidence.verdict_rows(part, rows.tolist(), ["id"]).column("id"))]
        return found


OPEN = Closed()


def open_part_of(workspace: Workspace, name: str) -> Part | None:
    """Return the open part of a dataset, None where nothing seals any of it; DataError where no part is surely open.

    Of several that seal a part of any of its versions the largest share counts: a larger one seals all that a smaller
    one does, as the same texts draw alike. That ends where groups are told apart by different keys.
    """
    _, dataset = workspace.dataset(name)
    sealing = [card.payload for card in _sealing(workspace) if _is_of(card, dataset)]
    if not sealing:
        return None
    keys = {payload["group_by"] for payload in sealing}
    if len(keys) > 1:
        told = ", ".join(sorted(str(key) for key in keys))
        raise DataError(
            f"`{name}`: parts of it are sealed for gates that group documents by different keys ({told}), so none "
            "of it is open to all of them. Name another dataset."
        )
    return Part(dataset.name, share=max(payload["share"] for payload in sealing), group_by=keys.pop())


def refuse_sealed(workspace: Workspace, name: str) -> None:
    """Raise DataError where a gate of the workspace seals a part of a dataset."""
    part = open_part_of(workspace, name)
    if part is not None:
        raise DataError(
            f"`{name}`: {100 * part.share:g} % of its documents are sealed for a gate's verdict, and who reads them "
            f"makes that verdict too kind. Name a dataset that is not held out for a gate; `tamis look {name}` shows "
            "what is open."
        )


def closed_in(workspace: Workspace, folder: Path) -> Closed:
    """Return which documents of a finished dataset, whole or on their way to a held-out set, nobody may read."""
    sealing = _sealing(workspace)
    if not sealing:
        return OPEN
    card, origins = read_card(folder), set(_origins(workspace, folder))
    ids, sets = set[str](), list[str]()
    for name in sorted({name_of_set(each.name) for each in sealing}):
        try:
            held, newest = workspace.dataset(name)
        except TamisError:  # gone, so nothing of it is judged by any more
            continue
        its = {folder} if card.name == name else set()
        if origins & set(_origins(workspace, held)) or card.name == newest.name:
            its.add(held)
        if its:
            sets.append(name)
            part = _surely_open(workspace, name)
            ids |= {doc_id for each in its for doc_id in _closed_ids(each, part)}
    return Closed(frozenset(ids), tuple(sets))


def _surely_open(workspace: Workspace, name: str) -> Part | None:
    """Return the open part of a set that is sealed; None where none of it is surely open."""
    try:
        return open_part_of(workspace, name)
    except DataError:
        return None


@lru_cache(maxsize=16)
def _closed_ids(folder: Path, part: Part | None) -> frozenset[str]:
    """Return the ids of a dataset that are not in its open part, all where it has none, and those of their copies."""
    ids = {path: read_table(path, columns=["id"]).column("id") for path in document_paths(folder)}
    found = {doc_id for each in ids.values() for doc_id in each.to_pylist()}
    if part is not None:
        chosen, *_ = choose(folder, limit_bytes=EVERYTHING, seed=0, part=part)
        found -= {doc_id for path, rows in chosen for doc_id in ids[path].take(pa.array(rows)).to_pylist()}
    if folder.parent.name == "dataset":
        _add_copies(found, evidence_at(Workspace(folder.parent.parent), folder))
    return frozenset(found)


def _add_copies(closed: set[str], evidence: Evidence) -> None:
    """Add documents that a step dropped as copies of closed ones: they say the same."""
    for link in reversed(evidence.chain.links):
        for part in evidence.chain.base:
            if COPY_OF in evidence.signals_schema(link, part).names:
                kept = evidence.signals(link, part, [COPY_OF]).column(COPY_OF).to_pylist()
                ids = evidence.verdicts(part, ["id"]).column("id").to_pylist()
                closed |= {doc_id for doc_id, other in zip(ids, kept, strict=True) if other in closed}


def _origins(workspace: Workspace, folder: Path) -> Iterator[str]:
    """Yield the names of the sources and made documents that a dataset's documents come from."""
    if folder.parent.name != "dataset" or not (folder / CARD).exists():
        yield folder.name.rpartition("-")[0]
        return
    for parent in dict.fromkeys(part.path.parent for part in evidence_at(workspace, folder).chain.base):
        yield from _origins(workspace, parent)


def _sealing(workspace: Workspace) -> list[Card]:
    """Return the cards of tokens of which a gate seals a part."""
    cards = [read_card(path.parent) for path in sorted((workspace.root / "tokens").glob(f"*/{CARD}"))]
    return [card for card in cards if card.payload.get("part")]


def _is_of(tokens: Card, dataset: Card) -> bool:
    """Say whether tokens are of a dataset or of another version of it."""
    return tokens.payload["dataset"] == dataset.identity or name_of_set(tokens.name) == dataset.name
