"""Palindromes: the strings of a list that read the same backwards, or the fewest letters that must change."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task

LETTERS = "abcdeilmnorstu"


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds strings and letters."""
    if draw.chance(40):
        return _changes(draw, difficulty)
    items, true = [], draw.integer(1, 2 + difficulty // 2)
    for number in range(3 + difficulty):
        half = "".join(draw.choice(LETTERS) for _ in range(draw.integer(2, 2 + (difficulty + 1) // 2)))
        text = half + (draw.choice(LETTERS) if draw.chance(50) else "") + half[::-1]
        if number >= true:
            at = draw.below(len(half))
            text = text[:at] + draw.choice(LETTERS.replace(text[at], "")) + text[at + 1 :]
        items.append(text)
    items = draw.sample(list(dict.fromkeys(items)), 99)
    right = [text for text in items if text == text[::-1]]
    steps = [f"{text} backwards is {text[::-1]}, {'the same' if text in right else 'not the same'}" for text in items]
    many = draw.chance(40)
    what = ", ".join(items)
    return _task(
        draw,
        difficulty,
        (f"The strings are {what}.", f"Look at the strings {what}.", f"Here are strings: {what}."),
        ("How many of them are palindromes?", "Count the palindromes.")
        if many
        else ("Which of them are palindromes? Keep their order.", "List the palindromes in the order given."),
        str(len(right)) if many else ", ".join(right),
        steps,
        {"items": items},
    )


def _changes(draw: Draw, difficulty: int) -> Task:
    half = [draw.choice(LETTERS) for _ in range(2 + difficulty)]
    letters = half + [draw.choice(LETTERS)] * draw.below(2) + half[::-1]
    for _ in range(draw.integer(1, 1 + difficulty)):
        letters[draw.below(len(letters))] = draw.choice(LETTERS)
    text, steps, count = "".join(letters), [], 0
    for at in range(len(text) // 2):
        left, right = text[at], text[-1 - at]
        count += left != right
        if left != right:
            steps.append(f"letter {at + 1} from the left is {left} and from the right {right}, so one must change")
    steps.append("all other pairs are equal" if count else "every pair from the two ends is equal")
    steps.append(f"the number of pairs that differ is {count}")
    return _task(
        draw,
        difficulty,
        (f"The string is {text}.", f"Look at the string {text}.", f"Here is a string: {text}."),
        (
            "How many letters must at least change to make it a palindrome?",
            "What is the smallest number of changed letters that makes it a palindrome?",
        ),
        str(count),
        steps,
        {"text": text},
    )


def _task(
    draw: Draw,
    difficulty: int,
    say: tuple[str, ...],
    ask: tuple[str, ...],
    answer: str,
    steps: list[str],
    facts: dict[str, object],
) -> Task:
    return shaped(
        draw,
        family="palindromes",
        difficulty=difficulty,
        answer=answer,
        steps=steps,
        say=say,
        ask=ask,
        facts=facts,
        titles=("Palindromes", "The same backwards", "Reading from both ends"),
    )
