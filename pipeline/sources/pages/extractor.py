"""Pages and PDF files -> their text, in a child process that may be lost: what breaks its extractor costs only itself.

Extractors meet whatever the web holds. trafilatura runs without end on some pages (its issue 704) and takes all memory
for a table with `colspan=9007199254740991` (657); a parser in C may crash. No thread or signal handler stops that, the
end of a process does. One child serves a slice, is replaced when it is lost, and ends with its parent, whose end closes
its input. 300,000 nested <div> (1.5 MB) take resiliparse 2.0.0 more than 3 s of processor time; a plain page 1 ms.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Literal

from pipeline.core.errors import ServiceError
from pipeline.core.process import keys
from pipeline.sources.pages.page_child import ANSWER, READY, REQUEST

Extractor = Literal["resiliparse", "trafilatura", "pypdfium2"]
Failure = Literal["extraction_timeout", "extraction_failed"]
CHILD = Path(__file__).with_name("page_child.py")
START_SECONDS = 120.0  # wall time until the child has imported its extractor, on the busiest machine
PATIENCE = 20.0  # wall seconds for each second of processor time, so that a child that only waits is ended too


@dataclass(frozen=True, slots=True)
class Extracted:
    """A page's text ("" if it has none), or why there is no telling."""

    text: str
    failure: Failure | None = None


class PageExtractor:
    """Extracts one page after the other; use it as a context, which ends the child."""

    def __init__(self, extractor: Extractor, *, max_seconds: float, max_memory_bytes: int) -> None:
        self.extractor = extractor
        self.max_seconds = max_seconds
        self.max_memory_bytes = max_memory_bytes
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PageExtractor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def extract(self, page: bytes, *, charset: str) -> Extracted:
        """Return the text of an HTML page; a child that is lost over it is replaced at the next page."""
        child = self.child or self._start()
        assert child.stdin is not None
        name = charset.encode("ascii", "ignore")[:64]
        deadline = time.monotonic() + 5 + PATIENCE * self.max_seconds
        try:
            child.stdin.write(REQUEST.pack(len(name), len(page)) + name + page)
            child.stdin.flush()
            has_text, size = ANSWER.unpack(self._read(child, ANSWER.size, deadline))
            text = self._read(child, size, deadline).decode("utf-8", "surrogatepass") if has_text else ""
        except TimeoutError:
            self._end()
            return Extracted("", "extraction_timeout")
        except (EOFError, BrokenPipeError):
            ended = self._end()
            return Extracted("", "extraction_timeout" if ended == -signal.SIGPROF else "extraction_failed")
        return Extracted(text)

    def _start(self) -> subprocess.Popen[bytes]:
        """Start a child and wait until it can begin."""
        command = [
            sys.executable, "-P", str(CHILD), self.extractor, str(self.max_seconds), str(self.max_memory_bytes),
        ]  # fmt: skip
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=-1,
            env=keys.environment(stores=False),
        )  # fmt: skip
        try:
            self._read(self.child, len(READY), time.monotonic() + START_SECONDS)
        except (EOFError, TimeoutError) as error:
            ended = self._end()
            raise ServiceError(
                f"extractor {self.extractor}: its process did not start (exit {ended}). "
                f"See what `python -c 'import {self.extractor}'` says, and whether memory is left."
            ) from error
        return self.child

    def _read(self, child: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
        """Return exactly `size` bytes; EOFError if the child ended, TimeoutError at the deadline."""
        assert child.stdout is not None
        pipe = child.stdout.fileno()  # past Python's buffer: nothing but this reads from it
        pieces: list[bytes] = []
        while size > 0:
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            piece = os.read(pipe, min(size, 1 << 20))
            if not piece:
                raise EOFError
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _end(self) -> int | None:
        """End the child, if there is one; return its exit status, negative for the signal that ended it."""
        child, self.child = self.child, None
        if child is None:
            return None
        assert child.stdin is not None and child.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it may have ended with a page unread
            child.stdin.close()
        child.stdout.close()
        try:
            return child.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def lacking(extractor: Extractor) -> list[str]:
    """Return the packages of an extra that an extractor needs and that are not installed."""
    needs = [extractor] if extractor == "pypdfium2" else dict.fromkeys(["fastwarc", "resiliparse", extractor])
    return [name for name in needs if find_spec(name) is None]
