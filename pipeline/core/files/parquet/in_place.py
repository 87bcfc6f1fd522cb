"""Text that stays in the user's file: what a documents file says of it, and how it is known to be the same still.

Storing a source's text once more costs a third of a cleaning run and as much disk as the input. So a documents file may
hold every column but `text`, and in its footer where that lies: a file by its label and BLAKE3, a column, row groups,
rows left out. Where the labelled files are on this machine stands in `inputs.json` beside it, which no hash covers, as
paths never change a byte of output; with each file's stamp (size, times, inode, device), so that a file that nobody
touched is not read to be trusted. One that was touched is hashed once per process, and refused if it changed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError
from pipeline.core.files.names import INPUTS

KEY = b"tamis.text_in"  # of the footer's metadata
SETTLED_NS = 2_000_000_000  # assumption: no file system's clock is coarser (FAT's ticks every 2 s)


class TextGoneError(DataError):
    """The text of a documents file lay in a user's file that is gone or has changed since."""


Stamp = tuple[int, ...]  # size, mtime, ctime, inode, device


@dataclass(frozen=True, slots=True)
class InPlace:
    """Where the text of a documents file lies: all rows of some row groups, but for those skipped."""

    file: str  # label in inputs.json
    blake3: str  # of the whole file
    column: str
    first_group: int
    past_group: int
    skipped: tuple[int, ...]  # rows of these groups that are no documents, from 0, ascending

    def footer(self) -> dict[bytes, bytes]:
        """Return the metadata that says so."""
        return {KEY: json.dumps(asdict(self), sort_keys=True).encode()}

    @staticmethod
    def of(metadata: Mapping[bytes, bytes] | None, *, path: Path) -> InPlace | None:
        """Return what the footer of a file says, None where its text lies in itself; DataError if it makes no sense."""
        found = (metadata or {}).get(KEY)
        if found is None:
            return None
        try:
            plain: dict[str, Any] = json.loads(found)
            return InPlace(**{**plain, "skipped": tuple(plain["skipped"])})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{path}: its footer says where its text lies ({KEY.decode()}), but not as Tamis writes it ({error}). "
                "Write the file again without that key."
            ) from error


def stamp_of(path: Path) -> Stamp:
    """Return what changes when a file does; raises what opening it raises."""
    from pipeline.core.files.stores.stored import present  # which stands above

    handle = os.open(
        present(path), os.O_RDONLY
    )  # opening makes a network file system ask its server, which stat does not
    try:
        found = os.fstat(handle)
    finally:
        os.close(handle)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def is_settled(stamp: Stamp, *, since: int) -> bool:
    """Say whether a file with this stamp was left alone long enough before `since`, in ns, for its times to tell."""
    return max(stamp[1:3]) + SETTLED_NS < since


def inputs_of(folder: Path) -> Mapping[str, tuple[str, Stamp]]:
    """Return path and stamp of each labelled file beside the documents of a folder; none where nothing is in place."""
    try:
        return _read_inputs(folder / INPUTS, stamp_of(folder / INPUTS))
    except FileNotFoundError:
        return {}


@lru_cache(maxsize=64)
def _read_inputs(path: Path, _: Stamp) -> Mapping[str, tuple[str, Stamp]]:
    from pipeline.core.files.record import read_record  # see `_hash_of`

    try:
        found: Mapping[str, tuple[str, list[int]]] = read_record(path)["files"]
        return {label: (_local(where), tuple(stamp)) for label, (where, stamp) in found.items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: is not as it was written ({error}). Run the recipe again, which writes it anew."
        ) from error


def _local(where: str | Mapping[str, Any]) -> str:
    """Return the path of a file, of a URL's the one at which it lies here or would lie."""
    if isinstance(where, str):
        return where
    from pipeline.core.files.stores.inputs import Origin, place_again

    return str(place_again(Origin(**where)))


def located(paths: Mapping[str, Path], *, hashed_at: int) -> str:
    """Return the content of inputs.json; an empty stamp for a file that changed just before it was hashed."""
    from pipeline.core.files.record import record_text
    from pipeline.core.files.stores.inputs import origin_of

    found: dict[str, list[Any]] = {}
    for label, path in sorted(paths.items()):
        origin = origin_of(path)
        if origin is not None:
            found[label] = [asdict(origin), []]
            continue
        stamp = stamp_of(path)
        found[label] = [str(path.absolute()), list(stamp) if is_settled(stamp, since=hashed_at) else []]
    return record_text({"files": found})


def file_of(documents: Path, text: InPlace) -> Path:
    """Return the file that holds the text of a documents file; DataError if it is gone or has changed since."""
    from pipeline.core.files.stores.stored import present  # which stands above

    folder = documents.parent
    known = inputs_of(folder).get(text.file)
    if known is None:
        raise DataError(
            f"{documents}: holds no text; it lies in {text.file!r}, and {folder / INPUTS} does not say where that is. "
            "Run the recipe of its workspace again; as an input, name the files that it was read from."
        )
    path = present(Path(known[0]))
    try:
        stamp = stamp_of(path)
        same = stamp == known[1] or _hash_of(path, stamp) == text.blake3
    except OSError as error:
        raise TextGoneError(
            f"{path}: cannot be read ({error.strerror or error}), and the documents in {folder} take their text from "
            f"it. Put it back; a source with `in_place: false` stores a copy and needs no such file."
        ) from error
    if not same:
        raise TextGoneError(
            f"{path}: changed since its documents were read into {folder}. Run the recipe again, which reads it anew, "
            "or put the old file back."
        )
    return path


def _hash_of(path: Path, stamp: Stamp) -> str:
    """Return a file's BLAKE3, computed once per process while its stamp stays the same and tells."""
    from pipeline.core.files.stores.inputs import digest_of, origin_of
    from pipeline.core.identity import hash_file  # proxies are trained, from stored files, where there is no BLAKE3

    if (path, stamp) in _hashes:
        return _hashes[path, stamp]
    origin = origin_of(path)
    if origin is not None and origin.is_certain:
        return digest_of(path, origin)
    started = time.time_ns()
    digest = hash_file(path)  # of the copy that is here, whatever its URL gives by now
    if is_settled(stamp, since=started):
        _hashes[path, stamp] = digest
    return digest


_hashes: dict[tuple[Path, Stamp], str] = {}
