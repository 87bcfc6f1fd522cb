"""JSON lines into documents: plain, gzip or Zstandard, one object per line.

A plain file is cut into slices of about 64 MiB at line ends; a compressed one is a single slice, streamed with bounded
memory. A line costs at most itself: what is not UTF-8, not an object, ambiguous (a key twice) or too long is
quarantined. A compressed stream that ends early or is damaged is a DataError that names the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from pipeline.core.files.reading.json_lines import parse_object
from pipeline.core.files.reading.lines import Line, codec_of, cut_lines, iterate_lines
from pipeline.sources.files import FileParams, FileReader
from pipeline.sources.formats import advice
from pipeline.sources.reader import SLICE_BYTES, Chunk, Reason, Slice
from pipeline.sources.rows import ChunkBuilder, printable

# A JSON string may be longer than its text: a Cyrillic letter takes 2 bytes, its escape 6.
LINE_FACTOR = 3
NAMING_ROWS = 20  # whose keys are told: the first may be broken, or lack some


class JsonlReader(FileReader):
    """Reads one document per line of JSON."""

    name: ClassVar[str] = "jsonl"
    version: ClassVar[int] = 2
    Params = FileParams
    params: FileParams
    unit: ClassVar[str] = "line"  # of a file, in places of rows that were refused

    def slices(self) -> list[Slice]:
        slices: list[Slice] = []
        for file in self.files():
            if codec_of(file.path) is not None or self.params.stops:  # cutting a file reads all of it
                slices.append(Slice(len(slices), str(file.path), (file.label, 0, -1, 0), file.path.name))
                continue
            for start, end, first in cut_lines(file.path, slice_bytes=SLICE_BYTES):
                label = f"{file.path.name} from line {first + 1}"
                slices.append(Slice(len(slices), str(file.path), (file.label, start, end, first), label))
        return slices

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        rows = ChunkBuilder(
            source=self.source, origin=self.params.origin, max_document_bytes=self.params.max_document_bytes, most=most
        )
        for line in self.lines(piece, cap=LINE_FACTOR * self.params.max_document_bytes):
            self._add(rows, line, piece.detail[0])
            if rows.full:
                yield rows.take()
            if rows.enough:
                break
        if rows.num_rows:
            yield rows.take()

    def lines(self, piece: Slice, *, cap: int) -> Iterator[Line]:
        """Yield what may each be a document, none longer than `cap` bytes."""
        _, start, end, first = piece.detail
        return iterate_lines(Path(piece.path), start=start, end=end, first_number=first, cap=cap)

    def names(self) -> list[str]:
        file = self.files()[0]
        whole = Slice(0, str(file.path), (file.label, 0, -1, 0), file.path.name)
        rows = (parse_object(line.data) for line in islice(self.lines(whole, cap=SLICE_BYTES), NAMING_ROWS))
        return [
            printable(name) for name in dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row)
        ]

    def other_way(self) -> str:
        return advice(self.files()[0].path, reader=self.name)

    def _add(self, rows: ChunkBuilder, line: Line, label: str) -> None:
        place = f"{label} {self.unit} {line.number + 1}"
        number = f"{self.source}/{label}:{line.number}"
        if line.cut:
            return rows.reject("too_large", id=number, place=place, excerpt=line.data)
        parsed = parse_object(line.data)
        if isinstance(parsed, str):
            return rows.reject(parsed, id=number, place=place, excerpt=line.data)
        id, reason = self._id(parsed, number)
        text = parsed.get(self.params.text)
        if not isinstance(text, str):
            missing: Reason = "null_text" if self.params.text in parsed else "missing_text"
            return rows.reject(missing if text is None else "wrong_type", id=id, place=place, excerpt=line.data)
        if reason is not None:
            return rows.reject(reason, id=id, place=place, excerpt=text)
        return rows.add(id=id, text=text, metadata=self._metadata(parsed), place=place)

    def _id(self, parsed: dict[str, Any], number: str) -> tuple[str, Reason | None]:
        if self.params.id is None:
            return number, None
        value = parsed.get(self.params.id)
        if value is None or value == "":
            return number, "null_id"
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            return number, "wrong_type"
        return str(value), None

    def _metadata(self, parsed: dict[str, Any]) -> dict[str, Any]:
        if self.params.metadata == "none":
            return {}
        if self.params.metadata == "all":
            return {key: value for key, value in parsed.items() if key not in (self.params.text, self.params.id)}
        return {key: parsed.get(key) for key in self.params.metadata}
