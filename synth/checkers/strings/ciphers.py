"""Checks ciphers by encoding every letter of the plain side with character codes, one place at a time."""

from __future__ import annotations

import re

from synth.checkers.reading import agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the encoded or the decoded word."""
    given = found(r'"([a-z]+)"', prompt_text).group(1)
    decode = "hidden word is" in prompt_text or "Decode" in prompt_text
    moved = re.search(r"(\d+) places later", prompt_text)
    step, mirror = int(moved.group(1)) if moved else 0, "a becomes z" in prompt_text
    growing = "one place more" in prompt_text
    right = ""
    for at, letter in enumerate(given):
        options = [chr(code) for code in range(97, 123) if _hidden(code, step + at * growing, mirror) == letter]
        right += options[0] if decode else _hidden(ord(letter), step + at * growing, mirror)
    return agrees(prompt_text, answer_text, right)


def _hidden(code: int, step: int, mirror: bool) -> str:
    code = (219 - code if mirror else code) + step
    while code > 122:
        code -= 26
    return chr(code)
