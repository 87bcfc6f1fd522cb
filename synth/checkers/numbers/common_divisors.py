"""Checks common divisors and multiples by trying: every smaller divisor, every multiple of the largest number."""

from __future__ import annotations

from synth.checkers.reading import agrees, found, items_of


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the greatest common divisor or the least common multiple."""
    numbers = [int(item) for item in items_of(found(r"numbers[a-z ]*:? ([\d, and]+)\.", prompt_text).group(1))]
    if "least common multiple" in prompt_text:
        most = max(numbers)
        right = most
        while any(right % number for number in numbers):
            right += most
    else:
        right = min(numbers)
        while any(number % right for number in numbers):
            right -= 1
    return agrees(prompt_text, answer_text, right)
