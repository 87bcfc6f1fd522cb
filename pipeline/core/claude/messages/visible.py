"""A text -> what a reader sees of it, and the form in which two texts are compared. Needs nothing but Python.

Stripped is what shows nothing and can carry orders: controls, and Unicode's default ignorable characters (zero width,
direction marks, tags, fillers, the second of two joiners or variation selectors in a row; one alone is spelling). What
a model or a server's template may take for an end of the document, such as `</document` or `<|im_end|>`, gets a space
inside.
"""

from __future__ import annotations

import re
import unicodedata

CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")
UNSEEN = re.compile(
    "[\x80-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
# Spelling in Persian, the scripts of India, and emoji, where it stands alone.
JOINING = re.compile("([\u200c\u200d\ufe00-\ufe0f])[\u200c\u200d\ufe00-\ufe0f]+")
# Ends of our fence, and of messages in the templates of local servers, which some servers read inside a text too.
FORGED = re.compile(
    r"[<\[](?=\||/?\s*(?:document|rubric|system|start_of_turn|end_of_turn|s)\b|</?SYS|/?INST\])", re.IGNORECASE
)
TYPOGRAPHIC = str.maketrans(
    "\u2018\u2019\u201a\u201c\u201d\u201e\u2010\u2011\u2012\u2013\u2014\u2212", "'''\"\"\"------"
)


def visible(text: str) -> str:
    """Return what a teacher sees of a text: nothing invisible, no mark that could end the document."""
    text = CONTROLS.sub("", text)
    if not text.isascii():
        text = JOINING.sub(r"\1", UNSEEN.sub("", text))
    return FORGED.sub(r"\g<0> ", text)


def comparable(text: str) -> str:
    """Return a text as quotes are looked for in it: one case, one kind of space, quote and dash, whole characters."""
    return " ".join(unicodedata.normalize("NFKC", visible(text)).translate(TYPOGRAPHIC).casefold().split())
