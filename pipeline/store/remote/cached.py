"""A workspace whose truth is in a store: opened into its cache, held by one writer, brought back result by result.

    <store>/tamis.json  <kind>/<name>-<hash>/FILE.<blake3>.EXT, card.json last  lease/  ledger/  and all records as here

A reader lists the store and fetches the cards that it lacks. A writer takes the lease first, and after each result
uploads its files, whole, then its card, created once; then the records, and the ledger of paid answers if any were
bought. So a killed writer leaves objects that no card speaks of, which the next writer uses or `tamis gc` removes, and
never half a result. A store that writes over an object it was told not to is refused at the start.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3
from filelock import FileLock

from pipeline.core.claude.ledger.merge import copy_to, fingerprint, merge
from pipeline.core.errors import DataError, RecipeError, ServiceError, TamisError
from pipeline.core.files.card import KINDS
from pipeline.core.files.names import CARD, IN_STORE, INPUTS, STORE
from pipeline.core.files.record import read_record, write_record
from pipeline.core.files.stores import stored
from pipeline.core.files.stores.caches import cache_home
from pipeline.core.files.stores.places import Item, MissingError, Place, each, endpoint_of, is_url
from pipeline.core.files.stores.stored import card_key, fetch_result, inputs_key, key_of, place_of
from pipeline.store.remote import records
from pipeline.store.remote.lease import Lease, acquire
from pipeline.store.remote.records import Synced

MARK, LAYOUT = "tamis.json", 1
PULL_LOCK = "pull.lock"
LEDGER = "ledger.sqlite"

_writing: dict[Path, Writing] = {}


def workspace_path(given: str | Path) -> Path:
    """Return the folder of a workspace: the path that was given, or of a URL the cache, brought up to date."""
    if not is_url(given):
        return Path(given)
    root = cache_of(str(given))
    with _pulling(root):
        _pull(root, place_of(root) or Place.at(str(given)))
    return root


def cache_of(url: str) -> Path:
    """Return the cache folder of a store, made if it is new; RecipeError for a URL that cannot be one."""
    place = Place.at(url)
    if place.url.partition("://")[0] not in ("s3", "s3a", "gs", "gcs"):
        raise RecipeError(
            f"--workspace {place}: results cannot be written there; a workspace must be a folder, s3:// or gs://. "
            "Name one of these."
        )
    known = f"{endpoint_of(url)} {place.url}"
    readable = "".join(c if c.isalnum() or c in "-_" else "-" for c in place.url.partition("://")[2])[:60]
    root = cache_home() / "stores" / f"{readable}-{blake3(known.encode()).hexdigest()[:12]}"
    if not (root / STORE).exists():
        root.mkdir(parents=True, exist_ok=True)
        write_record(root / STORE, {"url": place.url, "cache_id": uuid.uuid4().hex, "workspace_id": ""})
    return root


@dataclass(slots=True)
class Writing:
    """A cache whose store this process writes to."""

    root: Path
    place: Place
    lease: Lease
    synced: Synced

    def bring(self, folder: Path) -> None:
        """Write a finished result to the store, unless it is there; ServiceError if another one is."""
        content = (folder / CARD).read_bytes()
        files: list[Mapping[str, Any]] = json.loads(content)["files"]
        self.lease.require()
        there = self.place.items(f"{folder.parent.name}/{folder.name}")
        wanted = {key_of(folder, file): file for file in files}
        missing = [key for key, file in wanted.items() if key not in there or there[key].size != file["size_bytes"]]
        before = _held_before(folder)
        each(lambda key: self._put(folder, wanted[key], key, before), missing)
        if (folder / INPUTS).exists() and all(isinstance(where, dict) for where in _places(folder)):
            self.place.upload(folder / INPUTS, inputs_key(folder))  # by which any machine finds the text
        self.lease.require()  # whoever holds it by now may have removed what no card speaks of
        if not self.place.create(card_key(folder), content):
            theirs = self.place.read(card_key(folder))
            if theirs != content:
                self._take(folder, ours=content, theirs=theirs)
        (folder / IN_STORE).touch()

    def _put(self, folder: Path, file: Mapping[str, Any], key: str, before: Mapping[str, str]) -> None:
        """Write a file to the store: a copy of the same one where it has that, without a byte of it leaving here."""
        if file["blake3"] in before:
            with suppress(MissingError):
                self.place.copy(before[file["blake3"]], key)
                return
        self.place.upload(folder / str(file["file"]), key)

    def _take(self, folder: Path, *, ours: bytes, theirs: bytes) -> None:
        """Have the store's result instead of ours: the same files, or else the run must begin again from them."""
        same = json.loads(ours)["content"] == json.loads(theirs)["content"]
        if not same:
            shutil.rmtree(folder)
        fetch_result(self.place, folder)
        if not same:
            raise ServiceError(
                f"{self.place}/{card_key(folder)}: another machine finished this result meanwhile, with other content. "
                "Run again, which goes on from the store's."
            )

    def settle(self) -> None:
        """Bring records and, where it changed, the ledger to the store."""
        self.lease.require()
        with _pulling(self.root):
            records.push(self.place, self.root, synced=self.synced)
            now = fingerprint(self.root / LEDGER)
            if now and now != self.synced.fingerprint:
                number = int(Path(self.synced.ledger).stem.rpartition("-")[2]) + 1 if self.synced.ledger else 1
                name = f"ledger/{self.lease.number:08d}-{number:06d}.sqlite"
                with tempfile.TemporaryDirectory(dir=self.root, prefix=".ledger-") as scratch:
                    copy_to(self.root / LEDGER, Path(scratch) / "copy")
                    self.place.upload(Path(scratch) / "copy", name)
                self.lease.settled(ledger=name)  # else nobody would look for it
                self.synced.ledger, self.synced.fingerprint = name, now
                self.synced.save()
            else:
                self.lease.settled(ledger=self.synced.ledger)

    def finish(self) -> None:
        """Bring everything that is finished here to the store."""
        for folder in _finished(self.root):
            if not (folder / IN_STORE).exists():
                self.bring(folder)
        self.settle()


