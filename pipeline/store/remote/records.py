"""What a workspace holds beside results: registry, records of runs, looks, reports, dedup stores; store <-> cache.

A record is new, or replaces just the one that was read (`If-Match`), so a writer that wakes up after its lease was
taken over overwrites nothing. `synced.json` in the cache says which content of each record both sides had last.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError, ServiceError
from pipeline.core.files.card import KINDS
from pipeline.core.files.record import read_record, write_record
from pipeline.core.files.stores.places import Item, Place, each
from pipeline.core.identity import hash_file

SYNCED = "synced.json"
# What stays here: locks, scratch, what is made again from results, and what the store keeps in other forms.
LOCAL = {
    "lock", "lock.json", "pull.lock", "store.json", SYNCED, "input_hashes", "prepared", "tracked", "inputs",
    "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "ledger.sqlite.lock", *KINDS,
}  # fmt: skip
REMOTE = {"lease", "ledger", "probe", "clock", "tamis.json", *KINDS}  # no records over there
LARGE_BYTES = 32 << 20  # from which on a record is sent in parts
REPORTS = "reports"  # are written again from results: the store's counts


@dataclass(slots=True)
class Synced:
    """What store and cache both had last: tag and BLAKE3 by name, and the newest ledger that was entered here."""

    path: Path
    records: dict[str, tuple[str, str]]
    ledger: str = ""
    fingerprint: str = ""  # of the ledger as it was sent last

    @classmethod
    def of(cls, root: Path) -> Synced:
        """Return what is noted; nothing where the note is missing or damaged, which costs one comparison of all."""
        try:
            plain = read_record(root / SYNCED)
            records = {name: (str(tag), str(digest)) for name, (tag, digest) in plain["records"].items()}
            return cls(root / SYNCED, records, str(plain["ledger"]), str(plain["fingerprint"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(root / SYNCED, {})

    def save(self) -> None:
        write_record(self.path, {"records": self.records, "ledger": self.ledger, "fingerprint": self.fingerprint})


def pull(place: Place, root: Path, listing: Mapping[str, Item], *, synced: Synced) -> None:
    """Bring the store's records here; DataError for one that changed on both sides."""
    wanted = [item for name, item in listing.items() if name.partition("/")[0] not in REMOTE]
    changed = [item for item in wanted if not _is_here(root, item, synced)]

    def fetch(item: Item) -> None:
        path, known = root / item.name, synced.records.get(item.name, ("", ""))
        before = hash_file(path) if path.exists() else known[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        theirs = path.with_name(f".{path.name}.theirs")
        place.download(item.name, theirs, size=item.size)
        if before not in (known[1], hash_file(theirs)) and not item.name.startswith(f"{REPORTS}/"):
            theirs.unlink()
            raise DataError(
                f"{path}: changed here, and {place}/{item.name} changed too; both must not. Move the file away, "
                "run again to have the store's, and look at what differs."
            )
        os.replace(theirs, path)
        synced.records[item.name] = (item.tag, hash_file(path))

    each(fetch, changed)
    if changed:
        synced.save()


def _is_here(root: Path, item: Item, synced: Synced) -> bool:
    known = synced.records.get(item.name)
    return known is not None and known[0] == item.tag and (root / item.name).exists()


def push(place: Place, root: Path, *, synced: Synced) -> None:
    """Bring what changed here to the store; the caller holds its lease. ServiceError for one that changed there."""
    sent = False
    for path in sorted(local_records(root)):
        name, digest = path.relative_to(root).as_posix(), hash_file(path)
        known = synced.records.get(name)
        if known is not None and known[1] == digest:
            continue
        if known is None and path.stat().st_size > LARGE_BYTES:  # a piece of a dedup store, which nobody ever changes
            place.upload(path, name)
            synced.records[name] = (_tag(place, name), digest)
            sent = True
            continue
        content = path.read_bytes()
        put = place.create(name, content) if known is None else place.replace(name, content, tag=known[0])
        if not put and place.read(name) != content:
            raise ServiceError(
                f"{place}/{name}: was written by another process since it was read here. Nothing was overwritten; run "
                "again, which reads it."
            )
        synced.records[name] = (_tag(place, name), digest)
        sent = True
    if sent:
        synced.save()


def _tag(place: Place, name: str) -> str:
    item = place.item(name)
    return "" if item is None else item.tag


def local_records(root: Path) -> Iterator[Path]:
    """Yield the files of a cache that the store has too, or is to have."""
    for top in root.iterdir():
        if top.name in LOCAL or top.name.startswith("."):
            continue
        for path in [top] if top.is_file() else top.rglob("*"):
            inside: Any = path.relative_to(root).parts
            if path.is_file() and not any(part.startswith(".") for part in inside) and path.suffix != ".lock":
                yield path
