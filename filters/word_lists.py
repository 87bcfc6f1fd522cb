"""Lists in files, one entry per line -> entries, or a sorted array of their hashes that answers what is listed.

A file is UTF-8 text, plain or .gz; blank lines and lines that begin with # count for nothing. Hashes take 8 bytes an
entry: the 4.6 million domains of datatrove's blocklist 36 MB, where its Python set takes 485 MiB per worker. They lie
in one file that all workers map (`HashedList.once`). Among a billion look-ups in such a list, 64 bits give one false
match in about 4,000 runs.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from filelock import FileLock

from filters.scratch import open_array, save_array
from pipeline.core.errors import DataError

BLOCK_ENTRIES = 1 << 18  # hashed at a time, so that the entries themselves never fill the memory


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
        from filters.list_kernels import mark_hashes

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
    def once(folder: Path | None, *, name: str, build: Callable[[], HashedList]) -> HashedList:
        """Return what `build` returns, built by one of the processes that share a folder and mapped by all.

        `name` must name the content. Without a folder the list is built here and held in memory.
        """
        if folder is None:
            return build()
        path = folder / f"{name}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{name}.lock"):
                for left in folder.glob(f".{path.name}.*.tmp"):  # of a worker that was killed
                    left.unlink(missing_ok=True)
                if not path.exists():
                    save_array(path, build().hashes)
        return HashedList.of_hashes(open_array(path))

    def holds(self, hashes: np.ndarray) -> np.ndarray:
        """Return bool[len(hashes)]: which of them are listed."""
        from filters.list_kernels import are_listed

        found: np.ndarray = are_listed(self.hashes, self.marks, hashes)
        return found


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
    from filters.list_kernels import hash_spans

    _, offsets, values = strings.buffers()
    wide = np.int64 if pa.types.is_large_string(strings.type) else np.int32
    ends = np.frombuffer(offsets, wide)[strings.offset :][: len(strings) + 1] if offsets else np.zeros(1, wide)
    data = np.frombuffer(values, np.uint8) if values is not None else np.zeros(0, np.uint8)
    hashes: np.ndarray = hash_spans(data, ends[:-1], ends[1:])
    return hashes
