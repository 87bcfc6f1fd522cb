"""Web archives into documents: the HTML pages of WARC files, by an extractor, and the texts of WET files as they are.

A document is a `response` record with status 2xx and an HTML type, or a `conversion` record of plain text, which is
what Common Crawl's WET files hold; all other records are passed over, so a WAT file has none. A page's text comes from
resiliparse (fast) or trafilatura (slower, stricter about what is main content), in a child process that a page may
cost no more than `max_seconds` and `max_memory_bytes`: what goes beyond is quarantined as `extraction_timeout`, what
breaks the extractor as `extraction_failed`. A file is one slice, read with bounded memory; an archive that is damaged
or ends early is a DataError that names the file.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.identity import HashFile, hash_file
from pipeline.core.step import input_names
from pipeline.sources.files import FileReader, InputFile, PathParams
from pipeline.sources.listed_files import find_listed
from pipeline.sources.pages.extractor import Extractor, PageExtractor, lacking
from pipeline.sources.pages.gzip_members import GzipMembers
from pipeline.sources.reader import Chunk, Slice
from pipeline.sources.rows import ChunkBuilder

Decoding = Literal["all", "none"]
HTML_TYPES = ("text/html", "application/xhtml+xml")
PLAIN_TYPE = "text/plain"
GZIP_MAGIC = b"\x1f\x8b"
DECODINGS: tuple[Decoding, ...] = ("all", "none")  # a body that is not coded as its header says is taken as it is
HEAD_BYTES = 65536  # of a response's block, for HTTP's own headers


class WarcParams(PathParams):
    """Which archives, and how their pages become text."""

    path: str | tuple[str, ...] = input_names(
        (), description="Archives to read: a path, URL or glob, or a list of them; or use `paths`."
    )
    paths: str | None = Field(
        default=None,
        description="File or URL that lists archives, one a line, such as the warc.paths.gz of Common Crawl.",
    )
    prefix: str = Field(
        default="", description="What stands before each line of `paths`, such as https://data.commoncrawl.org/."
    )
    max_files: int | None = Field(
        default=None, ge=1,
        description="Read only that many of `paths`, drawn by the hash of each line: more hold all of fewer.",
    )  # fmt: skip
    extractor: Extractor = Field(default="resiliparse", description="What turns a page into text; extra [web].")
    id: Literal["record", "url"] = Field(
        default="record", description="A document's id: the record's (WARC-Record-ID) or the page's address."
    )
    max_page_bytes: int = Field(
        default=20_000_000, ge=1, le=1_000_000_000,
        description="Longest page, in bytes after decompression, that is looked at; longer ones are too_large.",
    )  # fmt: skip
    max_seconds: float = Field(
        default=20.0, ge=0.01, le=3600, description="Processor time that one page may take, seconds."
    )
    max_memory_bytes: int = Field(
        default=2_000_000_000, ge=10_000_000,
        description="Memory that the extractor may take besides its own, bytes; needs Linux.",
    )  # fmt: skip


class WarcReader(FileReader):
    """Reads one document per HTML page."""

    name: ClassVar[str] = "warc"
    version: ClassVar[int] = 2
    Params = WarcParams
    params: WarcParams
    _listed: list[InputFile] | None = None

    def files(self) -> list[InputFile]:
        """Return the archives; of a list they are looked up once, a request for each, and asked for again by nobody."""
        if self.params.paths is None:
            if not self.params.path:
                raise RecipeError(
                    f"sources.{self.source}: needs `path`, or `paths`, a file that lists archives. Add one."
                )
            return super().files()
        if self._listed is None:
            self._listed = find_listed(
                self.params.paths, prefix=self.params.prefix, most=self.params.max_files, source=self.source,
                base=self.base,
            )  # fmt: skip
        return self._listed if self.only is None else [file for file in self._listed if file.label in self.only]

    def check(self) -> None:
        """Raise RecipeError unless the paths name files and the extractor is installed."""
        if self.params.paths is not None and self.params.path:
            raise RecipeError(
                f"sources.{self.source}: has `path` and `paths`; one of them says what to read. Remove one."
            )
        if self.params.paths is None and (self.params.prefix or self.params.max_files):
            key = "prefix" if self.params.prefix else "max_files"
            raise RecipeError(
                f"sources.{self.source}.{key}: is for a list of archives. Name it by `paths`, or remove it."
            )
        if missing := lacking(self.params.extractor):
            raise RecipeError(
                f"sources.{self.source}: reading web archives needs {' and '.join(missing)} of the extra [web], not "
                "installed here. Run: pip install -e '.[web]'"
            )
        super().check()

    def inputs(self, hash_file: HashFile = hash_file) -> dict[str, Any]:
        """Name the files by content, and the extractor by its version, since it decides what a page says."""
        extractor = f"{self.params.extractor} {metadata.version(self.params.extractor)}"
        return {**super().inputs(hash_file), "extractor": extractor}

    def slices(self) -> list[Slice]:
        return [Slice(index, str(file.path), (file.label,), file.path.name) for index, file in enumerate(self.files())]

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        rows = ChunkBuilder(
            source=self.source, origin=self.params.origin, max_document_bytes=self.params.max_document_bytes, most=most
        )
        with PageExtractor(
            self.params.extractor,
            max_seconds=self.params.max_seconds,
            max_memory_bytes=self.params.max_memory_bytes,
        ) as extractor:
            for number, page in enumerate(pages(Path(piece.path), max_page_bytes=self.params.max_page_bytes)):
                self._add(rows, page, f"{piece.detail[0]} page {number + 1}, {page.url}"[:300], extractor)
                if rows.full:
                    yield rows.take()
                if rows.enough:
                    break
        if rows.num_rows:
            yield rows.take()

    def _add(self, rows: ChunkBuilder, page: Page, place: str, extractor: PageExtractor) -> None:
        given = page.url if self.params.id == "url" else page.id
        if len(page.body) > self.params.max_page_bytes:
            return rows.reject("too_large", id=given, place=place, excerpt=page.body[:200])
        if page.content_type == PLAIN_TYPE:
            try:
                text = page.body.decode()
            except UnicodeDecodeError:
                return rows.reject("invalid_utf8", id=given, place=place, excerpt=page.body[:200])
        else:
            found = extractor.extract(page.body, charset=page.charset)
            if found.failure is not None:
                return rows.reject(found.failure, id=given, place=place, excerpt=page.body[:200])
            text = found.text
        fields = {"url": page.url, "date": page.date, "content_type": page.content_type, "status": page.status}
        return rows.add(id=given, text=text, metadata=fields, place=place)


@dataclass(frozen=True, slots=True)
class Page:
    """An HTML response or a text made of one; `body` is as the server sent it, and cut one byte above the limit."""

    id: str
    url: str
    date: str
    content_type: str
    charset: str
    status: int
    body: bytes


def pages(path: Path, *, max_page_bytes: int) -> Iterator[Page]:
    """Yield the pages and texts of an archive; DataError where it is damaged, after those that were whole."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    try:
        if path.stat().st_size == 0:
            raise EOFError("it is empty")
        with path.open("rb") as opened:
            stream: Any = GzipMembers(opened) if opened.peek(2)[:2] == GZIP_MAGIC else opened
            wanted_types = WarcRecordType.response | WarcRecordType.conversion
            for record in ArchiveIterator(stream, record_types=wanted_types, parse_http=False):
                wanted = min(record.content_length, max_page_bytes + HEAD_BYTES)
                block = record.reader.read(wanted)
                if len(block) < wanted:
                    raise EOFError(f"its last record has {len(block)} of {record.content_length} bytes")
                made = record.record_type == WarcRecordType.conversion
                page = _text(record, block, max_page_bytes) if made else _page(record, block, max_page_bytes)
                if page is not None:
                    yield page
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: is not a complete web archive ({error}). Fetch it again or take it out.") from error


