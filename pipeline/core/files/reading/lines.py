"""A file of lines, plain or compressed, as byte strings of bounded length.

Blocks of 1 MiB are decompressed at a time, so 6 kB of Zstandard that decode to 400 MB cost 1 MiB and not 400. Arrow's
streams notice a truncated or damaged stream at its end, which zstandard's own stream reader passes over in silence;
they refuse frames that want a window above 128 MiB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.core.errors import DataError

BLOCK_BYTES = 2**20
KEPT_OF_LONG_LINE = 1000
# A file may decode to 4 GiB whatever its size, and beyond that to 5,000 times its size: gzip cannot exceed 1,032 : 1,
# and what Zstandard shrinks more than 5,000-fold is not text.
FREE_BYTES = 2**32
MAX_EXPANSION = 5000
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end. `cut` says that it was longer than the cap and `data` is only its beginning."""

    number: int  # from 0 over the whole file
    data: bytes
    cut: bool


def codec_of(path: Path) -> str | None:
    """Return `gzip`, `zstd` or None for plain, by the name's suffix and otherwise by the first bytes."""
    if path.suffix in (".gz", ".zst"):
        return "gzip" if path.suffix == ".gz" else "zstd"
    with _reading(path), path.open("rb") as file:
        head = file.read(4)
    return next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), None)


def cut_lines(path: Path, *, slice_bytes: int) -> list[tuple[int, int, int]]:
    """Cut a plain file at line ends into (first byte, byte after the last, number of the first line)."""
    pieces: list[tuple[int, int, int]] = []
    start = first = position = lines = 0
    for block in iterate_blocks(path, start=0, end=-1):
        position += len(block)
        lines += block.count(b"\n")
        end = block.rfind(b"\n")
        if position - start >= slice_bytes and end >= 0:
            stop = position - len(block) + end + 1
            pieces.append((start, stop, first))
            start, first = stop, lines
    if position > start:
        pieces.append((start, position, first))
    return pieces


def iterate_lines(path: Path, *, start: int, end: int, first_number: int, cap: int) -> Iterator[Line]:
    """Yield the lines between two bytes (end -1: the whole file), white ones left out, none longer than the cap."""
    number = first_number
    rest, cut = b"", False
    for block in iterate_blocks(path, start=start, end=end):
        lines = (block if cut else rest + block).split(b"\n")
        last = lines.pop()
        for data in lines:
            whole, was_cut = (rest, True) if cut else (data, False)
            rest, cut = b"", False
            yield from _line(number, whole, was_cut, cap)
            number += 1
        rest = rest if cut else last
        if len(rest) > cap:
            rest, cut = rest[:KEPT_OF_LONG_LINE], True
    yield from _line(number, rest, cut, cap)


def _line(number: int, data: bytes, cut: bool, cap: int) -> Iterator[Line]:
    data = data.removeprefix(BOM) if number == 0 else data
    if cut or len(data) > cap:
        yield Line(number, data[:KEPT_OF_LONG_LINE], True)
    elif data and not data.isspace():
        yield Line(number, data, False)


def iterate_blocks(path: Path, *, start: int, end: int) -> Iterator[bytes]:
    """Yield decoded blocks of at most 1 MiB; DataError for a damaged or truncated stream and for a bomb."""
    codec = codec_of(path)
    with _reading(path), pa.OSFile(str(path)) as file:
        file.seek(start)
        budget = end - start if end >= 0 else MAX_EXPANSION * file.size() + FREE_BYTES
        if codec is not None and file.size() == 0:
            raise OSError("an empty file is not a compressed stream")
        stream = file if codec is None else pa.CompressedInputStream(file, codec)
        while block := stream.read(min(BLOCK_BYTES, budget)):
            budget -= len(block)
            yield block
            if budget == 0 and end < 0:
                raise DataError(
                    f"{path}: grows more than {MAX_EXPANSION}-fold when decoded. Take it out of the recipe."
                )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: cannot be read ({reason}). Replace the file or take it out of the recipe.") from error
