"""What each non-ASCII character counts as when words are compared: a two-level table for kernels.

Letters, digits and marks fold to one code point, everything else separates words. Folding is simple case folding; a
letter with Latin, Greek or Cyrillic accents becomes its base letter and such accents vanish, so composed and
decomposed text agree (marks of other scripts carry meaning and stay). Soft hyphens, joiners and variation selectors
vanish. A character of a script written without spaces (Han, kana, Thai, Lao, Burmese, Khmer) is a word of its own.
The table follows the Unicode version of the running Python (3.11: Unicode 14).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

ALONE = 1 << 31  # flag in the table: this character is a word of its own
SKIPPED = 1 << 30  # flag in the table: this character is as if it were not there
LAST_TABULATED = 0x323AF  # the last ideograph; above it only variation selectors matter, and they are skipped

_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F), (0x20000, LAST_TABULATED),
)  # fmt: skip
_IGNORABLE = frozenset((0x00AD, 0x200C, 0x200D, 0x2060, 0xFEFF))


@dataclass(frozen=True, slots=True)
class FoldTable:
    """What each non-ASCII character becomes: `folded[page[c >> 8], c & 255]`, 0 for a separator, else a code point."""

    page: np.ndarray  # uint32[num_pages]
    folded: np.ndarray  # uint32[num_distinct_pages, 256]


@cache
def fold_table() -> FoldTable:
    """Return the table, built once per process in about 0.2 s."""
    pages: dict[bytes, int] = {}
    page = np.zeros((LAST_TABULATED >> 8) + 1, np.uint32)
    for number in range(len(page)):
        content = np.array([_fold(code) for code in range(number << 8, (number + 1) << 8)], np.uint32).tobytes()
        page[number] = pages.setdefault(content, len(pages))
    return FoldTable(page=page, folded=np.frombuffer(b"".join(pages), np.uint32).reshape(-1, 256))


def _fold(code: int) -> int:
    character = chr(code)
    selector = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
    if code in _IGNORABLE or 0x0300 <= code <= 0x036F or selector:
        return SKIPPED
    if unicodedata.category(character)[0] not in "LMN":
        return 0
    if unicodedata.decomposition(character):
        base, *accents = list(unicodedata.normalize("NFD", character))
        if accents and all(0x0300 <= ord(accent) <= 0x036F for accent in accents):
            character = base
    folded = character.casefold()
    if len(folded) > 1:
        folded = character.lower()
    result = ord(folded) if len(folded) == 1 else code
    return result | ALONE if any(first <= code <= last for first, last in _UNSPACED) else result
