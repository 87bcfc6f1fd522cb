"""Parts of earlier results -> parts of a new one, by a second name for the same file: what is not done again.

Nothing is read but cards: the card of the earlier result answers for the bytes of its files, and the new card says the
same of them. A run that is killed takes over again; where the earlier result is gone by then, a file that was taken has
no sum beside it and is made anew. The bytes are those that building from scratch gives.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.core.files.card import Card, StoredFile, read_card
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.files.stores.stored import present
from pipeline.core.files.writing.second_name import take
from pipeline.core.identity import identity_of
from pipeline.engine.ahead import slice_file
from pipeline.engine.read import Read
from pipeline.plan.graph import Plan, PlannedDataset, PlannedStep
from pipeline.plan.taking import EarlierSignals, bases_before, signals_before
from pipeline.sources.quarantine import COLUMNS, QUARANTINE
from pipeline.sources.reader import Reader, Slice
from pipeline.store.dataset.chain import part_name
from pipeline.store.dataset.stored_source import StoredSource, slices_of
from pipeline.store.node import Node
from pipeline.store.results import described_parts

_PART = re.compile(r"slice-(\d+)-(\d+)(-unique)?\.parquet")
KEY = 32  # hexadecimal digits of a slice's key


@dataclass(slots=True)
class TakenSlices:
    """Slices that need not be read: what each gave, and what the new card says of their files."""

    slices: dict[int, Read] = field(default_factory=dict)  # by number
    files: dict[str, StoredFile] = field(default_factory=dict)  # by name

    @property
    def rows(self) -> int:
        return sum(read.rows_in for read in self.slices.values())


def slice_keys(reader: Reader, pieces: Sequence[Slice], *, payload: Mapping[str, Any]) -> list[str]:
    """Return a key for each slice that tells its content, by the files in it; "" where the reader cannot say."""
    files = {file.file: [file.file, file.size, file.blake3] for file in StoredSource.from_payload(payload).files}
    seen: Counter[tuple[str, ...]] = Counter()
    keys = []
    for piece in pieces:
        labels = reader.files_in(piece)
        seen[labels] += 1
        known = [files[label] for label in labels if label in files]
        keys.append(identity_of([known, seen[labels]])[:KEY] if known and len(known) == len(labels) else "")
    return keys


def take_slices(node: Node, pieces: Sequence[Slice], keys: Sequence[str], *, earlier: Sequence[Path]) -> TakenSlices:
    """Give the files of slices that earlier sources read alike to `node`, under the names that they have there."""
    taken = TakenSlices()
    wanted = {key: piece.index for key, piece in zip(keys, pieces, strict=bool(keys)) if key}
    for folder in earlier:
        if len(taken.slices) == len(wanted):
            break
        _take_from(folder, node, wanted, taken)
    return taken


def _take_from(folder: Path, node: Node, wanted: Mapping[str, int], taken: TakenSlices) -> None:
    card, refused_before = read_card(folder), 0
    parts = _parts_by_slice(card)
    refused: list[list[str]] | None = None
    for number, there in enumerate(slices_of(card)):
        first, refused_before = refused_before, refused_before + there.refused
        index = wanted.get(there.key)
        if index is None or index in taken.slices or parts.get(number, ()) is None:
            continue
        files = {slice_file(index, chunk): file for chunk, file in (parts.get(number) or {}).items()}
        if not all(take(present(folder / file.file), to=node.folder / name, size_bytes=file.size_bytes)
                   for name, file in files.items()):  # fmt: skip
            continue
        if there.refused and refused is None:
            refused = [[row[key] for key in COLUMNS] for row in read_table(folder / QUARANTINE).to_pylist()]
        taken.slices[index] = Read(
            files=tuple((name, file.rows) for name, file in files.items()), rows_in=there.rows_in,
            quarantined=tuple((refused or [])[first : first + there.refused]), in_place=there.in_place,
        )  # fmt: skip
        taken.files |= {name: replace(file, file=name) for name, file in files.items()}


def _parts_by_slice(card: Card) -> dict[int, dict[int, StoredFile] | None]:
    """Return the files of each slice by chunk; None for a slice in which an id came back, of which rows were taken."""
    found: dict[int, dict[int, StoredFile] | None] = {}
    for file in card.files:
        named = _PART.fullmatch(file.file)
        if named is None:
            continue
        number, chunk = int(named[1]), int(named[2])
        if named[3]:
            found[number] = None
        elif (files := found.setdefault(number, {})) is not None:
            files[chunk] = file
    return found


@dataclass(slots=True)
class TakenParts:
    """Signals that need not be measured: by the identity of the step's node, what its card will say of the files."""

    files: dict[str, dict[str, StoredFile]] = field(default_factory=dict)  # by name
    sound: dict[str, set[str]] = field(default_factory=dict)  # names of files in which no document broke the step

    def has(self, node: Node, index: int) -> bool:
        return part_name(index) in self.files.get(node.identity, ())


def take_parts(plan: Plan, dataset: PlannedDataset, steps: Sequence[PlannedStep]) -> TakenParts:
    """Give each of a dataset's measuring steps the files that earlier results hold of parts which are now the same."""
    taken = TakenParts()
    bases = bases_before(plan.workspace, dataset.base)
    if not bases:
        return taken
    now = [file.blake3 for _, file in described_parts([node.folder for node in dataset.base])]
    for step in steps:
        before = dataset.steps[: dataset.steps.index(step)]
        for earlier in signals_before(plan.workspace, bases, before=before, payload=step.node.payload):
            _take_signals(earlier, step.node, now, taken)
    return taken


def _take_signals(earlier: EarlierSignals, node: Node, now: Sequence[str], taken: TakenParts) -> None:
    card = read_card(earlier.folder)
    stored = {file.file: file for file in card.files}
    there = {file.blake3: part_name(index) for index, (_, file) in enumerate(described_parts(earlier.base))}
    files = taken.files.setdefault(node.identity, {})
    for index, blake3 in enumerate(now):
        name, file = part_name(index), stored.get(there.get(blake3, ""))
        if name in files or file is None:
            continue
        if take(present(earlier.folder / file.file), to=node.folder / name, size_bytes=file.size_bytes):
            files[name] = replace(file, file=name)
            if not card.quarantined:
                taken.sound.setdefault(node.identity, set()).add(name)
