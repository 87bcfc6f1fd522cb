"""Documents as one stream: the plain reading of what `eval/proxies/packing.py` says, for tests that need a stream."""

from __future__ import annotations

import numpy as np

from eval.proxies.packing import IGNORE, Stream, Tokens


def pack(tokens: Tokens, *, bos: int, context: int) -> Stream:
    """Return BOS and tokens of every document, in order, padded to whole rows: num_rows * context + 1 tokens."""
    bounds = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    whole = [token for start, end in bounds for token in (bos, *tokens.flat[start:end])]
    num_rows = -(-max(len(whole) - 1, 0) // context)
    return np.array([*whole, *[IGNORE] * (num_rows * context + 1 - len(whole))], np.uint16)
