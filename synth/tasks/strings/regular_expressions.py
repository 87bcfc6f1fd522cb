"""Regular expressions: which strings of a list match as a whole, piece by piece."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task

GROUPS = ("a", "bc", "def", "gh", "k", "mno", "p", "xyz", "0123456789")
COUNTS = (("", 1, 1), ("*", 0, 9), ("+", 1, 9), ("?", 0, 1), ("{2}", 2, 2), ("{1,3}", 1, 3))


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds pieces and strings that fail in one place only."""
    pieces = [(letters, *draw.choice(COUNTS[: 3 + difficulty // 2 + (difficulty > 3)]))
              for letters in draw.sample(GROUPS, 2 + difficulty // 2)]  # fmt: skip
    pattern = "".join(_class(letters) + count for letters, count, _, _ in pieces)
    items = []
    for number in range(3 + difficulty):
        spoiled = draw.below(len(pieces)) if number % 2 else -1
        items.append("".join(_part(draw, piece, spoil=at == spoiled) for at, piece in enumerate(pieces)))
    items = draw.sample([item for item in dict.fromkeys(items) if item], 99)
    right = [item for item in items if not _fault(item, pieces)]
    steps = [f"{_class(letters)}{count} stands for {_said(low, high)} of {' '.join(letters)}"
             for letters, count, low, high in pieces]  # fmt: skip
    steps += [
        f"{item} {'matches' if not (why := _fault(item, pieces)) else 'does not match, as ' + why}" for item in items
    ]
    many = draw.chance(40)
    what = ", ".join(items)
    return shaped(
        draw, family="regular_expressions", difficulty=difficulty, steps=steps,
        answer=len(right) if many or not right else ", ".join(right), facts={"pattern": pattern, "items": items},
        titles=("A regular expression", "What does the pattern match?", "Patterns"),
        say=(f"The pattern is {pattern} and the strings are {what}.",
             f"Match each whole string against the pattern {pattern} here; the strings are {what}."),
        ask=("How many of the strings match as a whole?", "Count the strings that match from end to end.")
        if many or not right
        else ("Which of the strings match as a whole? Keep their order.", "List the whole matches in the order given."),
    )  # fmt: skip


def _class(letters: str) -> str:
    return "\\d" if letters[0] == "0" else letters if len(letters) == 1 else f"[{letters}]"


def _said(low: int, high: int) -> str:
    if high == 9:
        return f"{low} or more"
    return f"exactly {low}" if low == high else f"{low} to {high}"


def _part(draw: Draw, piece: tuple[str, str, int, int], *, spoil: bool) -> str:
    letters, _, low, high = piece
    count = draw.integer(low, min(high, low + 2))
    if spoil:
        count = high + 1 if high < 9 else low - 1 if low else count
    text = "".join(draw.choice(letters) for _ in range(count))
    return text + ("q" if spoil and high == 9 and low == 0 else "")


def _fault(text: str, pieces: list[tuple[str, str, int, int]]) -> str:
    """Return why the text does not match; no two pieces share a letter, so taking all that fits is right."""
    at = 0
    for letters, count, low, high in pieces:
        start = at
        while at < len(text) and text[at] in letters and at - start < (high if high < 9 else 99):
            at += 1
        if at - start < low:
            return f"{_class(letters)}{count} finds only {at - start} there"
    return f"{text[at:]} is left over" if at < len(text) else ""
