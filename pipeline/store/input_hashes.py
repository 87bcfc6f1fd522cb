"""Content hashes of input files, remembered: a file that nobody touched since is not read again to be named.

Hashing takes 0.4 to 0.7 s for each gigabyte that comes from a disk, 0.2 s for one in memory (one core, measured), and
a question about a recipe would pay that each time. A hash is remembered for a path with size, times of change (mtime,
and ctime, which no tool sets back), inode and device, and used only while all of them are the same. A clock ticks
coarsely, so an edit within one tick leaves the times as they are: a file that changed less than 2 s before it was
hashed is therefore not remembered (git calls such files racily clean). `tamis run` writes the memo; deleting it costs
one reading of the inputs. What guards results (`verify`, `promote`) reads every byte.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from pipeline.core.files.parquet.in_place import Stamp, is_settled, stamp_of
from pipeline.core.files.stores.inputs import digest_of, origin_of
from pipeline.core.files.writing.durable import write_text
from pipeline.core.identity import hash_file

MEMO = "input_hashes"  # in the workspace


class InputHashes:
    """BLAKE3 by path. Without a memo every file is read."""

    def __init__(self, memo: Path | None = None) -> None:
        self.memo = memo
        self._known: dict[str, tuple[Stamp, str]] = {} if memo is None else _read(memo)
        self._new: dict[str, tuple[Stamp, str]] = {}

    def of(self, path: Path) -> str:
        """Return the BLAKE3 hex of a file's content, as `hash_file` does; raises what reading it raises."""
        origin = origin_of(path)
        if origin is not None:
            return digest_of(path, origin)
        key, stamp = str(path.absolute()), stamp_of(path)
        known = self._new.get(key, self._known.get(key))
        if known is not None and known[0] == stamp:
            return known[1]
        started = time.time_ns()
        digest = hash_file(path)
        if stamp_of(path) == stamp and is_settled(stamp, since=started):
            self._new[key] = (stamp, digest)
        return digest

    def save(self) -> None:
        """Write what was learnt, for the next command; the caller holds the workspace's lock."""
        if self.memo is None or not self._new:
            return
        self._known = {key: entry for key, entry in self._known.items() if Path(key).exists()} | self._new
        self._new = {}
        body = json.dumps(self._known, indent=0, sort_keys=True)
        write_text(self.memo, f"{_checksum(body)}\n{body}\n")


def _checksum(body: str) -> str:
    return blake3(body.encode()).hexdigest()


def _read(memo: Path) -> dict[str, tuple[Stamp, str]]:
    """Return what a memo holds; nothing if it is not there or not as it was written."""
    try:
        checksum, _, body = memo.read_text(encoding="utf-8").rstrip("\n").partition("\n")
    except (FileNotFoundError, UnicodeDecodeError):
        return {}
    if _checksum(body) != checksum:
        return {}
    entries: Mapping[str, tuple[list[int], str]] = json.loads(body)
    return {key: (tuple(stamp), digest) for key, (stamp, digest) in entries.items()}
