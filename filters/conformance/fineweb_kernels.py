"""Text -> the counts behind datatrove's FineWebQualityFilter: lines are what stands between two line feeds."""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.conformance.gopher_kernels import count_characters, count_feeds, hash_text
from filters.conformance.spacy.spacy_rules import SPACE
from filters.heuristics.repetition import new_tables, repeated_elements
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import address_of
from pipeline.core.text.segment import character_start, decode

NEWLINE = 0x0A


@njit(cache=True, nogil=True)
def is_blank(data: Any, start: Any, end: Any, bits: Any) -> Any:
    """Say whether data[start:end] is white space only."""
    while start < end:
        code, size = decode(data, start)
        if not bits[code] & SPACE:
            return False
        start += size
    return True


@njit(cache=True, nogil=True)
def count_lines(data: Any, offsets: Any, bits: Any, terminal: Any, short: Any) -> Any:
    """Return int64[6, num_docs]: lines not blank; those that end in one of `terminal` (bool by code point); those of
    at most `short` characters; characters of lines that stood before; line feeds; other characters."""
    counts = np.zeros((6, len(offsets) - 1), np.int64)
    base = address_of(data)
    limit = base + len(data)
    most = 0
    for doc in range(len(offsets) - 1):
        start, end = base + offsets[doc], base + offsets[doc + 1]
        counts[4, doc] = count_feeds(start, end, limit)
        counts[5, doc] = count_characters(start, end, limit) - counts[4, doc]
        most = max(most, counts[4, doc] + 1)
    tables = new_tables(most)
    keys, lengths = np.empty(most, np.uint64), np.empty(most, np.int64)
    for doc in range(len(offsets) - 1):
        at, end = offsets[doc], offsets[doc + 1]
        lines = 0
        while at < end:
            start = at
            while at < end and data[at] != NEWLINE:
                at += 1
            if not is_blank(data, start, at, bits):
                keys[lines], lengths[lines] = hash_text(data, start, at)
                last, _ = decode(data, character_start(data, at, start))
                counts[1, doc] += terminal[last]
                counts[2, doc] += lengths[lines] <= short
                lines += 1
            at += 1
        counts[0, doc] = lines
        _, counts[3, doc] = repeated_elements(keys[:lines], lengths, tables, doc + 1)
    return counts
