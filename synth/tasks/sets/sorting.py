"""Sorting and ranking: numbers, words and people with a stated key; whole order, one place, or a position asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import NAMES, PEOPLE, WORDS, listed, ordinal


@dataclass(frozen=True, slots=True)
class _Problem:
    """Items in given order, as written; their order; the words that name that order."""

    items: list[str]
    ordered: list[str]
    order: str  # "from smallest to largest"
    noun: str  # "numbers"
    intro: str  # the sentence or block that lists the items
    why: Callable[[str, str], str]  # why the first stands before the second


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty sets the number of items and how alike they are."""
    count = 3 + difficulty + draw.below(2)
    problem = draw.choice((_numbers, _numbers, _words, _by_length, _people))(draw, difficulty, count)
    return draw.choice((_whole_order, _whole_order, _one_place, _position, _middle))(draw, difficulty, problem)


# What is sorted ----------------------------------------------------------------------------------------------------


def _intro(draw: Draw, items: Sequence[str], noun: str) -> str:
    name, line = draw.choice(NAMES), ", ".join(items)
    if draw.chance(22):
        head = draw.choice(
            (f"Here are {len(items)} {noun}:", f"{name} writes down these {noun}:", f"The following {noun} are given:")
        )
        return head + "\n\n" + "\n".join(f"- {item}" for item in items)
    return draw.choice(
        (
            f"These {noun} are given: {line}.",
            f"{name} writes down the {noun} {line}.",
            f"Consider the {noun} {line}.",
            f"A list contains {line}.",
            f"On {name}'s card stand the {noun} {line}.",
            f"Here are some {noun}: {line}.",
            f"The {noun} {line} arrive in no particular order.",
            f"{name} reads out {line}.",
            f"Take the list {line}.",
            f"A program receives the {noun} {line}.",
            f"Somebody has mixed up these {noun}: {line}.",
            f"We start with {line}.",
        )
    )


def _numbers(draw: Draw, difficulty: int, count: int) -> _Problem:
    places = draw.choice((0, 0, 0, 1, 2)) if difficulty > 1 else 0
    low, high = (-60 * difficulty if difficulty > 2 else 0), (30, 100, 500, 2000, 9000)[difficulty - 1]
    base = draw.integer(low, high)
    values: list[int] = []
    while len(values) < count:
        near = difficulty > 2 and draw.chance(40)
        value = base + draw.integer(-15, 15) if near else draw.integer(low, high)
        if value not in values:
            values.append(value)

    def written(value: int) -> str:
        return (
            str(value)
            if places == 0
            else f"{'-' if value < 0 else ''}{abs(value) // 10**places}.{abs(value) % 10**places:0{places}d}"
        )

    falling = draw.chance(45)
    order = draw.choice(
        ("from largest to smallest", "in descending order")
        if falling
        else ("from smallest to largest", "in ascending order")
    )
    items, ordered = [written(v) for v in values], [written(v) for v in sorted(values, reverse=falling)]
    word = "greater" if falling else "less"
    return _Problem(
        items, ordered, order, "numbers", _intro(draw, items, "numbers"), lambda a, b: f"{a} is {word} than {b}"
    )


def _words(draw: Draw, difficulty: int, count: int) -> _Problem:
    pool = (
        WORDS
        if difficulty < 3
        else [word for word in WORDS if word[0] in draw.choice(("abcdefg", "hijklmnop", "pqrstuvwyz", "gqsv"))]
    )
    items = draw.sample(pool if len(pool) >= count else WORDS, count)
    falling = draw.chance(20)
    order = (
        "in reverse alphabetical order"
        if falling
        else draw.choice(("in alphabetical order", "from A to Z", "as in a dictionary"))
    )
    ordered = sorted(items, reverse=falling)

    def why(a: str, b: str) -> str:
        at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        if at >= min(len(a), len(b)):
            return f"'{a}' and '{b}' agree as far as the shorter one goes"
        first, second = (b, a) if falling else (a, b)
        return (
            f"'{a}' goes before '{b}' because at letter {at + 1} '{first[at]}' precedes '{second[at]}' in the alphabet"
            + (", and the order is reversed" if falling else "")
        )

    return _Problem(items, ordered, order, "words", _intro(draw, items, "words"), why)


