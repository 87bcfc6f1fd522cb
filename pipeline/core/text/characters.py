"""What each Unicode character is, as one table of bits: code point -> space, letter, line end, end of sentence...

Kernels look characters up here instead of asking Python. The table is built from `str.isspace` and its like in
about 0.01 s at first use, so it follows the Unicode version of the running Python; 1.1 MB. It is not stored in the
tree because a stored copy would have to be trusted, and this one can be read.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np

SPACE = 1  # str.isspace
LINE_END = 2  # str.splitlines splits here
LETTER = 4  # str.isalpha
ALNUM = 8  # str.isalnum: a letter or any kind of digit
TERMINAL = 16  # ends a sentence in some script
CLOSER = 32  # may stand between the end of a sentence and the end of its line: quotes, brackets, * _ `
BULLET = 64  # opens an item of a list

LAST_LETTER = 0x33480  # above it no version up to Unicode 17 assigns a letter, digit or space
LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
BULLETS = "-*\u2022\u2023\u2043\u2219\u25e6\u25aa\u25ab\u25cf\u25cb\u25a0\u25a1\u25b8\u25ba"
# Unicode property Sentence_Terminal, scripts in living use; no quotes, no ellipsis, no semicolon or colon
TERMINALS = (
    ".?!\u0589\u061d\u061e\u061f\u06d4\u0700\u0701\u0702\u0964\u0965\u104a\u104b\u1362\u1367\u1368\u166e\u1735\u1736"
    "\u1803\u1809\u17d4\u17d5\u1944\u1945\u203c\u203d\u2047\u2048\u2049\u2e2e\u3002\ua4ff\ufe52\ufe56\ufe57\uff01\uff0e"
    "\uff1f\uff61"
)
CLOSING_CATEGORIES = ("Pe", "Pf", "Pi")  # Pi too: German closes with what English opens with


@cache
def character_table() -> np.ndarray:
    """Return uint8[0x110000]: the bits above for every code point."""
    codes = np.arange(LAST_LETTER, dtype=np.uint32)
    text = codes.view("U1")  # numpy asks of each what Python's methods say
    alnum = np.strings.isalnum(text)
    bits = np.zeros(0x110000, np.uint8)
    bits[:LAST_LETTER] = np.strings.isspace(text) * SPACE + np.strings.isalpha(text) * LETTER + alnum * ALNUM
    signs = map(chr, codes[:0x10000][~alnum[:0x10000]].tolist())
    closing = [char for char in signs if unicodedata.category(char) in CLOSING_CATEGORIES]
    for characters, bit in ((LINE_ENDS, LINE_END), (TERMINALS, TERMINAL), (BULLETS, BULLET)):
        bits[[ord(char) for char in characters]] |= bit
    bits[[ord(char) for char in [*closing, '"', "'", "*", "_", "`"]]] |= CLOSER
    bits.flags.writeable = False
    return bits
