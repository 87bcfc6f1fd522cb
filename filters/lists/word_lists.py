"""Lists in files, one entry per line -> entries, or a sorted array of their hashes that answers what is listed.

A file is UTF-8 text, plain or .gz; blank lines and lines that begin with # count for nothing. Hashes take 8 bytes an
entry: the 4.6 million domains of datatrove's blocklist 36 MB, where its Python set takes 485 MiB per worker. They lie
in one file that all workers map (`HashedList.once`), and that ends with a checksum: every process compares it first,
in 1 to 5 ms for 36 MB in memory. Among a billion look-ups in such a list, 64 bits give one false match in about 4,000
runs.
"""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import xxhash
from filelock import FileLock

from pipeline.core.errors import DataError
from pipeline.core.files.writing.durable import write_atomically
from pipeline.core.identity import hash_file, identity_of

BLOCK_ENTRIES = 1 << 18  # hashed at a time, so that the entries themselves never fill the memory
SUFFIX = ".hashes"  # of a shared list: its hashes as they lie in memory, then CHECK_WORDS words of checksum
CHECK_WORDS = 2  # xxh3 of 128 bits
KEPT_SECONDS = 14 * 24 * 3600  # since a process last mapped it; longer than a run starts workers


def entries_of(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the entries of all files in order; DataError if a file cannot be read as text."""
    for path in paths:
        try:
            with path.open("rb") as raw, gzip.open(raw) if path.suffix == ".gz" else raw as file:
                for line in file:
                    entry = line.decode().strip()
                    if entry and not entry.startswith("#"):
                        yield entry
        except (UnicodeDecodeError, EOFError, OSError) as error:
            raise DataError(
                f"{path}: cannot be read as a list ({error}). Give UTF-8 text, one entry a line."
            ) from error


@dataclass(frozen=True, slots=True)
class HashedList:
    """The entries of a list as sorted hashes, and a quick no to most of what is not listed."""

    hashes: np.ndarray  # uint64[num_entries]
    marks: np.ndarray  # uint64[2 ** n], 4 to 8 bits an entry

    @staticmethod
    def of_hashes(hashes: np.ndarray) -> HashedList:
        """Return the list of these hashes, sorted and each once."""
        from filters.lists.list_kernels import mark_hashes

        return HashedList(hashes=hashes, marks=mark_hashes(hashes, max(6, len(hashes).bit_length() + 2)))

    @staticmethod
    def of(entries: Iterable[str], *, normalise: Callable[[str], str]) -> HashedList:
        """Hash every entry as `normalise` writes it; those that become nothing are left out."""
        stream = iter(entries)
        blocks = [np.zeros(0, np.uint64)]
        while block := list(islice(stream, BLOCK_ENTRIES)):
            blocks.append(hashes_of([entry for entry in map(normalise, block) if entry]))
        return HashedList.of_hashes(sorted_once(np.concatenate(blocks)))

    @staticmethod
    def once(
        folder: Path | None, *, kind: str, version: int, paths: Sequence[Path], build: Callable[[], HashedList]
    ) -> HashedList:
        """Return what `build` makes of the files, built by one of the processes that share a folder and mapped by all.

        `kind` and `version` name what `build` does with them. Without a folder the list is built here and held in
        memory. DataError if a file changes while the list is built.
        """
        if folder is None:
            return build()
        content = [_content_of(path) for path in paths]
        path = folder / f"{kind}-{_name_of(content, version=version)}{SUFFIX}"
        hashes = _mapped(path)
        if hashes is None:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{path.name}.lock"):
                hashes = _mapped(path)  # by now
                if hashes is None:
                    _sweep(folder, path)
                    built = build().hashes
                    _refuse_changed(paths, content)
                    hashes = _saved(path, built)
        return HashedList.of_hashes(hashes)

    def holds(self, hashes: np.ndarray) -> np.ndarray:
        """Return bool[len(hashes)]: which of them are listed."""
        from filters.lists.list_kernels import are_listed

        found: np.ndarray = are_listed(self.hashes, self.marks, hashes)
        return found


def _content_of(path: Path) -> list[str]:
    """Return the suffix, by which a file is read, and the BLAKE3 of its bytes."""
    try:
        return [path.suffix, hash_file(path)]
    except OSError as error:
        raise DataError(f"{path}: cannot be read as a list ({error.strerror or error}). Name another file.") from error


def _name_of(content: Sequence[Sequence[str]], *, version: int) -> str:
    from filters.lists.list_kernels import HASH_VERSION

    return identity_of([HASH_VERSION, version, content])[:16]


def _refuse_changed(paths: Sequence[Path], content: Sequence[Sequence[str]]) -> None:
    """DataError if a file is not what it was when the list was named after it."""
    for path, before in zip(paths, content, strict=True):
        if _content_of(path) != before:
            raise DataError(f"{path}: changed while it was read as a list. Run again when it is whole.")


def _saved(path: Path, hashes: np.ndarray) -> np.ndarray:
    """Write a shared list durably and atomically; return it mapped."""

    def write(file: BinaryIO) -> None:
        file.write(hashes.data)
        file.write(xxhash.xxh3_128_digest(hashes.data))

    write_atomically(path, write)
    found = _mapped(path)
    if found is None:
        raise DataError(f"{path}: does not read back as it was written. Check the disk and run again.")
    return found


def _mapped(path: Path) -> np.ndarray | None:
    """Map a shared list read-only; None if it is not there, or not as it was written."""
    try:
        words = np.memmap(path, np.uint64, mode="r")
    except (OSError, ValueError):  # the latter: empty, or no whole words
        return None
    hashes = words[:-CHECK_WORDS]
    if xxhash.xxh3_128_digest(hashes.data) != words[-CHECK_WORDS:].tobytes():
        return None
    with suppress(OSError):  # another user's, or just swept by a process that builds another list
        os.utime(path)
    return hashes


def _sweep(folder: Path, path: Path) -> None:
    """Remove what a killed worker left of a list, and lists that no process has mapped for long."""
    before = time.time() - KEPT_SECONDS
    for left in folder.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)
    for old in folder.iterdir():
        with suppress(OSError):  # another process sweeps too
            if old.is_file() and old.stat().st_mtime < before:
                old.unlink()


def sorted_once(hashes: np.ndarray) -> np.ndarray:
    """Return the hashes in order, each once; np.unique takes 10 times as long for millions of them."""
    ordered = np.sort(hashes)
    once: np.ndarray = ordered[np.concatenate([np.ones(min(len(ordered), 1), np.bool_), ordered[1:] != ordered[:-1]])]
    return once


def hashes_of(strings: Sequence[str]) -> np.ndarray:
    """Return uint64[len(strings)]: a hash of each."""
    return hashes_of_array(pa.array(strings, pa.large_string()))


def hashes_of_array(strings: pa.Array) -> np.ndarray:
    """Return uint64[len(strings)]: a hash of each string of a string or large_string array; of a null, as of ''."""
    from filters.lists.list_kernels import hash_spans

    _, offsets, values = strings.buffers()
    wide = np.int64 if pa.types.is_large_string(strings.type) else np.int32
    ends = np.frombuffer(offsets, wide)[strings.offset :][: len(strings) + 1] if offsets else np.zeros(1, wide)
    data = np.frombuffer(values, np.uint8) if values is not None else np.zeros(0, np.uint8)
    hashes: np.ndarray = hash_spans(data, ends[:-1], ends[1:])
    return hashes
