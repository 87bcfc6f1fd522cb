"""A file of gzip members, as web archives are, as one stream; damage is told after all that was whole before it.

Python's GzipFile fills a whole buffer before it hands anything over, so an error there costs the members before it;
fastwarc 2.0.0 ends in silence where a member ends early, and the cut page would pass for a whole one.
"""

from __future__ import annotations

import zlib
from typing import IO

BLOCK_BYTES = 65536
WITH_HEADER = 31  # zlib's sign for gzip's own header and checksum, around the largest window


class GzipMembers:
    """Reads one member after the other; EOFError where the last one ends early, zlib.error where one is damaged."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.rest = b""
        self.position = 0
        self.member: zlib._Decompress | None = None

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes of one member, b"" at the end; members do not meet in one answer."""
        limit = size if size is not None and size > 0 else BLOCK_BYTES
        while True:
            block = self.rest or self.file.read(BLOCK_BYTES)
            if self.member is None:
                if not block:
                    return b""
                self.member = zlib.decompressobj(WITH_HEADER)
            found = self.member.decompress(block, limit)  # without a block, what it still holds
            if not found and not block and not self.member.eof:
                raise EOFError("it ends inside a gzip member")
            self.rest = self.member.unconsumed_tail
            if self.member.eof:
                self.rest, self.member = self.member.unused_data.lstrip(b"\0"), None  # zeros pad a tape's end
            if found:
                self.position += len(found)
                return found

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self.position
