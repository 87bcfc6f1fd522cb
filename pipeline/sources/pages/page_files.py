"""HTML pages and PDF files into documents, one of each file: their text by an extractor, in a process that may be lost.

A file that takes its extractor more than `max_seconds` or `max_memory_bytes` is quarantined as `extraction_timeout`,
one that breaks it as `extraction_failed`; nobody else pays. Small files share a slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.core.errors import RecipeError
from pipeline.core.files.reading.lines import iterate_blocks
from pipeline.core.files.stores.stored import present
from pipeline.core.identity import HashFile, hash_file
from pipeline.sources.files import FileReader, PathParams
from pipeline.sources.formats import advice
from pipeline.sources.pages.extractor import Extractor, PageExtractor, lacking
from pipeline.sources.reader import Chunk, Slice
from pipeline.sources.rows import ChunkBuilder
from pipeline.sources.texts.text import pieces


class ExtractingParams(PathParams):
    """Which files, and what each may cost."""

    max_page_bytes: int = Field(
        default=50_000_000, ge=1, le=1_000_000_000,
        description="Longest file, in bytes after decompression, that is looked at; longer ones are too_large.",
    )  # fmt: skip
    max_seconds: float = Field(
        default=20.0, ge=0.01, le=3600, description="Processor time that one file may take, seconds."
    )
    max_memory_bytes: int = Field(
        default=2_000_000_000, ge=10_000_000,
        description="Memory that the extractor may take besides its own, bytes; needs Linux.",
    )  # fmt: skip


class HtmlParams(ExtractingParams):
    """Which pages, and how they become text."""

    extractor: Literal["resiliparse", "trafilatura"] = Field(
        default="resiliparse", description="What turns a page into text; extra [web]."
    )


class ExtractingReader(FileReader):
    """Reads one document per file, by an extractor."""

    Params: ClassVar[type[ExtractingParams]] = ExtractingParams
    params: ExtractingParams
    extra: ClassVar[str]  # that holds the extractor

    @property
    def extractor(self) -> Extractor:
        raise NotImplementedError

    def check(self) -> None:
        """Raise RecipeError unless the paths name files and the extractor is installed."""
        if missing := lacking(self.extractor):
            raise RecipeError(
                f"sources.{self.source}: `read: {self.name}` needs {' and '.join(missing)} of the extra [{self.extra}],"
                f" not installed here. Run: pip install -e '.[{self.extra}]'"
            )
        super().check()

    def inputs(self, hash_file: HashFile = hash_file) -> dict[str, Any]:
        """Name the files by content, and the extractor by its version, since it decides what a file says."""
        return {**super().inputs(hash_file), "extractor": f"{self.extractor} {metadata.version(self.extractor)}"}

    def slices(self) -> list[Slice]:
        return pieces(self.files())

    def files_in(self, piece: Slice) -> tuple[str, ...]:
        return tuple(label for label, _ in piece.detail)

    def other_way(self) -> str:
        return advice(self.files()[0].path, reader=self.name)

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        rows = ChunkBuilder(
            source=self.source, origin=self.params.origin, max_document_bytes=self.params.max_document_bytes, most=most
        )
        with PageExtractor(
            self.extractor, max_seconds=self.params.max_seconds, max_memory_bytes=self.params.max_memory_bytes
        ) as extractor:
            for label, path in piece.detail:
                self._add(rows, present(Path(path)), label, extractor)
                if rows.full:
                    yield rows.take()
                if rows.enough:
                    break
        if rows.num_rows:
            yield rows.take()

    def _add(self, rows: ChunkBuilder, path: Path, label: str, extractor: PageExtractor) -> None:
        id, page = f"{self.source}/{label}", bytearray()
        for block in iterate_blocks(path, start=0, end=-1):
            page += block
            if len(page) > self.params.max_page_bytes:
                return rows.reject("too_large", id=id, place=label, excerpt=bytes(page[:200]))
        found = extractor.extract(bytes(page), charset="")
        if found.failure is not None:
            return rows.reject(found.failure, id=id, place=label, excerpt=bytes(page[:200]))
        return rows.add(id=id, text=found.text, metadata={"file": label}, place=label)


class HtmlReader(ExtractingReader):
    """Reads one document per HTML page."""

    name: ClassVar[str] = "html"
    version: ClassVar[int] = 1
    extra: ClassVar[str] = "web"
    Params = HtmlParams
    params: HtmlParams

    @property
    def extractor(self) -> Extractor:
        return self.params.extractor


class PdfReader(ExtractingReader):
    """Reads one document per PDF: the text that it holds, page after page; a scan without text is empty."""

    name: ClassVar[str] = "pdf"
    version: ClassVar[int] = 1
    extra: ClassVar[str] = "pdf"

    @property
    def extractor(self) -> Extractor:
        return "pypdfium2"
