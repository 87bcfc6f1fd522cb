"""Sequences with a rule to find: constant steps, constant factors, growing steps, sums of neighbours, two woven."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import NAMES, TOWNS, ordinal


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty chooses the kind of rule and how far the sequence is continued."""
    kinds = (
        (_steps, _steps, _factor),
        (_steps, _factor, _growing),
        (_factor, _growing, _neighbours),
        (_growing, _neighbours, _woven, _affine),
        (_growing, _neighbours, _woven, _affine),
    )[difficulty - 1]
    return draw.choice(kinds)(draw, difficulty)


def _steps(draw: Draw, difficulty: int) -> Task:
    first, step = (
        draw.integer(-5 * difficulty if difficulty > 1 else 1, 60),
        draw.choice((-1, 1, 1)) * draw.integer(2, 8 + 5 * difficulty),
    )
    terms = [first + step * n for n in range(14)]
    say = f"add {step}" if step > 0 else f"subtract {-step}"
    pairs = [f"{_sign(terms[1])} - {_sign(terms[0])} = {step}", f"{_sign(terms[2])} - {_sign(terms[1])} = {step}"]
    return _task(
        draw,
        difficulty,
        terms,
        5,
        f"{say} each time",
        [f"the differences are all equal, for example {pairs[0]} and {pairs[1]}"],
        lambda a, b, n: f"{a} {'+' if step > 0 else '-'} {abs(step)} = {b}",
        "steps",
        {"first": first, "step": step},
    )


def _factor(draw: Draw, difficulty: int) -> Task:
    first, factor = draw.integer(1, 7 + difficulty), draw.choice((2, 2, 3, 3, 4, 5, 10) if difficulty > 1 else (2, 3))
    terms = [first * factor**n for n in range(9)]
    why = [
        (
            f"each term is {factor} times the one before it, as {terms[0]} * "
            f"{factor} = {terms[1]} and {terms[1]} * {factor} = {terms[2]} show"
        )
    ]
    return _task(
        draw,
        difficulty,
        terms,
        4,
        f"multiply by {factor} each time",
        why,
        lambda a, b, n: f"{a} * {factor} = {b}",
        "factor",
        {"first": first, "factor": factor},
    )


def _growing(draw: Draw, difficulty: int) -> Task:
    first, gap, more = draw.integer(0, 30), draw.integer(1, 9), draw.integer(1, 2 + difficulty)
    terms = [first]
    for n in range(12):
        terms.append(terms[-1] + gap + more * n)
    gaps = [b - a for a, b in pairwise(terms)]
    why = [
        f"the differences are {', '.join(map(str, gaps[:4]))}",
        f"each difference is {more} more than the one before",
    ]
    return _task(
        draw,
        difficulty,
        terms,
        5,
        f"the differences grow by {more}",
        why,
        lambda a, b, n: f"{a} + {b - a} = {b}",
        "growing",
        {"first": first, "gap": gap, "more": more},
    )


def _neighbours(draw: Draw, difficulty: int) -> Task:
    terms = [draw.integer(1, 4 + 3 * difficulty), draw.integer(1, 6 + 3 * difficulty)]
    for _ in range(10):
        terms.append(terms[-1] + terms[-2])
    why = [
        (
            f"every term from the third on is the sum of the two before it: {terms[0]} "
            f"+ {terms[1]} = {terms[2]} and {terms[1]} + {terms[2]} = {terms[3]}"
        )
    ]
    return _task(
        draw,
        difficulty,
        terms,
        6,
        "add the two terms before",
        why,
        lambda a, b, n: f"{terms[n - 2]} + {terms[n - 1]} = {b}",
        "neighbours",
        {"start": terms[:2]},
    )


def _affine(draw: Draw, difficulty: int) -> Task:
    factor, plus = draw.choice((2, 2, 3)), draw.choice((-1, 1)) * draw.integer(1, 6)
    terms = [draw.integer(7 if plus < 0 else 1, 14)]
    for _ in range(9):
        terms.append(terms[-1] * factor + plus)
    op = f"{'+' if plus > 0 else '-'} {abs(plus)}"
    say = f"multiply by {factor}, then {'add' if plus > 0 else 'subtract'} {abs(plus)}"
    why = [
        (
            f"each term follows from the one before it: {say}, as in {terms[0]} * "
            f"{factor} {op} = {terms[1]} and {terms[1]} * {factor} {op} = {terms[2]}"
        )
    ]
    return _task(
        draw,
        difficulty,
        terms,
        5,
        say,
        why,
        lambda a, b, n: f"{a} * {factor} {op} = {b}",
        "affine",
        {"factor": factor, "plus": plus},
    )


