"""Texts without some of their lines: the bytes that stay, one text after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit


@njit(cache=True, nogil=True)
def without_lines(data: Any, offsets: Any, lines: Any, dropped: Any, edited: Any) -> Any:
    """Return (bytes, offsets) of the edited documents without their dropped lines, nothing of the others.

    Of the blank lines between two lines that stay, those right before the second stay; a document begins and ends
    with a line that stays, without its line end.
    """
    doc_lines, starts, ends, word_offsets = lines
    num_docs = len(offsets) - 1
    size = 0
    for doc in range(num_docs):
        size += (offsets[doc + 1] - offsets[doc]) * edited[doc]
    out = np.empty(size, np.uint8)
    out_offsets = np.zeros(num_docs + 1, np.int64)
    cursor = 0
    for doc in range(num_docs):
        base, last = offsets[doc], doc_lines[doc + 1]
        begun = cursor
        blank_from: Any = np.int64(-1)  # where the blank lines right before this line begin
        tail: Any = np.int64(-1)  # where the line end begins that is due before the next line that stays
        tail_end: Any = np.int64(-1)
        for line in range(doc_lines[doc], last if edited[doc] else doc_lines[doc]):
            start, end = base + starts[line], base + ends[line]
            after = base + starts[line + 1] if line + 1 < last else offsets[doc + 1]
            if word_offsets[line] == word_offsets[line + 1]:
                blank_from = start if blank_from < 0 else blank_from
                continue
            if not dropped[line]:
                if cursor > begun:
                    out[cursor : cursor + tail_end - tail] = data[tail:tail_end]
                    cursor += tail_end - tail
                    if blank_from >= 0:
                        out[cursor : cursor + start - blank_from] = data[blank_from:start]
                        cursor += start - blank_from
                out[cursor : cursor + end - start] = data[start:end]
                cursor += end - start
                tail, tail_end = end, after
            blank_from = np.int64(-1)
        out_offsets[doc + 1] = cursor
    return out[:cursor], out_offsets
