"""Text of strangers -> the same text, fit for a terminal or a page: nothing in it can act on what shows it.

An id, a file name or a document may hold anything that its author liked. Replaced by U+FFFD are controls (C0 but for
tab and newline, DEL, C1), which steer a terminal, the line separators, the embeddings, overrides and isolates that
make text read in another order than it has, and halves of surrogate pairs, which no encoding takes. All else is shown
as it is: `str.isprintable`, which was asked before, is false of the spaces U+00A0 and U+3000 and of joined emoji.
"""

from __future__ import annotations

import re

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAKING = re.compile("[ \t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")  # str.split would take every kind of space


def shown(text: str) -> str:
    """Return text with U+FFFD for every character that acts on a terminal or on the order of what is read."""
    return _ACTING.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """Return text without line breaks, runs of them and of plain spaces made one space; not yet `shown`."""
    return _BREAKING.sub(" ", text).strip(" ")


def escaped(dumped: str) -> str:
    """Return a JSON document with escapes for the same characters: another spelling of the same strings."""
    return _ACTING.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", dumped)
