"""The card beside every result: what it is, what it was made of, what it counted. Written last.

A folder with a card is complete; a folder without one is work in progress; nothing else says so. `content` is the
hash of the result's files and nothing else, so two machines, worker counts or interrupted runs can be compared by it.
Seconds and dollars stand in the card but never in `content` or `identity`; a hash over all fields tells an edited card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.core.errors import DataError
from pipeline.core.files.names import CARD
from pipeline.core.files.record import read_record, write_record
from pipeline.core.files.stores.stored import arrives, present
from pipeline.core.files.writing.durable import sync_folder
from pipeline.core.identity import hash_file, identity_of

# What a result is, in the order in which results come from each other: each has a folder of the workspace.
Kind = Literal[
    "source", "measured", "gathered", "made", "dataset", "tokenizer", "tokens", "mixture", "lane", "score",
    "search", "comparison", "certificate", "counted", "claims",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a result. `rows` is -1 for files that are not tables."""

    file: str
    rows: int
    size_bytes: int
    blake3: str


@dataclass(frozen=True, slots=True)
class Card:
    """All that is known of one result. Where documents flow, rows in == rows out + dropped + quarantined."""

    kind: Kind
    name: str
    identity: str
    payload: Mapping[str, Any]  # what `identity` is the hash of
    parents: Mapping[str, str]  # name -> identity
    files: Sequence[StoredFile]
    content: str
    rows_in: int = 0
    rows_out: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)  # "step.rule" -> documents whose first failure it was
    quarantined: Mapping[str, int] = field(default_factory=dict)  # reason -> documents
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cost_usd: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)  # what it was built with; like seconds, never hashed

    def conserve(self) -> None:
        """Raise if a document was lost or invented."""
        accounted = self.rows_out + sum(self.dropped.values()) + sum(self.quarantined.values())
        if self.rows_in != accounted:
            raise DataError(
                f"{self.name}: {self.rows_in} documents went in but {accounted} are accounted for "
                f"({self.rows_out} out, {dict(self.dropped)} dropped, {dict(self.quarantined)} quarantined). "
                "Report this as a bug."
            )


def describe_files(
    folder: Path, rows: Mapping[str, int], *, known: Mapping[str, StoredFile] | None = None
) -> list[StoredFile]:
    """Describe the files of `folder` named by `rows` (name -> number of rows, -1 for none), in name order.

    Those that are `known`, as another card answers for the same file, are not read.
    """
    known = known or {}
    return [known[name] if name in known else _described(folder, name, rows[name]) for name in sorted(rows)]


def _described(folder: Path, name: str, rows: int) -> StoredFile:
    path = folder / name  # which may lie in a folder of its own
    return StoredFile(file=name, rows=rows, size_bytes=path.stat().st_size, blake3=hash_file(path))


def content_of(files: Sequence[StoredFile]) -> str:
    """Return the hash of a result's bytes: file names and their BLAKE3, in name order."""
    return identity_of([[file.file, file.blake3] for file in files])


def write_card(folder: Path, card: Card) -> None:
    """Write the card, which makes the folder complete."""
    card.conserve()
    sync_folder(folder)  # the names of all that it speaks of
    write_record(folder / CARD, asdict(card))


def read_card(folder: Path) -> Card:
    """Return a complete folder's card; DataError if there is none or it is not as it was written."""
    path = folder / CARD
    try:
        data = read_record(path)
        return Card(**{**data, "files": [StoredFile(**file) for file in data["files"]]})
    except FileNotFoundError as error:
        raise DataError(f"{folder}: has no {CARD}, so it is not complete. Run the recipe again.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: is not a card as it was written ({error}). Delete the folder and run the recipe again."
        ) from error


def is_complete(folder: Path, identity: str) -> bool:
    """Say whether `folder` holds the finished result with this identity."""
    if not (folder / CARD).exists() and not arrives(folder):
        return False
    return read_card(folder).identity == identity


def difference(path: Path, file: StoredFile, *, says: str = CARD) -> str:
    """Return what is there and what must be, as the file `says` has it; nothing if they are the same."""
    must = f"{says} says {file.size_bytes:,} bytes, BLAKE3 {file.blake3[:12]}"
    try:
        size = present(path).stat().st_size
        if size != file.size_bytes:
            return f"has {size:,} bytes; {must}"
        found = hash_file(path)
    except OSError as error:
        return f"cannot be read ({error.strerror}); {must}"
    return "" if found == file.blake3 else f"has BLAKE3 {found[:12]}; {must}"


def verify_files(folder: Path, card: Card) -> None:
    """Raise DataError naming the first file whose bytes are not those that the card recorded."""
    for file in card.files:
        path = present(folder / file.file)
        if not path.exists() or path.stat().st_size != file.size_bytes or hash_file(path) != file.blake3:
            raise DataError(
                f"{path}: differs from what {folder / CARD} recorded. Delete the folder and run the recipe again."
            )
