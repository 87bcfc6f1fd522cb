"""Simple ciphers: letters moved along the alphabet, mirrored, or moved by a growing amount; both ways."""

from __future__ import annotations

from collections.abc import Callable

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import WORDS

A = "abcdefghijklmnopqrstuvwxyz"


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty brings in large steps, the mirrored alphabet, growing steps, and two ciphers."""
    kinds = [("shift",), ("shift", "mirror"), ("shift", "mirror", "growing"), ("growing", "mirror"), ("both",)]
    kind, plain = draw.choice(kinds[difficulty - 1]), draw.choice(WORDS)
    step = draw.integer(1, 3 + 4 * difficulty)
    rule, table = _rule(kind, step)
    secret = "".join(table(at, A.index(letter)) for at, letter in enumerate(plain))
    back = draw.chance(50)
    given, answer = (secret, plain) if back else (plain, secret)
    steps = [f"{a} becomes {b}" for a, b in zip(given, answer, strict=True)]
    steps[0] = f"{'undo' if back else 'apply'} the rule letter by letter: {steps[0]}"
    return shaped(
        draw, family="ciphers", difficulty=difficulty, answer=answer, steps=steps,
        titles=("A secret word", "Letters that move", "A simple cipher"), facts={"kind": kind, "step": step},
        say=(f"To hide a word, {rule}.", f"The rule of a cipher: {rule}.", f"In a secret script, {rule}."),
        ask=(f'The hidden word is "{given}". Which word is behind it?', f'Decode "{given}".') if back
        else (f'How is "{given}" written then?', f'Encode "{given}".'),
    )  # fmt: skip


def _rule(kind: str, step: int) -> tuple[str, Callable[[int, int], str]]:
    """Return the rule in words, and what it makes of letter n (0..25) at a place (0..)."""
    if kind == "shift":
        words = f"every letter is replaced by the one {step} places later, with a after z"
        return words, lambda at, n: A[(n + step) % 26]
    if kind == "mirror":
        return "a becomes z, b becomes y, and so on through the alphabet", lambda at, n: A[25 - n]
    if kind == "growing":
        words = f"the first letter moves {step} places later, and every next letter one place more, with a after z"
        return words, lambda at, n: A[(n + step + at) % 26]
    words = f"a becomes z, b becomes y, and so on, and then every letter moves {step} places later, with a after z"
    return words, lambda at, n: A[(25 - n + step) % 26]
