"""A sum beside each file of an unfinished result: what a resumed run finds, it uses only if it is as it was written.

A killed run leaves files at their final names, and the next one goes on from them. A bit that flipped meanwhile would
end in the result unseen, or crash what maps the file. So size and XXH3-128 of such a file lie in `scratch/NAME.sum`
beside it, written before the file gets its name; a file that no sum fits is removed and made again. The sum of the file
that is replaced stands there too, so that a kill between the two names costs neither. A sum costs 0.2 s
of one core's time per GB and 0.2 ms per file; a finished result has none, as its card holds the BLAKE3 of every file.
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.core.files.writing.attempts import temporary

SUMS = "scratch"  # folder beside the files; the scratch folder of a result, which goes once its card is written
MOST_NOTED = 8  # sums kept of a file: as many kills in a row between two names cost nothing
PIECE_BYTES = 1 << 20  # read at a time: hashed while it is in the cache


class Checked(RawIOBase):
    """A file being written from its start to its end: its bytes are counted and, on demand, summed.

    To numpy it is not a file of the system, whose `tofile` writes past Python and loses the last error of a full disk.
    """

    def __init__(self, file: BinaryIO, *, summed: bool) -> None:
        self.file, self.size_bytes = file, 0
        self._sum = _new_sum() if summed else None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if size:
            self.file.write(data)
            self.size_bytes += size
            if self._sum is not None:
                self._sum.update(data)
        return size

    def tell(self) -> int:
        return self.size_bytes

    def finish(self) -> None:
        """Hand everything to the system; OSError if it has another number of bytes than were written."""
        self.file.flush()
        arrived = os.fstat(self.file.fileno()).st_size
        if arrived != self.size_bytes:
            raise OSError(f"{arrived:,} of {self.size_bytes:,} bytes arrived")

    def sum(self) -> str:
        """Return size and sum as a line of a sum file."""
        assert self._sum is not None
        return f"{self.size_bytes} {self._sum.hexdigest()}"


def sum_path(path: Path) -> Path:
    """Return where the sum of a file lies."""
    return path.parent / SUMS / f"{path.name}.sum"


def note_sum(path: Path, found: str) -> None:
    """Note the sum of what is about to be renamed to `path`, and keep that of what is there."""
    place = sum_path(path)
    place.parent.mkdir(exist_ok=True)
    lines = [found, *(_noted(path)[:MOST_NOTED] if path.exists() else ())]
    unnamed = temporary(place)
    try:
        unnamed.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        os.replace(unnamed, place)
    except BaseException:  # a full disk, mostly
        unnamed.unlink(missing_ok=True)
        raise


def move_whole(path: Path, to: Path) -> None:
    """Rename a file with its sum, in an order in which a kill costs neither; nothing happens where there is none."""
    if path.exists() and (lines := _noted(path)):
        note_sum(to, lines[0])
        os.replace(path, to)
        sum_path(path).unlink(missing_ok=True)


def is_whole(path: Path) -> bool:
    """Say whether a file of an unfinished result is there as it was written; one that is not is removed."""
    try:
        with path.open("rb", buffering=0) as file:
            found = _sum_of(file)
    except FileNotFoundError:
        return False
    except OSError:  # a disk that cannot read it any more
        found = ""
    if found in _noted(path):
        return True
    with suppress(OSError):  # who makes it again says what is wrong with the place
        path.unlink(missing_ok=True)
    return False


def are_whole(*paths: Path) -> bool:
    """Say whether all these files are whole; each that is not is removed."""
    return all([is_whole(path) for path in paths])  # a list: every one is looked at


def _sum_of(file: RawIOBase | Any) -> str:
    size, total = 0, _new_sum()
    while piece := file.read(PIECE_BYTES):
        size += len(piece)
        total.update(piece)
    return f"{size} {total.hexdigest()}"


def _noted(path: Path) -> list[str]:
    try:
        return sum_path(path).read_bytes().decode("ascii", "replace").splitlines()
    except OSError:
        return []


def _new_sum() -> Any:
    try:
        from xxhash import xxh3_128
    except ImportError:  # proxies are trained where only torch, numpy and pyarrow are installed
        from hashlib import blake2b

        return blake2b(digest_size=16)
    return xxh3_128()
