"""Words of a document -> the same without addresses, numbers and keys that have a shape, as the step `pii` does.

They are looked for in the whole document before anything is cut from it: half an address has no shape.
"""

from __future__ import annotations

import re

BEYOND = 4_096  # characters behind a text that was cut, in which what it cuts may end; a private key has up to 3,300


def mask(text: str) -> str:
    """Return a text with personal data that has a shape replaced."""
    return mask_within(text, text)


def mask_within(document: str, quote: str) -> str:
    """Return words of a document with the personal data that they hold or cut replaced, as a whole."""
    from filters.privacy.pii import find_personal

    data = document.encode()
    start = len(document[: document.index(quote)].encode())
    end = start + len(quote.encode())
    while found := find_personal(data):  # what is replaced may have hidden what stood before it
        for first, past, filler in reversed(found):
            data = data[:first] + filler + data[past:]
            grown = len(filler) - (past - first)
            if past <= start:
                start, end = start + grown, end + grown
            elif first < end:
                start, end = min(start, first), max(end, past) + grown
    return data[start:end].decode(errors="ignore")


def without_personal(document: str, *, until: int | None = None) -> list[str]:
    """Return the pieces of the first `until` characters of a document that stand between its personal data."""
    from filters.privacy.pii import find_personal

    data, last = document.encode(), 0
    end = len(document[:until].encode())
    found = find_personal(data)
    if not found:
        return [document[:until]]
    pieces = []
    for first, past, _ in [*found, (len(data), len(data), b"")]:
        pieces += without_personal(data[last : min(first, end)].decode(errors="ignore"))
        last = past
    return pieces


def is_personal(pattern: str) -> bool:
    """Say whether personal data is spelled out in a regular expression."""
    spelled = re.sub(r"\\(\W)", r"\1", re.sub(r"\\[A-Za-z][+*?]?", " ", pattern))
    return mask(spelled) != spelled
