"""Words, lines and bytes of a batch -> the counts per document behind Gopher's quality rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.core.characters import BULLET
from pipeline.core.segment import HAS_ALNUM, HAS_LETTER, STOP_MASK, STOP_SHIFT, STOP_WORDS, decode

HASH_SIGN, FULL_STOP = 0x23, 0x2E
NUM_STOP_WORDS = len(STOP_WORDS)


@njit(cache=True, nogil=True)
def count_words(doc_words: Any, num_chars: Any, flags: Any) -> Any:
    """Return int64[num_docs] each: words with a letter or digit, their characters, words with a letter, stop words."""
    num_docs = len(doc_words) - 1
    shape = np.zeros((4, num_docs), np.int64)
    for doc in range(num_docs):
        words = characters = with_letter = 0
        stops_seen = 0
        for word in range(doc_words[doc], doc_words[doc + 1]):
            flag = int(flags[word])
            is_word = (flag & HAS_ALNUM) // HAS_ALNUM
            words += is_word
            characters += is_word * num_chars[word]
            with_letter += flag & HAS_LETTER
            stops_seen |= 1 << ((flag & STOP_MASK) >> STOP_SHIFT)
        stop_words = 0
        for number in range(1, NUM_STOP_WORDS + 1):
            stop_words += (stops_seen >> number) & 1
        shape[0, doc], shape[1, doc], shape[2, doc], shape[3, doc] = words, characters, with_letter, stop_words
    return shape[0], shape[1], shape[2], shape[3]


@njit(cache=True, nogil=True)
def count_symbols(data: Any, offsets: Any) -> Any:
    """Return (hash signs, ellipses) per document; `...` counts without overlap, so `.....` is one."""
    num_docs = len(offsets) - 1
    hashes, ellipses = np.zeros(num_docs, np.int64), np.zeros(num_docs, np.int64)
    for doc in range(num_docs):
        text = data[offsets[doc] : offsets[doc + 1]]
        signs = 0
        for byte in text:
            signs += byte == HASH_SIGN
        hashes[doc] = signs
        candidates = 0
        for at in range(len(text) - 2):  # one vector loop; most documents have no ellipsis and end here
            first, second, third = text[at], text[at + 1], text[at + 2]
            dots = (first == FULL_STOP) & (second == FULL_STOP) & (third == FULL_STOP)
            candidates += dots | ((first == 0xE2) & (second == 0x80) & (third == 0xA6))
        if candidates:
            ellipses[doc] = count_ellipses(text)
    return hashes, ellipses


@njit(cache=True, nogil=True)
def count_ellipses(text: Any) -> Any:
    """Return how often `...` or U+2026 occurs in the bytes of one document, without overlap."""
    count = 0
    at = 0
    while at < len(text) - 2:
        if is_ellipsis(text, at):
            count += 1
            at += 3
        else:
            at += 1
    return count


@njit(cache=True, nogil=True)
def is_ellipsis(data: Any, at: Any) -> Any:
    """Say whether the three bytes at `at` are `...` or U+2026."""
    first, second, third = data[at], data[at + 1], data[at + 2]
    dots = first == FULL_STOP and second == FULL_STOP and third == FULL_STOP
    return dots or (first == 0xE2 and second == 0x80 and third == 0xA6)


@njit(cache=True, nogil=True)
def count_lines(
    data: Any, offsets: Any, starts: Any, num_bytes: Any, doc_lines: Any, word_offsets: Any, table: Any
) -> Any:
    """Return per document: lines with words, those that begin with a bullet, those that end in an ellipsis."""
    num_docs = len(offsets) - 1
    counts = np.zeros((3, num_docs), np.int64)
    for doc in range(num_docs):
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            first, past = word_offsets[line], word_offsets[line + 1]
            if first == past:
                continue
            counts[0, doc] += 1
            code, _ = decode(data, offsets[doc] + starts[first])
            counts[1, doc] += (table[code] & BULLET) != 0
            if num_bytes[past - 1] >= 3:
                end = offsets[doc] + starts[past - 1] + num_bytes[past - 1]
                counts[2, doc] += is_ellipsis(data, end - 3)
    return counts[0], counts[1], counts[2]
