"""Text files into documents, one of each file: plain, gzip or Zstandard, in UTF-8.

A document's id is its file's name, or where two are alike, its path below the folder that all have in common. A file
that is not UTF-8 is quarantined whole. Small files share a slice, and no more of a file is decompressed than a
document may hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.core.files.reading.lines import BOM, iterate_blocks
from pipeline.core.files.stores.stored import present
from pipeline.sources.files import FileReader, InputFile
from pipeline.sources.reader import Chunk, Slice
from pipeline.sources.rows import ChunkBuilder

PIECE_BYTES = 16 << 20  # of files, as stored, in a slice
PIECE_FILES = 10_000


class TextReader(FileReader):
    """Reads one document per file."""

    name: ClassVar[str] = "text"
    version: ClassVar[int] = 1

    def slices(self) -> list[Slice]:
        return pieces(self.files())

    def files_in(self, piece: Slice) -> tuple[str, ...]:
        return tuple(label for label, _ in piece.detail)

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        rows = ChunkBuilder(
            source=self.source, origin=self.params.origin, max_document_bytes=self.params.max_document_bytes, most=most
        )
        for label, path in piece.detail:
            self._add(rows, present(Path(path)), label)
            if rows.full:
                yield rows.take()
            if rows.enough:
                break
        if rows.num_rows:
            yield rows.take()

    def _add(self, rows: ChunkBuilder, path: Path, label: str) -> None:
        id = f"{self.source}/{label}"
        content = self._content(path)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            cut = len(content) > self.params.max_document_bytes + len(BOM)  # perhaps in a character
            return rows.reject("too_large" if cut else "invalid_utf8", id=id, place=label, excerpt=content)
        return rows.add(id=id, text=text, metadata={"file": label}, place=label)

    def _content(self, path: Path) -> bytes:
        """Return a file's bytes, decompressed; of one that is too large about as many as tell that it is."""
        found, size = [], 0
        for block in iterate_blocks(path, start=0, end=-1):
            found.append(block)
            size += len(block)
            if size > self.params.max_document_bytes + len(BOM):
                break
        return b"".join(found)


def pieces(files: Iterable[InputFile]) -> list[Slice]:
    """Return slices of whole files, small ones together."""
    slices: list[Slice] = []
    held: list[tuple[str, str]] = []
    size = 0
    for file in files:
        held.append((file.label, str(file.where)))
        size += file.size_bytes
        if size >= PIECE_BYTES or len(held) == PIECE_FILES:
            slices.append(_piece(len(slices), held))
            held, size = [], 0
    return [*slices, _piece(len(slices), held)] if held else slices


def _piece(index: int, files: list[tuple[str, str]]) -> Slice:
    first, last = files[0][0], files[-1][0]
    return Slice(index, files[0][1], tuple(files), first if first == last else f"{first} to {last}")
