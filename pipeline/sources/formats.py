"""What a file really holds, told from its first bytes, and which reader reads it: for errors on a wrong one.

Names lie more often than contents do, so a name decides only where contents look alike (`.csv` beside `.txt`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pipeline.core.errors import DataError
from pipeline.core.files.reading.lines import BOM, iterate_blocks

Format = Literal["parquet", "arrow", "jsonl", "json", "csv", "warc", "html", "pdf", "text", "unknown"]
READERS = tuple(name for name in get_args(Format) if name != "unknown")  # each reads the format of its name
MOST_LINES = 100  # that are looked at to tell JSON lines
MARKS = ((b",", ","), (b"\t", "\t"), (b";", ";"), (b"|", "|"))
_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow"), (b"%PDF-", "pdf"), (b"WARC/", "warc"),
)  # fmt: skip
_TOLD: dict[Format, str] = {
    "parquet": "is parquet", "arrow": "is an Arrow file", "jsonl": "holds JSON lines",
    "json": "holds JSON over many lines", "csv": "looks like a table of text", "warc": "is a web archive",
    "html": "is an HTML page", "pdf": "is a PDF", "text": "looks like plain text",
}  # fmt: skip


def format_of(path: Path) -> Format:
    """Return what a file holds, decompressed where it is packed; "unknown" where it is empty or cannot be read."""
    try:
        beginning = next(iterate_blocks(path, start=0, end=-1), b"")
    except DataError:
        return "unknown"
    return format_of_bytes(beginning, name=path.name)


def is_empty(path: Path) -> bool:
    """Say whether a file holds nothing, decompressed where it is packed."""
    try:
        return not next(iterate_blocks(path, start=0, end=-1), b"")
    except DataError:
        return False


def format_of_bytes(beginning: bytes, *, name: str = "") -> Format:
    """Return what begins so; `name` of its file decides between formats that look alike."""
    for magic, found in _MAGIC:
        if beginning.startswith(magic):
            return found
    start = beginning.removeprefix(BOM).lstrip()
    if not start or b"\0" in start[:1024]:
        return "unknown"
    head = start[:256].lower()
    if head.startswith((b"<!doctype html", b"<html", b"<?xml")) and b"<html" in start[:4096].lower():
        return "html"
    if start.startswith((b"[", b"{")):
        return _json(start, name=name)
    if name.lower().partition(".")[2].startswith(("csv", "tsv")) or delimiter_of(start):
        return "csv"
    return "text"


def _json(start: bytes, *, name: str) -> Format:
    """Tell one object a line from everything else that begins as JSON does; some lines may be broken."""
    if not start.startswith(b"{"):
        return "json"
    *whole, rest = start.split(b"\n", MOST_LINES)
    if not whole and not rest.rstrip().endswith(b"}"):  # a line that is longer than what is looked at
        return "jsonl" if any(part in ("jsonl", "ndjson") for part in name.lower().split(".")) else "json"
    lines = [line.rstrip() for line in (*whole, rest) if line.strip()]
    objects = sum(line.startswith(b"{") and line.endswith(b"}") for line in lines)
    return "jsonl" if lines[0].endswith(b"}") or 2 * objects > len(lines) else "json"


def delimiter_of(beginning: bytes) -> str:
    """Return the mark that stands as often in the second line as in the first, the most frequent; "" if none does."""
    first, *others = beginning.split(b"\n", 2)
    if not others:
        return ""
    counts = [(first.count(mark), name) for mark, name in MARKS if 0 < first.count(mark) == others[0].count(mark)]
    return max(counts, default=(0, ""))[1]


def advice(path: Path, *, reader: str) -> str:
    """Return what a file is and how to read it, for an error of a reader that cannot; "" where nothing is known."""
    found = format_of(path)
    if found in (reader, "unknown"):
        return ""
    if found == "text":
        return f"{path} {_TOLD[found]}; `read: text` makes one document of each file."
    return f"{path} {_TOLD[found]}: use `read: {found}`."
