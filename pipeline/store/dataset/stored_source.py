"""A source's payload -> its inputs as one record: the files by content, or what a reader without files names.

Readers write it (`Reader.inputs`), the plan puts it into the source's identity. The card of a finished source tells
what each slice was read from, so that a later source with the same file need not read it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.core.files.card import Card
from pipeline.core.identity import identity_of

SLICES = "slices"  # of the details of a source's card


@dataclass(frozen=True, slots=True)
class StoredInput:
    """One file that a source reads."""

    file: str  # its label: the name that ids begin with
    blake3: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredSource:
    """The inputs of a source. `named` are those of a reader that reads no files, such as packages by version."""

    reader: str
    files: tuple[StoredInput, ...]
    named: Mapping[str, Any]

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> StoredSource:
        inputs = dict(payload.get("inputs", {}))
        files = tuple(StoredInput(file["file"], file["blake3"], file["size"]) for file in inputs.pop("files", ()))
        return cls(reader=str(payload.get("reader", "")), files=files, named=inputs)

    def hashes(self) -> dict[str, str]:
        """Return the BLAKE3 of every file by its label."""
        return {file.file: file.blake3 for file in self.files}

    def contents(self) -> set[str]:
        """Return what tells the contents apart that were read, whatever the files were called."""
        if self.files:
            return {file.blake3 for file in self.files}
        return {identity_of([self.reader, *item]) for item in self.named.items()}


@dataclass(frozen=True, slots=True)
class StoredSlice:
    """What one slice of a finished source was read from, and what it gave beside its parts."""

    key: str  # hash of the files that it read and of its place among the slices of these; "" if that is unknown
    rows_in: int
    refused: int  # rows that became no document, ids that came back left aside
    in_place: bool  # some of its text was left where it lies

    def plain(self) -> list[Any]:
        """Return it as a short list, as cards hold one for each slice."""
        return [self.key, self.rows_in, self.refused, self.in_place]


def slices_of(card: Card) -> list[StoredSlice]:
    """Return the slices of a finished source in order; none where its reader cannot tell what each was read from."""
    return [StoredSlice(*item) for item in card.details.get(SLICES, ())]