def _page(record: Any, block: bytes, max_page_bytes: int) -> Page | None:
    """Return the page that a record's block holds; None for another type, another status, or no HTTP response."""
    for decoding in DECODINGS:
        try:
            answer = _http(block, decoding)
            body = answer.reader.read(max_page_bytes + 1)
        except OSError:
            continue
        status = None if answer.http_headers is None else answer.http_headers.status_code
        kind = (answer.http_content_type or "").lower()
        if status is None or not 200 <= status < 300 or kind not in HTML_TYPES:
            return None
        return Page(
            **_of_record(record),
            content_type=kind,
            charset=answer.http_charset or "",
            status=status,
            body=body,
        )
    return None


def _text(record: Any, block: bytes, max_page_bytes: int) -> Page | None:
    """Return the text that a record holds which somebody made of a page; None where it is not plain text."""
    kind = (record.headers.get("Content-Type") or "").lower()
    if kind.partition(";")[0].strip() != PLAIN_TYPE:
        return None
    return Page(
        **_of_record(record), content_type=PLAIN_TYPE, charset="utf-8", status=200, body=block[: max_page_bytes + 1]
    )


def _of_record(record: Any) -> dict[str, str]:
    return {
        "id": record.headers.get("WARC-Record-ID", "").strip("<>"),
        "url": record.headers.get("WARC-Target-URI", "").strip("<>"),
        "date": record.headers.get("WARC-Date", ""),
    }


def _http(block: bytes, decoding: Decoding) -> Any:
    """Return a record of this block alone, its HTTP headers parsed; fastwarc parses a record's only once."""
    from fastwarc.warc import ArchiveIterator

    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
    return next(ArchiveIterator(io.BytesIO(head.encode() + block + b"\r\n\r\n"), auto_decode=decoding))
