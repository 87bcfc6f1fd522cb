"""Texts of scripts that put no space between words -> the same texts with a space after each such character.

Chinese, Japanese, Thai, Lao, Burmese and Khmer: whoever counts words by spaces counts sentences there. With its
characters apart, each is a word; what has spaces of its own (Latin, Korean) stays as it is.
"""

from __future__ import annotations

import pyarrow as pa

from filters.words.folding import UNSPACED
from pipeline.core.text.batch import Batch

_LETTERS = "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in UNSPACED)
_BEFORE = f"([^\\s{_LETTERS}])([{_LETTERS}])"  # a word of another script ends where such a character begins
_AFTER = f"([{_LETTERS}])"


def apart(batch: Batch) -> Batch:
    """Return a batch whose texts have a space after every character of such a script, and one before the first."""
    import pyarrow.compute as pc

    text: pa.Array = pc.replace_substring_regex(batch.text, _BEFORE, r"\1 \2")
    return Batch(ids=batch.ids, text=pc.replace_substring_regex(text, _AFTER, r"\1 "), metadata=batch.metadata)
