"""Edits of a piece of text, one after the other: reverse, replace, remove, rotate, insert; or a count at the end."""

from __future__ import annotations

from collections.abc import Callable

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import NAMES, WORDS

VOWELS = "aeiou"


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty sets the number of edits and the length of the text."""
    text = start = _start(draw, difficulty)
    orders: list[str] = []
    steps: list[str] = []
    wanted = 1 + difficulty + draw.below(2)
    previous: object = None
    while len(orders) < wanted:
        edit = draw.choice(EDITS)
        order, changed = edit(draw, text)
        if edit is previous or not 2 <= len(changed) <= 40 or changed == text:
            continue
        previous, text = edit, changed
        orders.append(order)
        steps.append(_step(draw, order, changed))
    opening = draw.choice(
        (
            'Start with the string "{s}".',
            'Take the text "{s}".',
            '{p} writes "{s}" on a card.',
            'A program is given the string "{s}".',
            'The input is "{s}".',
            'Begin with "{s}".',
            'A text field contains "{s}".',
            '{p} types "{s}".',
            'We are given "{s}".',
            'Let the string be "{s}".',
            'The first line of a file reads "{s}".',
            '{p} starts from the word "{s}".',
            'Suppose a variable holds "{s}".',
        )
    ).format(s=start, p=draw.choice(NAMES))
    return _asked(draw, difficulty, opening, orders, steps, start, text)


def _start(draw: Draw, difficulty: int) -> str:
    if difficulty >= 3 and draw.chance(35):
        return "".join(draw.choice("abcdefghijklmnoprstuvwy") for _ in range(4 + difficulty + draw.below(4)))
    word = draw.choice(WORDS)
    return word + draw.choice(WORDS) if difficulty >= 4 and draw.chance(50) else word


def _step(draw: Draw, order: str, changed: str) -> str:
    how = draw.choice(
        ('{o}: "{c}"', '{o}, which gives "{c}"', '{o}; the string is now "{c}"', '{o}, and we have "{c}"')
    )
    return how.format(o=order, c=changed)


def _asked(
    draw: Draw, difficulty: int, opening: str, orders: list[str], steps: list[str], start: str, text: str
) -> Task:
    manner = draw.below(3)
    if manner == 0:
        told = "\n".join(f"{number}. {order[0].upper()}{order[1:]}." for number, order in enumerate(orders, 1))
    elif manner == 1:
        links = ["First", *("then" if draw.chance(60) else "after that" for _ in orders[1:])]
        told = "; ".join(f"{link} {order}" for link, order in zip(links, orders, strict=True)) + "."
    else:
        told = " ".join(f"{order[0].upper()}{order[1:]}." for order in orders)
    kind = draw.below(10)
    if kind == 0:
        ask = draw.choice(
            (
                "How many characters does the result have?",
                "What is the length of the resulting string?",
                "Count the characters of the result.",
            )
        )
        answer, last = str(len(text)), f'"{text}" has {len(text)} characters'
    elif kind == 1:
        letter = draw.choice(text)
        ask = draw.choice(
            (
                f"How often does the letter '{letter}' occur in the result?",
                f"Count the letter '{letter}' in the resulting string.",
            )
        )
        answer, last = (
            str(text.count(letter)),
            (
                f"the letter '{letter}' occurs {text.count(letter)} "
                f'time{"" if text.count(letter) == 1 else "s"} in "{text}"'
            ),
        )
    else:
        ask = draw.choice(
            (
                "What is the result?",
                "Which string do you get?",
                "What does the text look like now?",
                "Give the resulting string.",
                "Write down the final string.",
                "What is left at the end?",
                "Find the final text.",
                "What is the string after all edits?",
            )
        )
        answer, last = text, ""
    close = draw.choice(
        ("The result is {a}.", "The final answer is {a}.", "So the answer is {a}.", "We end with {a}.")
    ).format(a=answer)
    title = draw.choice(
        (
            "Editing a string",
            "Following instructions letter by letter",
            "Changing a word step by step",
            "String operations",
            f"What becomes of {start}?",
        )
    )
    work = (*steps, last) if last else tuple(steps)
    facts = {"start": start, "edits": orders, "asks": ("length", "count")[kind] if kind < 2 else "string"}
    return Task("string_edits", difficulty, title, (opening, told), ask, answer, work, close, facts)


# Each edit returns the instruction (a clause in lower case) and the changed text -----------------------------------


def _reverse(draw: Draw, text: str) -> tuple[str, str]:
    return draw.choice(("reverse the string", "write it backwards", "reverse the order of the characters")), text[::-1]


def _replace(draw: Draw, text: str) -> tuple[str, str]:
    old, new = draw.choice(text), draw.choice("aeioubdklmnprst")
    order = draw.choice(
        (f"replace every '{old}' with '{new}'", f"change each '{old}' to '{new}'", f"turn every '{old}' into '{new}'")
    )
    return order, text.replace(old, new)


def _delete(draw: Draw, text: str) -> tuple[str, str]:
    letter = draw.choice(text)
    return draw.choice(
        (f"delete every '{letter}'", f"remove all occurrences of '{letter}'", f"strike out each '{letter}'")
    ), text.replace(letter, "")


def _drop_first(draw: Draw, text: str) -> tuple[str, str]:
    count = draw.integer(1, 3)
    return (f"remove the first {count} characters" if count > 1 else "remove the first character"), text[count:]


def _drop_last(draw: Draw, text: str) -> tuple[str, str]:
    count = draw.integer(1, 3)
    return (f"remove the last {count} characters" if count > 1 else "remove the last character"), text[:-count]


def _append(draw: Draw, text: str) -> tuple[str, str]:
    extra = "".join(draw.choice("abdeilmnorstu") for _ in range(draw.integer(1, 3)))
    return draw.choice((f"append '{extra}' at the end", f"add '{extra}' to the end")), text + extra


def _prepend(draw: Draw, text: str) -> tuple[str, str]:
    extra = "".join(draw.choice("abdeilmnorstu") for _ in range(draw.integer(1, 3)))
    return draw.choice((f"put '{extra}' in front", f"add '{extra}' to the beginning")), extra + text


def _swap_ends(draw: Draw, text: str) -> tuple[str, str]:
    return draw.choice(("swap the first and the last character", "exchange the first character with the last")), text[
        -1
    ] + text[1:-1] + text[0]


def _double_vowels(draw: Draw, text: str) -> tuple[str, str]:
    changed = "".join(c * 2 if c in VOWELS else c for c in text)
    return draw.choice(("double every vowel (a, e, i, o, u)", "write each vowel (a, e, i, o, u) twice")), changed


def _remove_vowels(draw: Draw, text: str) -> tuple[str, str]:
    return draw.choice(("remove all vowels (a, e, i, o, u)", "leave out every vowel (a, e, i, o, u)")), "".join(
        c for c in text if c not in VOWELS
    )


def _rotate(draw: Draw, text: str) -> tuple[str, str]:
    count = draw.integer(1, 3)
    if len(text) <= count:
        return "", text
    amount = "the first character" if count == 1 else f"the first {count} characters"
    if draw.chance(50):
        return f"move {amount} to the end", text[count:] + text[:count]
    return f"move {amount.replace('first', 'last')} to the front", text[-count:] + text[:-count]


def _every_second(draw: Draw, text: str) -> tuple[str, str]:
    return draw.choice(
        (
            "keep only every second character, starting with the first",
            "keep the characters at positions 1, 3, 5 and so on",
        )
    ), text[::2]


def _sort(draw: Draw, text: str) -> tuple[str, str]:
    return draw.choice(("sort the characters alphabetically", "put the characters in alphabetical order")), "".join(
        sorted(text)
    )


def _insert_after(draw: Draw, text: str) -> tuple[str, str]:
    letter, extra = draw.choice(text), draw.choice("klmnrstxz")
    return draw.choice(
        (f"insert '{extra}' after every '{letter}'", f"insert '{extra}' right behind each '{letter}'")
    ), text.replace(letter, letter + extra)


def _swap_halves(draw: Draw, text: str) -> tuple[str, str]:
    half = len(text) // 2
    if len(text) % 2:
        return "", text
    return draw.choice(("swap the two halves of the string", "exchange the first half with the second half")), text[
        half:
    ] + text[:half]


EDITS: tuple[Callable[[Draw, str], tuple[str, str]], ...] = (
    _reverse,
    _replace,
    _replace,
    _delete,
    _drop_first,
    _drop_last,
    _append,
    _prepend,
    _swap_ends,
    _double_vowels,
    _remove_vowels,
    _rotate,
    _rotate,
    _every_second,
    _sort,
    _insert_after,
    _swap_halves,
)
