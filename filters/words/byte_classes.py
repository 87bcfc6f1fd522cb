"""Classes of ASCII bytes, and words of up to 12 letters as one number: what matchers ask at every byte."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit

DIGIT, UPPER, LOWER, LOCAL, URLSAFE = 1, 2, 4, 8, 16  # classes of ASCII bytes; LOCAL: inside an e-mail's local part
ALNUM = DIGIT | UPPER | LOWER


def _classes() -> np.ndarray:
    table = np.zeros(256, np.uint8)
    for code in range(128):
        character = chr(code)
        table[code] |= DIGIT if character.isdigit() else 0
        table[code] |= UPPER if character.isupper() else 0
        table[code] |= LOWER if character.islower() else 0
        table[code] |= LOCAL if character.isalnum() or character in "._%+-'" else 0
        table[code] |= URLSAFE if character.isalnum() or character in "_-" else 0
    return table


def packed_letters(words: str) -> np.ndarray:
    """Return each word's up to 12 letters as one number, as `packed_word` reads them."""
    return np.array(sorted({_pack(word) for word in words.split()}), np.uint64)


def _pack(word: str) -> int:
    value = 0
    for letter in word[:12]:
        value = value << 5 | ord(letter) & 31
    return value


CLASS = _classes()


@njit(cache=True, nogil=True)
def packed_word(data: Any, start: Any, end: Any) -> Any:
    """Return up to 12 ASCII letters of data[start:end] as one number, whatever their case."""
    value = np.uint64(0)
    for at in range(start, min(end, start + 12)):
        value = value << np.uint64(5) | np.uint64(data[at] & 31)
    return value


@njit(cache=True, nogil=True)
def among(value: Any, values: Any) -> Any:
    """Say whether a number is one of a few."""
    found = False
    for other in values:
        found |= value == other
    return found


@njit(cache=True, nogil=True)
def class_at(data: Any, at: Any, floor: Any, end: Any) -> Any:
    """Return the class of a byte; outside the document that of nothing."""
    return CLASS[data[at]] if floor <= at < end else np.uint8(0)
