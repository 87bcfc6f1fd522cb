"""Files that a URL names -> local files: found by glob, named by what the store says of them, fetched once.

A file is fetched whole, in ranges at the same time, when it is first hashed or opened, into `inputs/` of the caches;
its place there holds URL, size and tag (ETag, or the Hub's blob id), so a file that was replaced is another file. Its
BLAKE3, by which results know it as they know a local file, is noted beside it, as no tag is a hash that all stores
agree on (S3's is an MD5 of MD5s for what came in parts). A file without a tag, or with a weak one, is fetched again by
each command, once. Files go when the folder grows beyond `$TAMIS_INPUT_BYTES` (100 GB), those first that were not
fetched for longest, and are fetched again if they are opened again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit, urlunsplit

from blake3 import blake3

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.stores.caches import cache_home
from pipeline.core.files.stores.places import (
    PROTOCOLS,
    MissingError,
    explained,
    item_at,
    item_of,
    pieces_at,
    shown_url,
    system_of,
)
from pipeline.core.files.writing.durable import write_atomically, write_text

ORIGIN, DIGEST = "origin.json", "blake3"
MOST_NAME, MOST_BYTES = "TAMIS_INPUT_BYTES", 100 * 10**9
GLOB = set("*?[")

_full: dict[tuple[str, str], str] = {}  # (url, query) of origins -> the URL with its query and name, never written
_fetched: set[Path] = set()  # by this process, so that a command sees one content of what has no certain tag


@dataclass(frozen=True, slots=True)
class Origin:
    """One version of one object. `url` is without what may be secret in it, `query` a hash of that."""

    url: str
    size: int
    tag: str
    query: str = ""

    @property
    def path(self) -> Path:
        """Where it lies, or would lie, on this machine."""
        parts = urlsplit(self.url)
        name = PurePosixPath(unquote(parts.path)).name
        version = blake3(json.dumps([self.url, self.size, self.tag, self.query]).encode()).hexdigest()[:16]
        return cache_home() / "inputs" / parts.scheme / parts.netloc / version / name

    @property
    def named(self) -> Path:
        """The path by which it is labelled and sorted, as if the store were a disk."""
        parts = urlsplit(self.url)
        return Path(f"/{parts.netloc}{unquote(parts.path)}")

    @property
    def is_certain(self) -> bool:
        """Whether another content has another tag."""
        return bool(self.tag) and not self.tag.startswith("W/")


def find(pattern: str, *, place: str = "") -> list[Origin]:
    """Return what a URL or a glob of one names, in no order; RecipeError with `place` for a folder, or if nothing."""
    shown = shown_url(pattern)
    try:
        system = system_of(pattern)
        with explained(pattern):
            if GLOB & set(urlsplit(pattern).path):
                found = system.glob(pattern, detail=True) or _bucket_of(pattern, system)
            else:
                found = {pattern: system.info(pattern)}
    except MissingError:
        found = {}
    except RecipeError as error:
        raise RecipeError(f"{place}{error}") from error.__cause__
    files = {name: told for name, told in found.items() if told["type"] == "file"}
    if not files and found:
        raise RecipeError(f"{place}{shown} is a folder; name its files: {shown.rstrip('/')}/*.")
    if not files:
        raise RecipeError(
            f"{place}no file matches {shown}. Correct the URL; a glob's `*` goes up to the next slash, `**` beyond."
        )
    scheme = pattern.partition("://")[0]
    origins = []
    for name, told in files.items():
        full, item = name if "://" in name else f"{scheme}://{name}", item_of(name, told)
        plain = _without_secrets(full)
        query = "" if plain == full else blake3(full.encode()).hexdigest()[:16]
        origins.append(Origin(plain, item.size, item.tag, query))
        _full[plain, query] = full
        place_again(origins[-1])
    return origins


def _bucket_of(pattern: str, system: Any) -> dict[str, Any]:
    """Return nothing; RecipeError if the bucket is not there, as a glob in one that is not finds nothing either."""
    scheme, bucket = urlsplit(pattern)[:2]
    if PROTOCOLS[scheme] in ("s3", "gs"):
        try:
            system.info(f"{scheme}://{bucket}")
        except FileNotFoundError:
            raise RecipeError(
                f"{pattern}: there is no bucket {bucket!r}. Correct the URL, or make the bucket first."
            ) from None
    return {}


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def place_again(origin: Origin) -> Path:
    """Return the local path of an origin, with a note beside it, by which it can be fetched."""
    note = origin.path.parent / ORIGIN
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        write_text(note, json.dumps(asdict(origin)))
    return origin.path


def origin_of(path: Path) -> Origin | None:
    """Return what a local file is the copy of, whether or not it is here; None for a file that is nobody's copy."""
    note = path.parent / ORIGIN
    if not path.is_relative_to(cache_home()) or not note.exists():
        return None
    return Origin(**json.loads(note.read_bytes()))


def digest_of(path: Path, origin: Origin) -> str:
    """Return the BLAKE3 hex of a copy, which is fetched for it unless it is known."""
    note = path.parent / DIGEST
    if note.exists() and (origin.is_certain or path in _fetched):
        return note.read_text(encoding="ascii")  # of what was fetched last, by whichever process
    return fetch(path, origin)


def fetch(path: Path, origin: Origin) -> str:
    """Fetch an origin's content and return its BLAKE3; DataError if it was replaced since it was found."""
    url, hashed = _full.get((origin.url, origin.query), origin.url), blake3()
    _make_room(origin.size)

    def write(target: BinaryIO) -> None:
        for piece in pieces_at(url, size=origin.size):
            hashed.update(piece)
            target.write(piece)

    write_atomically(path, write)
    found, note = hashed.hexdigest(), path.parent / DIGEST
    now = item_at(url, name="")
    known = note.read_text(encoding="ascii") if note.exists() else found
    if now is None or (now.size, now.tag) != (origin.size, origin.tag) or (known != found and origin.is_certain):
        path.unlink()
        raise DataError(f"{shown_url(origin.url)}: was replaced while it was read. Run again when it stays as it is.")
    write_text(note, found)
    _fetched.add(path)
    return found


def _make_room(size: int) -> None:
    """Remove copies that were not used for longest until `size` bytes more are within the limit."""
    most = int(os.environ.get(MOST_NAME, MOST_BYTES))
    copies = sorted(_copies(), key=lambda copy: copy[1].st_mtime_ns)
    total = sum(stat.st_size for _, stat in copies) + size
    for path, stat in copies:
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= stat.st_size


def _copies() -> Iterator[tuple[Path, os.stat_result]]:
    for note in (cache_home() / "inputs").glob(f"*/*/*/{DIGEST}"):
        for path in note.parent.iterdir():
            if path.name not in (ORIGIN, DIGEST) and path.is_file():
                yield path, path.stat()
