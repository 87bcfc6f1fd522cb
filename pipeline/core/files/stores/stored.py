"""A workspace in a store, and the local folder that is its cache: what is not here yet is fetched when it is opened.

A cache is a workspace like any other, with `store.json` in it, which names the store. So paths stay local everywhere;
`present(path)` stands where bytes are opened, and fetches a result's file if only the store has it, held against the
size and the BLAKE3 that the card says. In the store a result's files bear the start of their hash in their names: two
machines that made the same result write the same objects, and one that wakes up late overwrites nothing. Small files
come with the card; documents, tokens and weights when they are read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from blake3 import blake3

from pipeline.core.errors import DataError, ServiceError
from pipeline.core.files.names import CARD, IN_STORE, INPUTS, STORE
from pipeline.core.files.record import read_record
from pipeline.core.files.stores import inputs
from pipeline.core.files.stores.caches import cache_home
from pipeline.core.files.stores.places import MissingError, Place
from pipeline.core.files.writing.durable import write_atomically
from pipeline.core.identity import hash_file

LATER = {"tokens": (".npy", ".parquet"), "mixture": (".npy", ".parquet"), "lane": (".safetensors",)}  # by kind

_asked: set[Path] = set()  # folders that the store did not have when this process asked
_leases: dict[Path, Callable[[], None]] = {}  # by cache: refuses unless this process holds its store's lease


def place_of(root: Path) -> Place | None:
    """Return the store that a workspace is the cache of; None for a workspace that is a folder and no more."""
    path = root / STORE
    return _place(path, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(maxsize=16)
def _place(path: Path, _: int) -> Place:
    try:
        return Place.at(str(read_record(path)["url"]))
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{path}: is not as it was written ({error}). Delete {path.parent}; it is a cache, and is filled again."
        ) from error


def key_of(folder: Path, file: Mapping[str, Any]) -> str:
    """Return the name of a result's file in the store, from what the card says of it."""
    stem, dot, rest = str(file["file"]).partition(".")
    return f"{folder.parent.name}/{folder.name}/{stem}.{file['blake3'][:16]}{dot}{rest}"


def card_key(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}/{CARD}"


def inputs_key(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}/{INPUTS}"


def present(path: Path) -> Path:
    """Return a path to read: itself, fetched first where only the store has it. A path that is nowhere stays so."""
    if path.exists():
        return path
    if path.is_relative_to(cache_home() / "inputs"):
        origin = inputs.origin_of(path)
        if origin is not None:
            inputs.fetch(path, origin)
        return path
    folder = path.parent
    place = place_of(folder.parent.parent)
    if place is None or not (folder / CARD).exists():
        return path
    known = {str(file["file"]): file for file in json.loads((folder / CARD).read_bytes())["files"]}
    if path.name in known:
        fetch(place, folder, known[path.name])
    return path


def fetch(place: Place, folder: Path, file: Mapping[str, Any]) -> None:
    """Write a file of a result as its card says it is; DataError where the store's is another, or is gone."""
    name, wanted = key_of(folder, file), str(file["blake3"])

    def write(target: BinaryIO) -> None:
        hashed = blake3()
        for piece in place.pieces(name, size=int(file["size_bytes"])):
            hashed.update(piece)
            target.write(piece)
        if hashed.hexdigest() != wanted:
            raise DataError(
                f"{place}/{name}: has BLAKE3 {hashed.hexdigest()[:12]}; {CARD} says {wanted[:12]}. Delete "
                f"{place}/{card_key(folder)} and {folder}, and run the recipe again."
            )

    try:
        write_atomically(folder / str(file["file"]), write)
    except MissingError as error:
        raise DataError(
            f"{place}/{name}: is gone, and {CARD} speaks of it. Delete {place}/{card_key(folder)} and {folder}, and "
            "run the recipe again."
        ) from error


def fetch_result(place: Place, folder: Path, *, modified: float | None = None) -> None:
    """Make a finished result of the store one of the cache: small files first, the card last; MissingError if none."""
    content = place.read(card_key(folder))
    files = json.loads(content)["files"]
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = folder / str(file["file"])
        if path.exists() and hash_file(path) != file["blake3"]:  # left by a killed run here, such as other answers
            path.unlink()
        if not path.exists() and not path.name.endswith(LATER.get(folder.parent.name, ".parquet")):
            fetch(place, folder, file)
    if folder.parent.name == "source":
        with suppress(MissingError):
            where = place.read(inputs_key(folder))
            write_atomically(folder / INPUTS, lambda target: target.write(where))
    (folder / IN_STORE).touch()
    write_atomically(folder / CARD, lambda target: target.write(content))
    if modified is not None:
        os.utime(folder / CARD, (modified, modified))  # the newest of a name is told by it


def arrives(folder: Path) -> bool:
    """Say whether the store has a result that the cache has not, and fetch it: a listing may be behind, this is not."""
    place = place_of(folder.parent.parent)
    if place is None or folder in _asked:
        return False
    try:
        fetch_result(place, folder)
    except MissingError:
        _asked.add(folder)
        return False
    return True


def ask_again() -> None:
    """Forget what the store did not have: somebody else may have written it since."""
    _asked.clear()


def guard(root: Path, require: Callable[[], None] | None) -> None:
    """Let `require` say, for as long as a lease is held, whether it still is; None when it is given back."""
    if require is None:
        _leases.pop(root.absolute(), None)
    else:
        _leases[root.absolute()] = require


def may_pay(root: Path) -> None:
    """Raise ServiceError unless money may be spent: in a store's cache, only by who holds the lease."""
    if not (root / STORE).exists():
        return
    require = _leases.get(root.absolute())
    if require is None:
        raise ServiceError(
            f"{root}: is the cache of {place_of(root)}, and this command does not hold its lease, so what it buys "
            "might be bought by another machine too. Use `tamis run`, which takes the lease."
        )
    require()
