"""Checks walks with complex numbers: a step adds the direction, a turn multiplies it."""

from __future__ import annotations

import re

from synth.checkers.reading import agrees, found

_WAYS = {"north": 1j, "east": 1 + 0j, "south": -1j, "west": -1 + 0j}
_TURNS = {"left": 1j, "right": -1j, "around": -1 + 0j}


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the place, the direction, or the way back."""
    x, y, looks = found(r"at \((\d+), (\d+)\) and looks (\w+)", prompt_text).groups()
    start = here = complex(int(x), int(y))
    way = _WAYS[looks]
    for count, turn in re.findall(r"go (\d+) steps? forward|turn (left|right|around)", prompt_text):
        if count:
            here += way * int(count)
        else:
            way *= _TURNS[turn]
    if "(x, y)" in prompt_text:
        return agrees(prompt_text, answer_text, f"({int(here.real)}, {int(here.imag)})")
    if "look at the end" in prompt_text or "face at last" in prompt_text:
        return agrees(prompt_text, answer_text, next(name for name, value in _WAYS.items() if value == way))
    back = start - here
    return agrees(prompt_text, answer_text, int(abs(back.real) + abs(back.imag)))
