"""Checks patterns with the standard library's regular expressions, which the generator does not use."""

from __future__ import annotations

import re

from synth.checkers.reading import agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the list, or the number, of strings that match as a whole."""
    said = found(r"pattern (?:is )?(\S+) (?:and|here;) the strings are ([a-z0-9, ]+)\.", prompt_text)
    items = said.group(2).split(", ")
    right = [item for item in items if re.fullmatch(said.group(1), item)]
    count = "How many" in prompt_text or "Count the strings" in prompt_text
    return agrees(prompt_text, answer_text, len(right) if count else ", ".join(right))
