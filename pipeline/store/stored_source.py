"""A source's payload -> its inputs as one record: the files by content, or what a reader without files names.

Readers write it (`Reader.inputs`), the plan puts it into the source's identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.core.identity import identity_of


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
