"""Lines of a batch -> the lines or paragraphs that may repeat, and the text without those that go."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import absorb, finish

_SEED = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def find_units(doc_lines: Any, word_offsets: Any, line_hashes: Any, paragraphs: Any) -> Any:
    """Return (unit of each line or -1, hashes, words of each unit, doc_units int64[num_docs + 1]).

    A unit is a line with a word, or with `paragraphs` a run of such lines between blank ones.
    """
    num_docs = len(doc_lines) - 1
    unit_of = np.full(len(line_hashes), -1, np.int64)
    hashes = np.empty(len(line_hashes), np.uint64)
    words = np.zeros(len(line_hashes), np.int64)
    doc_units = np.zeros(num_docs + 1, np.int64)
    unit = -1
    for doc in range(num_docs):
        inside = False
        lines_in = 0
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            size = word_offsets[line + 1] - word_offsets[line]
            if size == 0:
                inside = False
                continue
            if not (paragraphs and inside):
                unit += 1
                hashes[unit] = _SEED
                lines_in = 0
            inside = True
            lines_in += 1
            unit_of[line] = unit
            words[unit] += size
            hashes[unit] = absorb(hashes[unit], line_hashes[line]) + np.uint64(lines_in)
        doc_units[doc + 1] = unit + 1
    for index in range(unit + 1):
        hashes[index] = finish(hashes[index], words[index])
    return unit_of, hashes[: unit + 1], words[: unit + 1], doc_units
