"""Small tasks that need no data: a name, a number and a seed in, items of a prompt and its answer out.

Copying, induction, arithmetic, retrieval and sorting, each in one fixed form over made words and small numbers, so
that only the skill is in question and no text of a corpus can hold the answer. An item has one choice, its answer: what
counts is its bits per byte, which falls smoothly where exact answers stay at zero for all small models. `curve` puts
that beside what a lane was trained on. Item `n` of a task depends on seed, task and number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from eval.proxies.machine import Precision
from eval.proxies.tiers import Tier
from eval.proxies.tokenizer import Tokenizer
from eval.scores.multiple_choice import Estimate, Item, score_items, summaries
from pipeline.core.errors import RecipeError, nearest_names
from pipeline.core.rng import generator

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True, slots=True)
class Point:
    """One lane on a task: what it was trained on, and bits per byte of the answers."""

    num_tokens: int
    bits_per_byte: Estimate


def items_of(task: str, *, count: int, seed: int) -> list[Item]:
    """Return `count` items of a task; RecipeError if there is no such task."""
    if task not in TASKS:
        raise RecipeError(f"`{task}` is not a task; there are {', '.join(TASKS)}. Use {nearest_names(task, TASKS)}.")
    found = []
    for number in range(count):
        prompt, answer = TASKS[task](generator(seed, "small task", task, number))
        found.append(Item(prompt=prompt, choices=(answer,)))
    return found


def curve(
    params: Mapping[str, Tensor],
    num_tokens: Sequence[int],
    *,
    tasks: Mapping[str, Sequence[Item]],
    tokenizer: Tokenizer,
    tier: Tier,
    device: str = "cpu",
    precision: Precision = "auto",
    threads: int = 1,
) -> dict[str, list[Point]]:
    """Return, for each task, stacked lanes or checkpoints in the order of the tokens that each was trained on."""
    order = np.argsort(num_tokens, kind="stable")
    found = {}
    for task, items in tasks.items():
        scores = score_items(
            params, items, tokenizer=tokenizer, tier=tier, device=device, precision=precision, threads=threads
        )
        made = summaries(scores)
        found[task] = [Point(num_tokens[lane], bits_per_byte=made[lane].bits_per_byte) for lane in order]
    return found


def _words(draw: np.random.Generator, count: int) -> list[str]:
    """Return different made words of two syllables."""
    places = draw.choice(len(CONSONANTS) ** 2 * len(VOWELS) ** 2, count, replace=False)
    return [
        "".join(letters[i] for letters, i in zip(_LETTERS, np.unravel_index(at, _SHAPE), strict=True)) for at in places
    ]


_LETTERS = (CONSONANTS, VOWELS, CONSONANTS, VOWELS)
_SHAPE = tuple(len(letters) for letters in _LETTERS)


def _copying(draw: np.random.Generator) -> tuple[str, str]:
    words = " ".join(_words(draw, int(draw.integers(3, 7))))
    return f"copy: {words} ->", f" {words}\n"


def _induction(draw: np.random.Generator) -> tuple[str, str]:
    """Somewhere before, the last word was followed by the answer."""
    words = _words(draw, 12)
    place = int(draw.integers(0, 10))
    return " ".join([*words, words[place]]), f" {words[place + 1]}"


def _arithmetic(draw: np.random.Generator) -> tuple[str, str]:
    one, other = (int(number) for number in draw.integers(0, 100, 2))
    if draw.integers(2):
        return f"{one} + {other} =", f" {one + other}\n"
    return f"{max(one, other)} - {min(one, other)} =", f" {abs(one - other)}\n"


def _retrieval(draw: np.random.Generator) -> tuple[str, str]:
    names = _words(draw, 6)
    values = [str(value) for value in draw.choice(np.arange(100, 1000), len(names), replace=False)]
    told = " ".join(f"The box {name} holds {value}." for name, value in zip(names, values, strict=True))
    asked = int(draw.integers(len(names)))
    return f"{told} The box {names[asked]} holds", f" {values[asked]}."


def _sorting(draw: np.random.Generator) -> tuple[str, str]:
    numbers = draw.choice(100, int(draw.integers(3, 7)), replace=False)
    given, ordered = (" ".join(str(number) for number in order) for order in (numbers, np.sort(numbers)))
    return f"sort: {given} ->", f" {ordered}\n"


TASKS: Mapping[str, Callable[[np.random.Generator], tuple[str, str]]] = {
    "copying": _copying,
    "induction": _induction,
    "arithmetic": _arithmetic,
    "retrieval": _retrieval,
    "sorting": _sorting,
}
