"""Lines of a batch -> how many of each document's lines end a sentence, and how many are short."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.segment import ENDS_TERMINAL


@njit(cache=True, nogil=True)
def count_line_shapes(doc_lines: Any, word_offsets: Any, num_chars: Any, flags: Any, short_length: Any) -> Any:
    """Return (ended, short) per document, blank lines aside."""
    num_docs = len(doc_lines) - 1
    ended, short = np.zeros(num_docs, np.int64), np.zeros(num_docs, np.int64)
    for doc in range(num_docs):
        for line in range(doc_lines[doc], doc_lines[doc + 1]):
            past = word_offsets[line + 1]
            if word_offsets[line] < past:
                ended[doc] += (flags[past - 1] & ENDS_TERMINAL) != 0
                short[doc] += num_chars[line] <= short_length
    return ended, short
