"""Text -> the simplified text that datatrove 0.10 takes MinHash shingles from (`simplify_text`, its default settings).

Lower case; every number `0`; punctuation marks to spaces; runs of white space to one space; decomposed (NFD), without
non-spacing marks. One table says what becomes of each character; documents with a capital sigma, whose lower case
depends on its neighbours, or with a mark that NFD moves and nothing removes, take the long way through Python.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from filters.conformance.spacy.marks import PUNCTUATION
from pipeline.core.process.kernels import njit
from pipeline.core.text.segment import decode

SEPARATORS = ".,\u060c\u066b\u2396\u2397\u2398"  # between the two halves of a number
SIGMA = "\u03a3"
OTHER, SPACE, DIGIT, SEPARATOR, LONG_WAY = range(5)
MAX_GROWTH = 3  # a Hangul syllable of 3 bytes becomes 3 letters of 3


@dataclass(frozen=True, slots=True)
class CharacterTable:
    """What becomes of each character: its kind, and the UTF-8 bytes it is replaced by."""

    kinds: np.ndarray  # uint8[0x110000]
    starts: np.ndarray  # int32[0x110000 + 1], into `data`
    data: np.ndarray  # uint8


@cache
def table() -> CharacterTable:
    """Build the table, about 1 s; numbers are what the `regex` module calls Nd."""
    import regex

    marks = set(PUNCTUATION)
    kinds = np.zeros(0x110000, np.uint8)
    sizes = np.zeros(0x110000 + 1, np.int32)
    pieces = []
    for code in (*range(0xD800), *range(0xE000, 0x110000)):
        char = chr(code)
        lower = char.lower()
        if any(part in marks or part.isspace() for part in lower):
            kinds[code] = SPACE
            continue
        decomposed = unicodedata.normalize("NFD", lower)
        piece = "".join(part for part in decomposed if unicodedata.category(part) != "Mn").encode()
        moved = any(unicodedata.combining(part) and unicodedata.category(part) != "Mn" for part in decomposed)
        if moved or char == SIGMA:
            kinds[code] = LONG_WAY
        sizes[code + 1] = len(piece)
        pieces.append(piece)
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    kinds[[ord(char) for char in regex.findall(r"\p{Nd}", everything)]] = DIGIT
    kinds[[ord(char) for char in SEPARATORS]] += SEPARATOR << 4
    return CharacterTable(kinds, np.cumsum(sizes, dtype=np.int32), np.frombuffer(b"".join(pieces), np.uint8))


def simplify(text: str) -> str:
    """Return the simplified text, step by step: the long way, and the definition."""
    import regex

    text = regex.sub(rf"\p{{Nd}}+(?:[{SEPARATORS}]\p{{Nd}}+)?", "0", text.lower())
    text = text.translate(dict.fromkeys(map(ord, PUNCTUATION), " "))
    text = " ".join(text.split())
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(char for char in decomposed if unicodedata.category(char) != "Mn").strip()


def normalised(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (bytes, offsets) of the simplified documents."""
    known = table()
    out = np.empty(MAX_GROWTH * len(data) + 1, np.uint8)
    out_offsets, long_way = normalise(data, offsets, known.kinds, known.starts, known.data, out)
    if not long_way.any():
        return out[: int(out_offsets[-1])], out_offsets
    pieces = []
    for doc in range(len(offsets) - 1):
        piece = out[out_offsets[doc] : out_offsets[doc + 1]].tobytes()
        if long_way[doc]:
            piece = simplify(bytes(data[offsets[doc] : offsets[doc + 1]]).decode()).encode()
        pieces.append(piece)
    joined = np.frombuffer(b"".join(pieces), np.uint8)
    return joined, np.concatenate([[0], np.cumsum([len(piece) for piece in pieces], dtype=np.int64)])


@njit(cache=True, nogil=True)
def normalise(data: Any, offsets: Any, kinds: Any, starts: Any, pieces: Any, out: Any) -> Any:
    """Write the simplified documents to `out`; return (offsets, bool[num_docs]: takes the long way)."""
    out_offsets, long_way = np.zeros(len(offsets), np.int64), np.zeros(len(offsets) - 1, np.bool_)
    cursor = 0
    for doc in range(len(offsets) - 1):
        at, end = offsets[doc], offsets[doc + 1]
        spaced = True  # nothing yet, or white space last: more of it is dropped
        while at < end:
            code = np.int64(data[at])
            size = 1
            if code >= 0x80:
                code, size = decode(data, at)
            kind = kinds[code] & 0xF
            if kind == DIGIT:
                at = number_end(data, at, end, kinds)
                out[cursor] = 0x30
                cursor += 1
                spaced = False
                continue
            at += size
            if kind == SPACE:
                if not spaced:
                    out[cursor] = 0x20
                    cursor += 1
                spaced = True
                continue
            long_way[doc] |= kind == LONG_WAY
            for index in range(starts[code], starts[code + 1]):
                out[cursor] = pieces[index]
                cursor += 1
            spaced = False
        cursor -= spaced and cursor > out_offsets[doc]
        out_offsets[doc + 1] = cursor
    return out_offsets, long_way


@njit(cache=True, nogil=True)
def number_end(data: Any, at: Any, end: Any, kinds: Any) -> Any:
    """Return where the number ends that begins at `at`: digits, and once a separator with digits behind it."""
    for half in range(2):
        past = at
        while past < end:
            code, size = decode(data, past)
            if kinds[code] & 0xF != DIGIT:
                break
            past += size
        if half == 1 or past == end:
            return past
        code, size = decode(data, past)
        if kinds[code] >> 4 != SEPARATOR or past + size >= end:
            return past
        following, _ = decode(data, past + size)
        if kinds[following] & 0xF != DIGIT:
            return past
        at = past + size
    return at
