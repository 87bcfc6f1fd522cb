"""Style twins: the same content in another dress, to see whether a teacher grades the dress.

`padded` puts fluent sentences that say nothing before and after the text; `stripped` takes the marks of Markdown away
and leaves the words. A teacher that follows its rubric gives a twin the grade of its original.
"""

from __future__ import annotations

import re

BEFORE = (
    "Welcome, and thank you for taking the time to read this. In what follows, we take a closer look at the matter at "
    "hand and go through it one part at a time. It is our hope that every reader finds something of value here, "
    "whatever their background may be, and that nothing of importance has been left unsaid."
)
AFTER = (
    "With this, we come to the end of what we set out to say. As has been seen, there is more to the matter than meets "
    "the eye, and much more could certainly be added. We hope that it was a pleasure to read, and we look forward to "
    "meeting again on another occasion."
)

FENCE = re.compile(r"^[ \t]*(?:```|~~~).*\n?", re.MULTILINE)
HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+|[ \t]+#+[ \t]*$", re.MULTILINE)
UNDERLINE = re.compile(r"^[ \t]*(?:={3,}|-{3,}|\*{3,}|_{3,})[ \t]*\n?", re.MULTILINE)
BULLET = re.compile(r"^([ \t]*)(?:[-*+]|\d{1,3}[.)])[ \t]+", re.MULTILINE)
QUOTE = re.compile(r"^[ \t]*>(?!>)[ \t]?", re.MULTILINE)
LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*(?:[ \t]+\"[^\"\n]*\")?\)")
EMPHASIS = re.compile(r"(\*\*|\*|`{1,2}|~~)(?=\S)([^\n*`~]*?\S)\1(?!\w)")


def padded(text: str) -> str:
    """Return the text between two paragraphs that say nothing."""
    return f"{BEFORE}\n\n{text}\n\n{AFTER}"


def stripped(text: str) -> str:
    """Return the text without headings, bullets, rules, quotes, fences, links and emphasis; the words stay."""
    for pattern in (FENCE, UNDERLINE, HEADING, QUOTE):
        text = pattern.sub("", text)
    text = BULLET.sub(r"\1", text)
    text = LINK.sub(r"\1", text)
    return EMPHASIS.sub(r"\2", text)


TWINS = {"padded": padded, "stripped": stripped}
