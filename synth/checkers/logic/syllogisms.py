"""Checks conclusions by trying every way in which the person can belong to the kinds, and keeping what breaks no rule.

A kind is one bit; with ten kinds there are 1,024 ways, cut down rule by rule.
"""

from __future__ import annotations

import re

from synth.checkers.reading import UnreadableError, agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is what holds in all ways that are left: yes, no, or unknown."""
    rules = re.findall(r"\b(Every|No) ([a-z]+) is a ([a-z]+)\.", prompt_text)
    name, negated, kind = found(r"\b([A-Z][a-z]+) is (not )?a ([a-z]+)\.(?! *if)", _without(prompt_text)).groups()
    asked = found(rf"Is {name} a ([a-z]+)\?|follow that {name} is a ([a-z]+)\?", prompt_text)
    question = asked.group(1) or asked.group(2)
    kinds = sorted({word for _, a, b in rules for word in (a, b)} | {kind, question})
    bit = {word: 1 << at for at, word in enumerate(kinds)}
    ways = [way for way in range(1 << len(kinds)) if bool(way & bit[kind]) != bool(negated)]
    for word, a, b in rules:
        one, two, wanted = bit[a], bit[b], word == "Every"
        ways = [way for way in ways if not way & one or bool(way & two) == wanted]
    if not ways:
        raise UnreadableError(prompt_text)
    held = {bool(way & bit[question]) for way in ways}
    return agrees(prompt_text, answer_text, "unknown" if len(held) > 1 else "yes" if True in held else "no")


def _without(text: str) -> str:
    return re.sub(r"\b(?:Every|No) [a-z]+ is a [a-z]+\.|it follow that [^?]*\?", " ", text)
