"""Anagrams: which strings of a list have the same letters as a word, found by writing letters in order."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import WORDS

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds strings, and false ones that differ by a single letter."""
    word = draw.choice(WORDS)
    wanted = draw.integer(1, 1 + (difficulty + 1) // 2)
    items = [_mixed(draw, word) for _ in range(wanted)]
    for _ in range(2 + difficulty - wanted // 2):
        if draw.chance(20 + 15 * difficulty):
            at, other = draw.below(len(word)), draw.choice(LETTERS)
            items.append(_mixed(draw, word[:at] + other + word[at + 1 :]))
        else:
            items.append(_mixed(draw, draw.choice(WORDS)))
    items = draw.sample(list(dict.fromkeys(items)), 99)
    key = "".join(sorted(word))
    right = [item for item in items if "".join(sorted(item)) == key]
    steps = [f"the letters of {word} in order are {key}"]
    steps += [f"{item} gives {''.join(sorted(item))}, which is {'the same' if item in right else 'another'}"
              for item in items]  # fmt: skip
    many = draw.chance(30)
    return shaped(
        draw, family="anagrams", difficulty=difficulty, steps=steps, facts={"word": word, "items": items},
        answer=len(right) if many else ", ".join(right), titles=("Anagrams", "Mixed letters", f"The letters of {word}"),
        say=(f"The word is {word}, and the strings are {', '.join(items)}.",
             f"Compare the word {word} with the strings {', '.join(items)}."),
        ask=("How many of the strings are anagrams of the word?", "Count the anagrams of the word among them.")
        if many
        else ("Which of the strings are anagrams of the word? Keep their order.",
              "List the anagrams of the word in the order given."),
    )  # fmt: skip


def _mixed(draw: Draw, word: str) -> str:
    mixed = "".join(draw.sample(word, len(word)))
    return mixed if mixed != word else word[1:] + word[0]
