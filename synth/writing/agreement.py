"""Two short answers -> whether they say the same. Goes with exported tasks, so it needs nothing but Python.

As narrow as a question's answer is short: equal after case, articles, quotes and spaces are taken away, or the same
number with the same unit.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from pipeline.core.claude.messages.visible import comparable

NUMERIC = re.compile(r"([-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?)(?![\d.,])\s*(.*)", re.S)
ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def agree(given: str, right: str) -> bool:
    """Say whether two answers are the same: as words, or as a number with its unit."""
    one, other = normal(given), normal(right)
    if one == other:
        return bool(one)
    first, second = number_in(one), number_in(other)
    return first is not None and first == second


def normal(text: str) -> str:
    """Return a text as answers are compared: one case, no articles, no punctuation but in numbers and names."""
    plain = re.sub(r"(?<=[^\d\s$-])[.,]|[.,](?!\d)|[^\w\s.,%$+#<>\u20ac\u00a3\u00a5\u00b1^-]", " ", comparable(text))
    return " ".join(ARTICLES.sub(" ", plain).split())


def number_in(text: str) -> tuple[Decimal, str] | None:
    """Return a normal text as a number and its unit; None where it is none."""
    found = NUMERIC.fullmatch(text)
    if found is None:
        return None
    try:
        return Decimal(found[1].replace(",", "")), found[2].strip()
    except InvalidOperation:
        return None
