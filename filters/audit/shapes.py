"""Texts -> the script that each is mostly written in, and what its lines look like. Pure kernels.

The skeleton of a document is the sequence of its lines' kinds: how many words, and whether a mark of punctuation ends
it. Pages of one template have the same skeleton whatever stands in them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit

SCRIPTS = (
    "none", "latin", "greek", "cyrillic", "hebrew", "arabic", "indic", "thai", "han", "kana", "hangul", "other",
)  # fmt: skip
# First code points after which a letter belongs to a script of SCRIPTS; blocks of Unicode, coarse.
_RANGES = (
    (0x41, 1), (0x5B, 0), (0x61, 1), (0x7B, 0), (0xC0, 1), (0x250, 11), (0x370, 2), (0x400, 3), (0x530, 11),
    (0x590, 4), (0x600, 5), (0x780, 11), (0x900, 6), (0xE00, 7), (0xE80, 11), (0x1100, 10), (0x1200, 11), (0x1E00, 1),
    (0x1F00, 2), (0x2000, 0), (0x2C00, 11), (0x3000, 0), (0x3040, 9), (0x3100, 11), (0x3130, 10), (0x3190, 0),
    (0x3400, 8), (0xA000, 11), (0xAC00, 10), (0xD7B0, 11), (0xF900, 8), (0xFB00, 11), (0xFB50, 5), (0xFE00, 0),
    (0xFE70, 5), (0xFF00, 0), (0xFF21, 1), (0xFF5B, 0), (0xFF66, 9), (0xFFA0, 10), (0xFFE0, 0), (0x10000, 11),
    (0x1F000, 0), (0x20000, 8), (0x30000, 11),
)  # fmt: skip
_STARTS = np.array([start for start, _ in _RANGES], np.int64)
_SCRIPT_OF = np.array([script for _, script in _RANGES], np.int64)
LOOKED_AT = 4096  # bytes of each document
SKELETON_LINES = 20
LEAST_LINES = 4  # a document of fewer has no skeleton: too many are alike by chance
NO_SKELETON = np.uint64(0)


@njit(cache=True, nogil=True)
def scripts_of(data: Any, offsets: Any) -> Any:
    """Return int8[num_docs]: the script of most letters, as a number of SCRIPTS."""
    found = np.zeros(len(offsets) - 1, np.int8)
    counts = np.zeros(len(SCRIPTS), np.int64)
    for doc in range(len(offsets) - 1):
        counts[:] = 0
        at, end = offsets[doc], min(offsets[doc + 1], offsets[doc] + LOOKED_AT)
        while at < end:
            byte = np.int64(data[at])
            size = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            point = byte if size == 1 else byte & (0x7F >> size)
            for more in range(1, size):
                point = point << 6 | (np.int64(data[at + more]) & 0x3F if at + more < end else 0)
            counts[_SCRIPT_OF[np.searchsorted(_STARTS, point, side="right") - 1] if point >= 0x41 else 0] += 1
            at += size
        counts[0] = 0
        if counts.max() > 0:
            found[doc] = counts.argmax()
    return found


@njit(cache=True, nogil=True)
def skeletons_of(data: Any, offsets: Any, doc_lines: Any, line_ends: Any, word_offsets: Any) -> Any:
    """Return uint64[num_docs]: a hash of the kinds of each document's first lines that hold words; 0 for few lines."""
    found = np.zeros(len(offsets) - 1, np.uint64)
    for doc in range(len(offsets) - 1):
        value, seen = np.uint64(0xCBF29CE484222325), 0
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            num_words = word_offsets[line + 1] - word_offsets[line]
            if num_words == 0:
                continue
            kind = 0 if num_words < 3 else 1 if num_words < 8 else 2 if num_words < 20 else 3 if num_words < 60 else 4
            last = data[offsets[doc] + line_ends[line] - 1]
            marked = last == 0x2E or last == 0x21 or last == 0x3F or last == 0x3A or last == 0x3B
            value = (value ^ np.uint64(2 * kind + marked)) * np.uint64(0x100000001B3)
            seen += 1
            if seen == SKELETON_LINES:
                break
        if seen >= LEAST_LINES:
            found[doc] = value
    return found
