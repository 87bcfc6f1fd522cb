"""Checks numbers in other bases by weighing every digit from the right, never by dividing."""

from __future__ import annotations

from synth.checkers.reading import UnreadableError, agrees, found

_SAID = r"In base (\d+) a number is written (\w+)\.|numeral (\w+) is in base (\d+)|digits (\w+) in base (\d+)"


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer, in the base that is asked for, has the same value."""
    one, a, b, two, c, three = found(_SAID, prompt_text).groups()
    value = _weight(a or b or c, int(one or two or three))
    target = int(found(r"(?:written in|Write it in|Give it to) base (\d+)", prompt_text).group(1))
    bare = found(r"^(?:\[|<<|\\boxed\{|\{\"answer\": \")?(\w*)", answer_text).group(1)
    if not bare or bare[0] == "0" or any(_digit(mark) >= target for mark in bare):
        return False
    return _weight(bare, target) == value and agrees(prompt_text, answer_text, bare)


def _digit(mark: str) -> int:
    return ord(mark) - 48 if "0" <= mark <= "9" else ord(mark) - 87 if "a" <= mark <= "f" else 99


def _weight(digits: str, base: int) -> int:
    if any(_digit(mark) >= base for mark in digits):
        raise UnreadableError(digits)
    return sum(_digit(mark) * base**place for place, mark in enumerate(reversed(digits)))
