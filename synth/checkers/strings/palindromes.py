"""Checks palindromes by walking from both ends to the middle."""

from __future__ import annotations

from synth.checkers.reading import agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the list, the number, or the fewest changes."""
    listed = found(r"strings? (?:is |are )?([a-z, ]+)\.|strings?: ([a-z, ]+)\.", prompt_text)
    items = (listed.group(1) or listed.group(2)).split(", ")
    if "letters" in prompt_text and "palindrome?" in prompt_text:
        return agrees(prompt_text, answer_text, _unequal(items[0]))
    right = [item for item in items if not _unequal(item)]
    count = "How many" in prompt_text or "Count" in prompt_text
    return agrees(prompt_text, answer_text, len(right) if count else ", ".join(right))


def _unequal(text: str) -> int:
    left, right, unequal = 0, len(text) - 1, 0
    while left < right:
        unequal += text[left] != text[right]
        left, right = left + 1, right - 1
    return unequal
