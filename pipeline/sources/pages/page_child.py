"""The child that turns pages and PDF files into text; run as a script, it imports nothing of ours.

    stdin   per page: lengths of charset and page (2 x uint32, little endian), then both
    stdout  b"r" once it can begin; per page: 1 if text follows, 0 if there is none, its length (uint32), the text

A page may cost so many seconds of processor time and so much memory, and then the kernel ends the child: SIGPROF by
default ends a process also inside C code, and an allocation above the limit fails. Processor time and not the clock,
so that a busy machine loses no page. What an extractor raises ends the child as well; the parent starts another.
"""

from __future__ import annotations

import codecs
import resource
import signal
import struct
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

REQUEST = struct.Struct("<II")
ANSWER = struct.Struct("<BI")
READY = b"r"
STATM = Path("/proc/self/statm")
DECODER = "resiliparse.parse.encoding"  # loaded before memory is limited


def main(extractor: str, seconds: float, memory_bytes: int) -> None:
    """Answer pages until stdin ends."""
    extract = {"resiliparse": _resiliparse, "trafilatura": _trafilatura, "pypdfium2": _pypdfium2}[extractor]()
    _limit_memory(memory_bytes)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sink.write(READY)
    sink.flush()
    while header := source.read(REQUEST.size):
        charset_length, page_length = REQUEST.unpack(header)
        charset = source.read(charset_length).decode()
        page = source.read(page_length)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        text = extract(page, charset)
        signal.setitimer(signal.ITIMER_PROF, 0)
        encoded = (text or "").encode("utf-8", "surrogatepass")
        sink.write(ANSWER.pack(bool(encoded), len(encoded)))
        sink.write(encoded)
        sink.flush()


def _limit_memory(memory_bytes: int) -> None:
    """Allow this much more address space than is taken now; without /proc there is no limit to set."""
    if STATM.exists():
        taken = int(STATM.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory_bytes, taken + memory_bytes))


def _decoded(page: bytes, charset: str) -> str:
    """Return the page as text: by the server's charset, else the page's own, else a guess."""
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    try:
        codecs.lookup(charset)
    except (LookupError, ValueError):
        return str(bytes_to_str(page, detect_encoding(page, from_html_meta=True) or "utf-8"))
    return str(bytes_to_str(page, charset))


def _resiliparse() -> Callable[[bytes, str], str | None]:
    from resiliparse.extract.html2text import extract_plain_text

    import_module(DECODER)

    return lambda page, charset: extract_plain_text(_decoded(page, charset), main_content=True, alt_texts=False)


def _trafilatura() -> Callable[[bytes, str], str | None]:
    from trafilatura import extract

    import_module(DECODER)

    return lambda page, charset: extract(_decoded(page, charset), include_comments=False)


def _pypdfium2() -> Callable[[bytes, str], str | None]:
    from pypdfium2 import PdfDocument

    def extract(page: bytes, charset: str) -> str:
        document = PdfDocument(page)
        sheets = (document[index].get_textpage().get_text_range() for index in range(len(document)))
        return "\n\n".join(sheet.replace("\r\n", "\n").strip() for sheet in sheets)

    return extract


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