def _woven(draw: Draw, difficulty: int) -> Task:
    a, b = draw.integer(1, 20), draw.integer(30, 90)
    up, down = draw.integer(2, 4 + difficulty), draw.choice((-1, 1)) * draw.integer(2, 4 + difficulty)
    terms = [x for n in range(7) for x in (a + up * n, b + down * n)]
    why = [
        f"at the odd places stand {terms[0]}, {terms[2]}, {terms[4]}, which grow by {up}",
        (
            f"at the even places stand {terms[1]}, {terms[3]}, {terms[5]}, "
            f"which {'grow' if down > 0 else 'fall'} by {abs(down)}"
        ),
    ]

    def line(_: int, value: int, n: int) -> str:
        step = down if n % 2 else up
        return (
            f"two places back stands {terms[n - 2]}, and {_sign(terms[n - 2])} "
            f"{'+' if step > 0 else '-'} {abs(step)} = {value}"
        )

    return _task(
        draw,
        difficulty,
        terms,
        8,
        "two sequences take turns",
        why,
        line,
        "woven",
        {"first": a, "second": b, "up": up, "down": down},
    )


def _sign(value: int) -> str:
    return f"({value})" if value < 0 else str(value)


def _task(
    draw: Draw,
    difficulty: int,
    terms: list[int],
    shown: int,
    rule: str,
    why: list[str],
    line: Callable[[int, int, int], str],
    kind: str,
    facts: dict[str, object],
) -> Task:
    """Show some terms, ask for a later one, the next two, or a missing one."""
    shown += draw.below(2)
    given, name, town = terms[:shown], draw.choice(NAMES), draw.choice(TOWNS)
    asks = draw.below(5)
    written = ", ".join(map(str, given))
    if asks == 4:
        gap = draw.integer(2, shown - 2)
        given_gap = [str(t) for t in terms[: shown + 1]]
        given_gap[gap] = "_"
        written = ", ".join(given_gap)
        facts = {**facts, "kind": kind, "gap": gap}
        ask = draw.choice(
            (
                "Which number is missing where the underscore stands?",
                "One number is missing and marked by an underscore. Find it.",
                "Fill the gap.",
            )
        )
        answer = str(terms[gap])
        steps = [f"the rule of the sequence: {rule}", line(terms[gap - 1], terms[gap], gap)]
        steps.append(f"the term after the gap fits as well, since {line(terms[gap], terms[gap + 1], gap + 1)}")
    else:
        ahead = (1, 1, 2, 2 + draw.below(2))[asks]
        wanted = terms[shown : shown + ahead]
        steps = [*why, *(line(terms[n - 1], terms[n], n) for n in range(shown, shown + ahead))]
        if asks == 2:
            ask = draw.choice(
                ("Give the next two terms.", "What are the next two numbers?", "Continue the sequence by two numbers.")
            )
            answer = ", ".join(map(str, wanted))
        elif asks == 3:
            ask = draw.choice(
                (
                    f"What is the {ordinal(shown + ahead)} term?",
                    f"Find the {ordinal(shown + ahead)} term of the sequence.",
                )
            )
            answer = str(wanted[-1])
        else:
            ask = draw.choice(
                (
                    "Which number comes next?",
                    "What is the next number?",
                    "Find the next term.",
                    "How does the sequence go on? Give the next number.",
                )
            )
            answer = str(wanted[0])
        facts = {**facts, "kind": kind, "ahead": ahead}
    dots = "" if asks == 4 else draw.choice((", ...", ""))
    opening = draw.choice(
        (
            f"The sequence begins {written}{dots}.",
            f"{name} writes the numbers {written}{dots}.",
            f"Look at the sequence {written}{dots}.",
            f"A sequence starts with {written}{dots}.",
            f"Here are the first terms of a sequence: {written}{dots}.",
            f"{written}{dots}.",
            f"A number puzzle in the {town} newspaper shows {written}{dots}.",
            f"{name} has found a pattern: {written}{dots}.",
            f"Consider {written}{dots}.",
        )
    ).replace("....", "...")
    close = draw.choice(("The answer is {a}.", "So we get {a}.", "Hence {a}.", "This leads to {a}.")).format(a=answer)
    title = draw.choice(
        (
            "Continuing a sequence",
            "Find the rule",
            "Number patterns",
            "What comes next?" if asks < 3 else "Terms of a sequence",
        )
    )
    return Task("sequences", difficulty, title, (opening,), ask, answer, tuple(steps), close, facts)
