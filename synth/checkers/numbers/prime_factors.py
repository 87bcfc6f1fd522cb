"""Checks prime factors by dividing by 2, 3, 4 and so on, and divisors in pairs up to the square root."""

from __future__ import annotations

from math import isqrt

from synth.checkers.reading import agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the product, the largest prime, or the number of divisors."""
    number = int(found(r"number (?:is )?(\d+)", prompt_text).group(1))
    if "divisors" in prompt_text:
        pairs = sum(2 for low in range(1, isqrt(number) + 1) if number % low == 0)
        return agrees(prompt_text, answer_text, pairs - (isqrt(number) ** 2 == number))
    factors, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    return agrees(prompt_text, answer_text, factors[-1] if "largest" in prompt_text else " * ".join(map(str, factors)))
