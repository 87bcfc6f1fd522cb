"""Documents -> what the language model reads of each: pieces spread over it, one after another in one buffer.

A document longer than what may be read is read in four pieces, each in the middle of a quarter of it (where a document
begins and ends stand names, licences and lists of others) and from the start of a character; between them stands a byte
that belongs to no feature of the model. Copying them costs 0.2 us a document, most of it waiting for memory, and lets
the automaton run over many documents at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import address_of, ones_in, prefetch, range_mask

PIECES = 4  # of a document of which not all is read
BREAK = 0  # a byte of no feature: after it the automaton is in its first state
BLOCK = 32  # bytes copied or looked at side by side
AHEAD = 6  # documents
COUNTED = 4  # blocks of which one is looked at for letters beyond ASCII
# Characters that NFC neither changes nor joins with others, as Unicode promises for ever of those it has assigned
SETTLED = (
    (0x0000, 0x02FF), (0x0388, 0x038A), (0x038E, 0x03A1), (0x03A3, 0x0482), (0x048A, 0x052F),  # Latin, Greek, Cyrillic
    (0x0531, 0x0556), (0x05D0, 0x05EA), (0x061B, 0x064A), (0x0660, 0x066F), (0x0671, 0x06D5),  # to Hebrew and Arabic
    (0x0904, 0x0928), (0x0E01, 0x0E37), (0x0E3F, 0x0E47), (0x10D0, 0x10FF),  # of Devanagari, Thai and Georgian
    (0x2002, 0x2064), (0x2074, 0x208E), (0x20A0, 0x20BF), (0x2100, 0x2125), (0x212C, 0x218B), (0x2190, 0x2328),
    (0x232B, 0x2426), (0x2460, 0x2ADB),  # punctuation, arrows, boxes and signs
    (0x3000, 0x3029), (0x3041, 0x3096), (0x309B, 0x30FF), (0x3105, 0x312F), (0x3131, 0x318E), (0x3220, 0x9FEF),
    (0xAC00, 0xD7A3), (0xFF01, 0xFFBE),  # Chinese, Japanese and Korean, and their wide letters
)  # fmt: skip
FIRST_CASELESS, LAST_CASELESS = 0x3000, 0xD7A3  # no letter between them has a case
OTHER, CASELESS, LOWER, UPPER = 0, 1, 2, 3  # kinds of characters; of OTHER nothing is said


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


@cache
def character_kinds() -> np.ndarray:
    """Return the kind of each code point up to U+FFFF: uint8, OTHER where a text that holds it must be looked at."""
    kinds = np.zeros(1 << 16, np.uint8)
    for first, last in SETTLED:
        kinds[first : last + 1] = CASELESS
    for first, last in SETTLED:
        for code in range(first, last + 1) if first < FIRST_CASELESS or first > LAST_CASELESS else ():
            character = chr(code)
            if character.isupper():
                kinds[code] = UPPER
            elif character.islower() or character.istitle():
                kinds[code] = LOWER
    return kinds


@njit(cache=True, nogil=True)
def is_settled(text: Any, kinds: Any) -> Any:
    """Return whether a text is certainly NFC and not all in capitals, by the kinds of its characters."""
    lower = upper = False
    at = np.int64(0)
    while at < len(text):
        first = np.int64(text[at])
        if first < 0x80:
            code, size = first, 1
        elif first < 0xE0:
            code, size = (first & 0x1F) << 6 | (np.int64(text[at + 1]) & 0x3F), 2
        elif first < 0xF0:
            code = (first & 0x0F) << 12 | (np.int64(text[at + 1]) & 0x3F) << 6 | (np.int64(text[at + 2]) & 0x3F)
            size = 3
        else:
            return False
        kind = kinds[np.uintp(code)]
        if kind == OTHER:
            return False
        lower |= kind == LOWER
        upper |= kind == UPPER
        at += size
    return lower or not upper


@njit(cache=True, nogil=True)
def is_plain(text: Any, kinds: Any) -> Any:
    """Return whether the model certainly reads a text as it stands: it is NFC and not all in capitals."""
    blocks = len(text) // BLOCK * BLOCK
    highest = np.uint8(0)
    for begin in range(0, blocks, BLOCK):
        for at in range(BLOCK):
            highest = max(highest, text[begin + at])
    for at in range(blocks, len(text)):
        highest = max(highest, text[at])
    if highest >= 0x80:
        return is_settled(text, kinds)
    cased = False
    for byte in text:
        if byte >= 0x61 and byte <= 0x7A:
            return True
        cased |= byte >= 0x41 and byte <= 0x5A
    return not cased


@njit(cache=True, nogil=True)
def fetch_pieces(start: Any, end: Any, max_bytes: Any) -> None:
    """Begin to fetch the first and last bytes of what `copy_pieces` will copy."""
    size = max_bytes // PIECES
    if end - start <= max_bytes:
        prefetch(start)
        prefetch(end - 1)
        return
    for piece in range(PIECES):
        first = start + (end - start - size) * (2 * piece + 1) // (2 * PIECES)
        prefetch(first)
        prefetch(first + size)


@njit(cache=True, nogil=True)
def gather(data: Any, offsets: Any, docs: Any, max_bytes: Any, kinds: Any) -> Any:
    """Return (text, starts, plain): what is read of the documents numbered in `docs`, with a BREAK after each."""
    room = 1
    for doc in docs:
        size = offsets[doc + 1] - offsets[doc]
        room += (size if size <= max_bytes else max_bytes + 4 * PIECES) + 1  # a character has up to 4 bytes
    text = np.empty(room, np.uint8)
    starts = np.empty(len(docs) + 1, np.int64)
    plain = np.empty(len(docs), np.bool_)
    place, origin = np.int64(0), address_of(data)
    for index in range(len(docs)):
        if index + AHEAD < len(docs):
            doc = docs[index + AHEAD]
            fetch_pieces(origin + offsets[doc], origin + offsets[doc + 1], max_bytes)
        starts[index] = place
        place = copy_pieces(data, offsets[docs[index]], offsets[docs[index] + 1], max_bytes, text, place)
        plain[index] = is_plain(text[starts[index] : place], kinds)
        text[place] = BREAK
        place += 1
    starts[len(docs)] = place
    return text, starts, plain


@njit(cache=True, nogil=True)
def count_foreign(data: Any, offsets: Any, docs: Any) -> Any:
    """Return int64[len(docs)]: how many bytes of each begin a letter beyond ASCII, by one in COUNTED of its blocks.

    Of those of 64 bytes, times COUNTED. Most signs begin with C2 or E2, no letter of an alphabet does.
    """
    counts = np.zeros(len(docs), np.int64)
    origin = address_of(data)
    limit = origin + len(data)
    for index in range(len(docs)):
        end = origin + offsets[docs[index] + 1]
        found = np.int64(0)
        for at in range(origin + offsets[docs[index]], end, 64 * COUNTED):
            past = min(at + 64, end)
            found += ones_in(range_mask(at, past, limit, 0, 0xC3, 0xE2 - 0xC3))
            found += ones_in(range_mask(at, past, limit, 0, 0xE3, 0x100 - 0xE3))
        counts[index] = COUNTED * found
    return counts
