"""JSON that is no JSON lines into documents: one array of objects, or objects over many lines, plain or packed.

A file is one slice, read with the memory of its longest item. An item costs at most itself, as a line of JSON does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.core.files.reading.json_items import iterate_items
from pipeline.core.files.reading.lines import Line
from pipeline.sources.reader import Slice
from pipeline.sources.texts.jsonl import JsonlReader


class JsonReader(JsonlReader):
    """Reads one document per item of an array, or per object."""

    name: ClassVar[str] = "json"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "item"

    def slices(self) -> list[Slice]:
        return [
            Slice(index, str(file.path), (file.label, 0, -1, 0), file.path.name)
            for index, file in enumerate(self.files())
        ]

    def lines(self, piece: Slice, *, cap: int) -> Iterator[Line]:
        return iterate_items(Path(piece.path), cap=cap)