def _by_length(draw: Draw, difficulty: int, count: int) -> _Problem:
    items = draw.sample(
        [*WORDS, "sun", "key", "lake", "door", "hill", "moon", "alphabet", "mountain", "building", "sea"], count
    )
    ordered = sorted(items, key=lambda word: (len(word), word))
    order = draw.choice(
        (
            "by length, shortest first, and words of equal length alphabetically",
            "from shortest to longest, with ties in alphabetical order",
            "by number of letters, shortest first, breaking ties alphabetically",
        )
    )

    def why(a: str, b: str) -> str:
        return f"'{a}' ({len(a)} letters) goes before '{b}' ({len(b)} letters)" + (
            ", alphabetically" if len(a) == len(b) else ""
        )

    return _Problem(items, ordered, order, "words", _intro(draw, items, "words"), why)


KEYS = (
    ("is {v} years old", "by age", "youngest first", "oldest first", 18, 80),
    ("scored {v} points", "by score", "lowest first", "highest first", 10, 99),
    ("is {v} cm tall", "by height", "shortest first", "tallest first", 140, 199),
    ("ran {v} km", "by distance", "shortest distance first", "longest distance first", 2, 42),
    ("has read {v} books", "by number of books", "fewest first", "most first", 1, 60),
    ("saved {v} dollars", "by savings", "smallest first", "largest first", 20, 900),
)


def _people(draw: Draw, difficulty: int, count: int) -> _Problem:
    says, key, up, down, low, high = draw.choice(KEYS)
    names = [person.name for person in draw.sample(PEOPLE, count)]
    names = list(dict.fromkeys(names))
    values = {name: draw.integer(low, high) for name in names}
    ties = len(set(values.values())) < len(names)
    falling = draw.chance(50)
    ordered = sorted(names, key=lambda name: (-values[name] if falling else values[name], name))
    facts = [f"{name} {says.format(v=values[name])}" for name in names]
    intro = f"{listed(facts)}." if draw.chance(60) else "\n".join(f"- {fact}" for fact in facts)
    tie = "; people with equal values go in alphabetical order" if ties or draw.chance(30) else ""
    order = f"{key}, {down if falling else up}{tie}"
    return _Problem(
        names, ordered, order, "people", intro, lambda a, b: f"{a} ({values[a]}) goes before {b} ({values[b]})"
    )


# What is asked -----------------------------------------------------------------------------------------------------


def _selection_steps(draw: Draw, problem: _Problem, until: int) -> tuple[str, ...]:
    """Either insert one item after another, or pick the next one again and again."""
    if draw.chance(50) and len(problem.items) <= 7 and until == len(problem.items):
        rank = {item: place for place, item in enumerate(problem.ordered)}
        line: list[str] = [problem.items[0]]
        steps = [f"start the sorted list with {problem.items[0]}"]
        for item in problem.items[1:]:
            at = sum(rank[other] < rank[item] for other in line)
            line.insert(at, item)
            reason = problem.why(item, line[at + 1]) if at + 1 < len(line) else problem.why(line[at - 1], item)
            steps.append(f"insert {item}: {reason}, which gives {', '.join(line)}")
        return tuple(steps)
    left, steps = list(problem.items), []
    for place in range(until):
        pick = problem.ordered[place]
        left.remove(pick)
        first = draw.choice(
            (
                f"of the {problem.noun} not yet placed, {pick} comes first",
                f"place {place + 1} goes to {pick}",
                f"the one that follows is {pick}",
            )
        )
        steps.append(f"{first}" + (f"; still to be placed: {', '.join(left)}" if left and place < until - 1 else ""))
    return tuple(steps)