def _held_before(folder: Path) -> dict[str, str]:
    """Return BLAKE3 -> object of the files that the store has of results that bear the same name as this one.

    What a grown source and its signals take over from an earlier result is found in it.
    """
    found: dict[str, str] = {}
    for other in sorted(folder.parent.glob(f"{folder.name.rpartition('-')[0]}-*")):
        if other != folder and (other / IN_STORE).exists() and (other / CARD).exists():
            files = json.loads((other / CARD).read_bytes())["files"]
            found |= {file["blake3"]: key_of(other, file) for file in files}
    return found


def _places(folder: Path) -> list[Any]:
    return [where for where, _ in read_record(folder / INPUTS)["files"].values()]


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Hold the store of a cache for writing, whose local lock the caller holds; nothing for a mere folder."""
    place = place_of(root)
    if place is None:
        yield
        return
    here = root.absolute()
    _claim(root, place)
    lease = acquire(place, cache=here, cache_id=str(read_record(root / STORE)["cache_id"]))
    stored.guard(here, lease.require_paying)
    try:
        with _pulling(root):
            synced = _pull(root, place, lease=lease)
        held = _writing[here] = Writing(root, place, lease, synced)
        held.finish()  # what a killed run left behind
        try:
            yield
        except BaseException:
            with suppress(TamisError):  # what ended the run says more
                held.finish()
            raise
        held.finish()
    finally:
        _writing.pop(here, None)
        stored.guard(here, None)
        with suppress(TamisError):  # it ends by itself
            lease.release()


def published(folder: Path) -> None:
    """Bring a result that was just finished to its store, if this process writes to one; else the next run does."""
    held = _writing.get(folder.parent.parent.absolute())
    if held is not None:
        held.bring(folder)
        held.settle()


def held_lease(root: Path) -> Lease | None:
    """Return the lease that this process holds for a cache."""
    held = _writing.get(root.absolute())
    return None if held is None else held.lease


@contextmanager
def _pulling(root: Path) -> Iterator[None]:
    with FileLock(root / PULL_LOCK, timeout=600):
        yield


def _claim(root: Path, place: Place) -> None:
    """Make sure that the store is a workspace, and one that creates what is not there and nothing else."""
    listing = place.items()
    if MARK not in listing and place.item(MARK) is None:
        if listing:
            raise RecipeError(
                f"--workspace {place}: holds {len(listing):,} objects, {min(listing)} among them, and is no workspace. "
                "Name an empty prefix."
            )
        _probe(place)
        place.create(MARK, json.dumps({"layout": LAYOUT, "id": uuid.uuid4().hex}).encode())
    else:
        _probe(place)


def _probe(place: Place) -> None:
    name = f"probe/{uuid.uuid4().hex}"
    place.create(name, b"1")
    again = place.create(name, b"2")
    kept = place.read(name)
    place.delete([name])
    if again or kept != b"1":
        raise RecipeError(
            f"{place}: this store wrote over an object that it was told to create only where there is none "
            "(If-None-Match: *), so two writers could destroy each other's results. Use a store that honours it, such "
            "as Amazon S3, MinIO or Ceph of 2025, or a folder."
        )


def _pull(root: Path, place: Place, *, lease: Lease | None = None) -> Synced:
    """Bring cards and records of the store into the cache; a writer also drops what is not in the store any more."""
    stored.ask_again()
    listing = place.items()
    _know(root, place, listing)
    cards = [item for name, item in listing.items() if name.endswith(f"/{CARD}") and name.partition("/")[0] in KINDS]
    new = [item for item in cards if not (root / item.name).exists()]
    each(lambda item: fetch_result(place, (root / item.name).parent, modified=item.modified), new)
    for folder in _finished(root):
        gone = lease is not None and (folder / IN_STORE).exists() and card_key(folder) not in listing
        if gone and place.item(card_key(folder)) is None:  # and not only missing in a listing that is behind
            shutil.rmtree(folder)
    synced = Synced.of(root)
    records.pull(place, root, listing, synced=synced)
    newest = max((name for name in listing if name.startswith("ledger/")), default="")
    _pull_ledger(root, place, newest if lease is None else lease.terms.ledger, synced=synced)
    return synced


def _know(root: Path, place: Place, listing: Mapping[str, Item]) -> None:
    """Note which workspace this is the cache of; DataError where it was the cache of another one."""
    if MARK not in listing:
        return
    said = json.loads(place.read(MARK))
    if said.get("layout") != LAYOUT:
        raise DataError(f"{place}/{MARK}: has layout {said.get('layout')}; this Tamis reads {LAYOUT}. Use a newer one.")
    known = read_record(root / STORE)
    if known["workspace_id"] not in ("", said["id"]):
        raise DataError(
            f"{root}: is the cache of another workspace that lay at {place} before. Delete that folder, and the cache "
            "is filled anew; only a ledger of paid answers that never reached the store would be lost with it."
        )
    if not known["workspace_id"]:
        write_record(root / STORE, {**known, "workspace_id": said["id"]})


def _pull_ledger(root: Path, place: Place, newest: str, *, synced: Synced) -> None:
    """Enter what the store's newest ledger has into the one here."""
    item = place.item(newest) if newest and newest != synced.ledger else None
    if item is None:
        return
    before = fingerprint(root / LEDGER)
    same = not before or (before == synced.fingerprint and newest > synced.ledger)  # an earlier one may lack some
    with tempfile.TemporaryDirectory(dir=root, prefix=".ledger-") as scratch:
        place.download(newest, Path(scratch) / "theirs", size=item.size)
        merge(root / LEDGER, Path(scratch) / "theirs")
    synced.ledger = newest
    # Where an earlier one came after a later one that no lease names, none may have all: what is here is sent anew.
    synced.fingerprint = fingerprint(root / LEDGER) if same else ""
    synced.save()


def _finished(root: Path) -> list[Path]:
    return [path.parent for kind in KINDS for path in sorted((root / kind).glob(f"*/{CARD}"))]
