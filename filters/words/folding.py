"""What each non-ASCII character counts as when words are compared: a two-level table for kernels.

Letters, digits and marks fold to one code point, everything else separates words. Folding is simple case folding; a
letter with Latin, Greek or Cyrillic accents becomes its base letter and such accents vanish, so composed and
decomposed text agree (marks of other scripts carry meaning and stay). Soft hyphens, joiners and variation selectors
vanish. A character of a script written without spaces (Han, kana, Thai, Lao, Burmese, Khmer) is a word of its own.
The table follows the Unicode version of the running Python (3.11: Unicode 14).
"""

from __future__ import annotations

import operator
import unicodedata
from bisect import bisect
from dataclasses import dataclass
from functools import cache
from itertools import compress

import numpy as np

ALONE = 1 << 31  # flag in the table: this character is a word of its own
SKIPPED = 1 << 30  # flag in the table: this character is as if it were not there
LAST_TABULATED = 0x323AF  # the last ideograph; above it only variation selectors matter, and they are skipped

UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F), (0x20000, LAST_TABULATED),
)  # fmt: skip
_UNSPACED_ENDS = [end for first, last in UNSPACED for end in (first, last + 1)]
_IGNORABLE = frozenset((0x00AD, 0x200C, 0x200D, 0x2060, 0xFEFF))
_ACCENTS = range(0x0300, 0x0370)
_SELECTORS = range(0xFE00, 0xFE10)  # those above LAST_TABULATED are skipped without the table
_ALIKE = (  # first, last, whether each is a letter that nothing folds; else nothing there is part of a word
    (0x3400, 0x4DBF, True), (0x4E00, 0x9FFF, True), (0xAC00, 0xD7A3, True), (0xD800, 0xF8FF, False),
    (0x20000, 0x2A6DF, True),
)  # fmt: skip
_WORDED = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No"))


@dataclass(frozen=True, slots=True)
class FoldTable:
    """What each non-ASCII character becomes: `folded[page[c >> 8], c & 255]`, 0 for a separator, else a code point."""

    page: np.ndarray  # uint32[num_pages]
    folded: np.ndarray  # uint32[num_distinct_pages, 256]


@cache
def fold_table() -> FoldTable:
    """Return the table, built once per process in 0.03 s: most characters need not be asked one by one."""
    table = np.zeros(((LAST_TABULATED >> 8) + 1) << 8, np.uint32)
    asked = np.ones(len(table), np.bool_)
    for first, last, is_word in _ALIKE:
        asked[first : last + 1] = False
        if is_word:
            table[first : last + 1] = np.arange(first, last + 1)
    codes = np.flatnonzero(asked)
    characters = list(map(chr, codes.tolist()))
    worded = np.fromiter(map(_WORDED.__contains__, map(unicodedata.category, characters)), np.bool_, len(codes))
    codes = codes[worded]  # whatever else one of them is made of, it separates
    table[codes] = codes
    for first, last in UNSPACED:
        table[first : last + 1] |= (table[first : last + 1] != 0) * np.uint32(ALONE)
    characters = list(compress(characters, worded))
    folding = np.fromiter(map(operator.ne, map(str.casefold, characters), characters), np.bool_, len(codes))
    composed = np.fromiter(map(bool, map(unicodedata.decomposition, characters)), np.bool_, len(codes))
    for code in {*codes[folding | composed].tolist(), *_IGNORABLE, *_ACCENTS, *_SELECTORS}:
        table[code] = _fold(code)
    pages: dict[bytes, int] = {}
    page = np.array([pages.setdefault(content.tobytes(), len(pages)) for content in table.reshape(-1, 256)], np.uint32)
    return FoldTable(page=page, folded=np.frombuffer(b"".join(pages), np.uint32).reshape(-1, 256))


def _fold(code: int) -> int:
    character = chr(code)
    selector = code in _SELECTORS or 0xE0100 <= code <= 0xE01EF
    if code in _IGNORABLE or code in _ACCENTS or selector:
        return SKIPPED
    if unicodedata.category(character)[0] not in "LMN":
        return 0
    if unicodedata.decomposition(character):
        base, *accents = list(unicodedata.normalize("NFD", character))
        if accents and all(ord(accent) in _ACCENTS for accent in accents):
            character = base
    folded = character.casefold()
    if len(folded) > 1:
        folded = character.lower()
    result = ord(folded) if len(folded) == 1 else code
    return result | ALONE if bisect(_UNSPACED_ENDS, code) % 2 else result
