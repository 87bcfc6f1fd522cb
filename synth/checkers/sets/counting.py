"""Checks counts by small recurrences: place by place, with or without the next item, from the left or from below."""

from __future__ import annotations

from functools import lru_cache

from synth.checkers.reading import UnreadableError, agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the number of ways."""
    if "steps right" in prompt_text or "blocks east" in prompt_text:
        right, up = found(r"(\d+) (?:steps right|blocks east) and (\d+)", prompt_text).groups()
        return agrees(prompt_text, answer_text, _walks(int(right), int(up)))
    first, second = (int(text) for text in found(
        r"(?:has|From|of|are) (\d+) (?:wheels|places|runners|people|kinds|different books)\D*(\d+)", prompt_text
    ).groups())  # fmt: skip
    if "wheels" in prompt_text or "may come again" in prompt_text:
        ways = 1
        for _ in range(first):
            ways = sum(ways for _ in range(second))
    elif "race" in prompt_text or "in a row" in prompt_text:
        if "first" in prompt_text:
            second = int(found(r"the first (\d+) places", prompt_text).group(1))
        ways = _orders(first, second)
    elif "order does not matter" in prompt_text or "order aside" in prompt_text:
        ways = _choices(first, second)
    else:
        raise UnreadableError(prompt_text)
    return agrees(prompt_text, answer_text, ways)


@lru_cache(maxsize=4096)
def _walks(right: int, up: int) -> int:
    return 1 if right == 0 or up == 0 else _walks(right - 1, up) + _walks(right, up - 1)


@lru_cache(maxsize=4096)
def _choices(pool: int, picks: int) -> int:
    if picks > pool:
        return 0
    return 1 if picks == 0 else _choices(pool - 1, picks) + _choices(pool - 1, picks - 1)


@lru_cache(maxsize=4096)
def _orders(pool: int, picks: int) -> int:
    return 1 if picks == 0 else sum(_orders(pool - 1, picks - 1) for _ in range(pool))
