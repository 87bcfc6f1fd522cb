"""Checks anagrams by crossing out letters, one by one."""

from __future__ import annotations

from synth.checkers.reading import agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the list, or the number, of the anagrams."""
    word, listed = found(
        r"word (?:is )?([a-z]+),? (?:and|with) the strings (?:are )?([a-z, ]+)\.", prompt_text
    ).groups()
    right = [item for item in listed.split(", ") if _same(word, item)]
    count = "How many" in prompt_text or "Count" in prompt_text
    return agrees(prompt_text, answer_text, len(right) if count else ", ".join(right))


def _same(word: str, item: str) -> bool:
    left = list(item)
    for letter in word:
        if letter not in left:
            return False
        left.remove(letter)
    return not left
