"""Documents one at a time into chunks, for readers that meet text row by row.

Refuses what cannot be stored or learned from: text that is not UTF-8, empty, too large, or holds NUL (which ends a
string in half of the tools downstream; sentencepiece 0.2.3 skips such a line). Whitespace-only text counts as empty.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pyarrow as pa

from pipeline.core.document import SCHEMA
from pipeline.sources.reader import CHUNK_BYTES, Chunk, Quarantined, Reason

MAX_ID_BYTES = 4096
EXCERPT_CHARACTERS = 200


class ChunkBuilder:
    """Collects rows until `full`, then `take` hands them over and starts again. After `most` rows it takes no more."""

    def __init__(self, *, source: str, origin: str, max_document_bytes: int, most: int | None = None) -> None:
        self.source = source
        self.origin = origin
        self.max_document_bytes = max_document_bytes
        self.most = most
        self.taken = 0
        self._clear()

    def _clear(self) -> None:
        self.ids: list[bytes] = []
        self.texts: list[bytes] = []
        self.metadata: list[bytes] = []
        self.quarantined: list[Quarantined] = []
        self.size_bytes = 0

    @property
    def full(self) -> bool:
        return self.size_bytes >= CHUNK_BYTES

    @property
    def enough(self) -> bool:
        return self.most is not None and self.taken + self.num_rows >= self.most

    @property
    def num_rows(self) -> int:
        return len(self.ids) + len(self.quarantined)

    def add(self, *, id: str, text: str, metadata: Mapping[str, object], place: str) -> None:
        """Keep one document, or quarantine it with the first reason that applies."""
        if self.enough:
            return None
        try:
            encoded = text.encode()
            key = id.encode()
            fields = encode_metadata(metadata)
        except UnicodeEncodeError:
            return self.reject("lone_surrogate", id=id, place=place, excerpt=text)
        except RecursionError:
            return self.reject("too_deep", id=id, place=place, excerpt=text)
        reason = refusal(text, size_bytes=len(encoded), id_bytes=len(key), max_document_bytes=self.max_document_bytes)
        if reason is not None:
            return self.reject(reason, id=id, place=place, excerpt=text)
        self.ids.append(key)
        self.texts.append(encoded)
        self.metadata.append(fields)
        self.size_bytes += len(encoded) + len(key) + len(fields)
        return None

    def reject(self, reason: Reason, *, id: str, place: str, excerpt: str | bytes = "") -> None:
        """Quarantine one row."""
        if self.enough:
            return
        row = Quarantined(printable(id), place, reason, printable(excerpt), after=len(self.ids))
        self.quarantined.append(row)
        self.size_bytes += 4 * EXCERPT_CHARACTERS

    def take(self) -> Chunk:
        """Return what was collected and start the next chunk."""
        rows = len(self.ids)
        table = pa.table(
            [
                pa.array(self.ids, type=pa.string()),
                pa.array(self.texts, type=pa.large_string()),
                pa.repeat(pa.scalar(self.source), rows),
                pa.repeat(pa.scalar(self.origin), rows),
                pa.repeat(pa.scalar("[]"), rows),
                pa.array(self.metadata, type=pa.string()),
            ],
            schema=SCHEMA,
        )
        chunk = Chunk(table=table, quarantined=tuple(self.quarantined), rows_in=self.num_rows)
        self.taken += self.num_rows
        self._clear()
        return chunk


def refusal(text: str, *, size_bytes: int, id_bytes: int, max_document_bytes: int) -> Reason | None:
    """Return the first reason why valid text under this id is not a document, or None."""
    if size_bytes > max_document_bytes:
        return "too_large"
    if not text or text.isspace():
        return "empty_text"
    if "\0" in text:
        return "nul_character"
    if id_bytes == 0:
        return "null_id"
    return "long_id" if id_bytes > MAX_ID_BYTES else None


def encode_metadata(metadata: Mapping[str, object]) -> bytes:
    """Return a JSON object with sorted keys as UTF-8, NaN as null; UnicodeEncodeError for a lone surrogate."""
    if not metadata:
        return b"{}"
    try:
        return _encoder.encode(metadata).encode()
    except ValueError as error:
        if isinstance(error, UnicodeEncodeError):
            raise
        return _encoder.encode(_finite(metadata)).encode()


_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def printable(value: str | bytes) -> str:
    """Return at most 200 characters of anything, with control characters and broken text escaped."""
    text = value[:EXCERPT_CHARACTERS].decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    safe = text[:EXCERPT_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in safe)[:EXCERPT_CHARACTERS]
