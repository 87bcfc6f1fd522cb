"""Documents -> what the language model reads of each: pieces spread over it, one after another in one buffer.

A document longer than what may be read is read in four pieces, each in the middle of a quarter of it (where a document
begins and ends stand names, licences and lists of others) and from the start of a character; between them stands a byte
that belongs to no feature of the model. Copying them costs 0.2 us a document, most of it waiting for memory, and lets
the automaton run over many documents at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

PIECES = 4  # of a document of which not all is read
BREAK = 0  # a byte of no feature: after it the automaton is in its first state
BLOCK = 32  # bytes copied or looked at side by side


@njit(cache=True, nogil=True)
def boundary(data: Any, start: Any, at: Any) -> Any:
    """Return where the character begins in which the byte `at` stands."""
    while at > start and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@njit(cache=True, nogil=True)
def copy(data: Any, first: Any, last: Any, out: Any, place: Any) -> Any:
    """Copy data[first:last] to out[place:], a block at a time; return where it ends there."""
    size = last - first
    if size < BLOCK:
        for at in range(size):
            out[place + at] = data[first + at]
        return place + size
    done = 0
    while done < size:
        done = min(done, size - BLOCK)  # the last block again copies some of the one before
        for at in range(BLOCK):
            out[place + done + at] = data[first + done + at]
        done += BLOCK
    return place + size


@njit(cache=True, nogil=True)
def copy_pieces(data: Any, start: Any, end: Any, max_bytes: Any, out: Any, place: Any) -> Any:
    """Copy a document, or PIECES spread evenly over it, max_bytes together, to out[place:]; return where they end."""
    if end - start <= max_bytes:
        return copy(data, start, end, out, place)
    size = max_bytes // PIECES
    for piece in range(PIECES):
        first = start + (end - start - size) * (2 * piece + 1) // (2 * PIECES)
        last = first + size
        first = boundary(data, start, first)
        if last < end:
            last = boundary(data, start, last)
        place = copy(data, first, last, out, place)
        if piece < PIECES - 1:
            out[place] = BREAK
            place += 1
    return place


@njit(cache=True, nogil=True)
def is_nfc(text: Any) -> Any:
    """Return whether a text is certainly NFC: beyond U+02FF only dashes, quotes, bullets, boxes and dingbats."""
    for at in range(len(text)):
        if text[at] >= 0xCC:  # the first byte of U+0300, where marks begin
            if text[at] != 0xE2 or at + 2 >= len(text):
                return False
            second, third = text[at + 1], text[at + 2]
            if not ((second == 0x80 and third >= 0x90) or (second >= 0x90 and second <= 0x9F)):
                return False  # neither U+2010 to U+203F nor U+2400 to U+27FF
    return True


@njit(cache=True, nogil=True)
def is_plain(text: Any) -> Any:
    """Return whether the model certainly reads a text as it stands: it is NFC and not all in capitals."""
    blocks = len(text) // BLOCK * BLOCK
    highest = np.uint8(0)
    for begin in range(0, blocks, BLOCK):
        for at in range(BLOCK):
            highest = max(highest, text[begin + at])
    for at in range(blocks, len(text)):
        highest = max(highest, text[at])
    if highest > 0xE2 or (highest >= 0xCC and not is_nfc(text)):
        return False
    cased = highest >= 0x80
    for byte in text:
        if byte >= 0x61 and byte <= 0x7A:
            return True
        cased |= byte >= 0x41 and byte <= 0x5A
    return not cased


@njit(cache=True, nogil=True)
def gather(data: Any, offsets: Any, docs: Any, max_bytes: Any) -> Any:
    """Return (text, starts, plain): what is read of the documents numbered in `docs`, with a BREAK after each."""
    room = 1
    for doc in docs:
        size = offsets[doc + 1] - offsets[doc]
        room += (size if size <= max_bytes else max_bytes + 4 * PIECES) + 1  # a character has up to 4 bytes
    text = np.empty(room, np.uint8)
    starts = np.empty(len(docs) + 1, np.int64)
    plain = np.empty(len(docs), np.bool_)
    place = np.int64(0)
    for index in range(len(docs)):
        starts[index] = place
        place = copy_pieces(data, offsets[docs[index]], offsets[docs[index] + 1], max_bytes, text, place)
        plain[index] = is_plain(text[starts[index] : place])
        text[place] = BREAK
        place += 1
    starts[len(docs)] = place
    return text, starts, plain
