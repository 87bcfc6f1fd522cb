"""The items of a JSON array, or objects that follow each other over many lines, as byte strings of bounded length.

Nothing is parsed here: brackets outside strings are counted, so a file of any size takes the memory of one item.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import DataError
from pipeline.core.files.reading.lines import BOM, KEPT_OF_LONG_LINE, Line, iterate_blocks

_MARK = re.compile(rb'["\[\]{},]')
_END = re.compile(rb'["\\]')
_BLANK = b" \t\r\n,"


def iterate_items(path: Path, *, cap: int) -> Iterator[Line]:
    """Yield the items of a file in order, none longer than `cap`; DataError where the file ends inside one.

    An array gives its items, and anything else gives what stands at the top, one object after the other.
    """
    scanner = _Scanner(cap)
    yield from scanner.items(iterate_blocks(path, start=0, end=-1))
    if scanner.is_open:
        raise DataError(
            f"{path}: ends inside item {scanner.number + 1}: the file is cut off, or a quote or bracket of it is not "
            "closed. Write it again, or correct that item."
        )


@dataclass(slots=True)
class _Scanner:
    """Where in the nesting a file is, byte by byte, and the piece of it that is being collected."""

    cap: int
    number: int = 0
    depth: int = 0
    base: int = -1  # depth between items: 1 in an array, 0 where objects follow each other
    in_string: bool = False
    escaped: bool = False  # the next byte of a string stands for itself
    held: bytearray = field(default_factory=bytearray)
    cut: bool = False

    def items(self, blocks: Iterable[bytes]) -> Iterator[Line]:
        rest = b""
        for block in blocks:
            if self.base < 0:
                rest += block
                start = rest.removeprefix(BOM).lstrip()
                if not start:
                    continue
                self.base = 1 if start.startswith(b"[") else 0
                if self.base:
                    self.depth, start = 1, start[1:]
                block = start
            yield from self._block(block)
        if not self.is_open:
            yield from self._taken()

    @property
    def is_open(self) -> bool:
        """Whether a string, an object or an array has begun and not ended."""
        return self.in_string or self.depth > 0

    def _block(self, block: bytes) -> Iterator[Line]:
        """Yield the items that end in a block; what begins in it and does not end is held."""
        at = taken = 0
        while at < len(block):
            if self.in_string:
                at = self._in_string(block, at)
                continue
            found = _MARK.search(block, at)
            if found is None:
                break
            at, mark = found.end(), found[0]
            if mark == b'"':
                self.in_string = True
            elif mark in b"[{":
                self.depth += 1
            elif mark in b"]}":
                self.depth -= 1
            if self.depth <= self.base and mark in b",]}":
                ends = at if self.depth == self.base and mark != b"," else at - 1
                self._hold(block[taken:ends])
                taken = at
                yield from self._taken()
                if self.depth < self.base:  # the array is over; whatever follows is not of it
                    self.base = self.depth = 0
        self._hold(block[taken:])

    def _in_string(self, block: bytes, at: int) -> int:
        """Return where a string ends, or where the block does."""
        if self.escaped:
            self.escaped = False
            return at + 1
        found = _END.search(block, at)
        if found is None:
            return len(block)
        self.escaped, self.in_string = found[0] == b"\\", found[0] == b"\\"
        return found.end()

    def _hold(self, piece: bytes) -> None:
        if self.cut:
            return
        self.held += piece
        if len(self.held) > self.cap:
            self.cut = True
            del self.held[KEPT_OF_LONG_LINE:]

    def _taken(self) -> Iterator[Line]:
        """Yield what is held as the next item, unless it is blank."""
        data, cut = bytes(self.held).strip(_BLANK), self.cut
        self.held.clear()
        self.cut = False
        if data:
            yield Line(self.number, data, cut)
            self.number += 1