def _whole_order(draw: Draw, difficulty: int, problem: _Problem) -> Task:
    answer = ", ".join(problem.ordered)
    ask = draw.choice(
        (
            "Sort the {n} {o}.",
            "Arrange the {n} {o}.",
            "Put the {n} in order: {o}.",
            "List the {n} {o}.",
            "Write the {n} {o}.",
            "What do you get when the {n} are sorted {o}?",
            "Rank the {n} {o}.",
            "Give all {n} {o}.",
        )
    ).format(n=problem.noun, o=problem.order)
    close = draw.choice(
        ("The sorted list is {a}.", "In order: {a}.", "So the order is {a}.", "The result is {a}.")
    ).format(a=answer)
    return _finish(
        draw, difficulty, problem, ask, answer, _selection_steps(draw, problem, len(problem.items)), close, "order"
    )


def _one_place(draw: Draw, difficulty: int, problem: _Problem) -> Task:
    place = draw.integer(1, len(problem.ordered))
    ask = draw.choice(
        (
            "The {n} are sorted {o}. Which one is {k}?",
            "If the {n} are put in order ({o}), which one stands {k}?",
            "Sort the {n} {o}. Which is the {k} one?",
            "After sorting the {n} {o}, name the {k} one.",
        )
    ).format(n=problem.noun, o=problem.order, k=ordinal(place))
    answer = problem.ordered[place - 1]
    close = draw.choice(
        (f"Place {place} belongs to {answer}.", f"So the {ordinal(place)} one is {answer}.", f"The answer is {answer}.")
    )
    return _finish(draw, difficulty, problem, ask, answer, _selection_steps(draw, problem, place), close, "place")


def _position(draw: Draw, difficulty: int, problem: _Problem) -> Task:
    item = draw.choice(problem.items)
    at = problem.ordered.index(item) + 1
    ask = draw.choice(
        (
            "The {n} are sorted {o}. At which position does {i} stand, counting from 1?",
            "Sort the {n} {o}. What is the position of {i} (the first has position 1)?",
            "When the {n} are arranged {o}, what place does {i} take, counting from 1?",
        )
    ).format(n=problem.noun, o=problem.order, i=item)
    before = problem.ordered[: at - 1]
    steps = (
        "we need not sort everything; it is enough to count what goes before " + item,
        f"before it go {', '.join(before)}, which is {len(before)} of them"
        if len(before) > 1
        else f"only {before[0]} goes before it"
        if before
        else "nothing goes before it",
        f"its position is {len(before)} + 1 = {at}",
    )
    close = draw.choice((f"So {item} stands at position {at}.", f"The position is {at}.", f"The answer is {at}."))
    return _finish(draw, difficulty, problem, ask, str(at), steps, close, "position")


def _middle(draw: Draw, difficulty: int, problem: _Problem) -> Task:
    """The two ends; both must be right."""
    ask = draw.choice(
        (
            "The {n} are sorted {o}. Name the first one and the last one.",
            "If you sort the {n} ({o}), which ones come first and last?",
            "Sort the {n} ({o}) and state the first and the last of them.",
        )
    ).format(n=problem.noun, o=problem.order)
    first, last = problem.ordered[0], problem.ordered[-1]
    answer = f"{first}, {last}"
    rest = [item for item in problem.items if item not in (first, last)]
    steps = (
        f"no other of the {problem.noun} goes before {first}: {problem.why(first, problem.ordered[1])}",
        f"nothing comes after {last}: {problem.why(problem.ordered[-2], last)}",
        f"the others, {listed(rest)}, lie in between",
    )
    return _finish(draw, difficulty, problem, ask, answer, steps, f"The first and the last are {answer}.", "ends")


def _finish(
    draw: Draw, difficulty: int, problem: _Problem, ask: str, answer: str, steps: tuple[str, ...], close: str, kind: str
) -> Task:
    title = draw.choice(
        (
            f"Sorting {problem.noun}",
            "Putting things in order",
            "Order and rank",
            f"Ordering {len(problem.items)} {problem.noun}",
        )
    )
    facts = {"kind": kind, "items": problem.items, "order": problem.order}
    return Task("sorting", difficulty, title, (problem.intro,), ask, answer, steps, close, facts)
