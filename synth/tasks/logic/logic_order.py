"""Who stands where: clues about a row of people or things that leave exactly one order.

The clues are drawn from a hidden order until a list of all orders has shrunk to one, so every puzzle has one solution
and the steps can say how many orders each clue leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import NAMES, TOWNS, WORDS, capital, listed, ordinal

Order = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scene:
    intros: tuple[str, ...]
    names: tuple[str, ...]
    before: tuple[str, ...]
    directly: tuple[str, ...]
    at: tuple[str, ...]
    not_at: tuple[str, ...]
    near: tuple[str, ...]
    gap: tuple[str, ...]
    ask_order: tuple[str, ...]
    ask_one: tuple[str, ...]


SCENES = (
    _Scene(
        (
            "{all} ran a race in {town}; nobody tied.",
            "{all} reached the finish of a race in {town} one after another.",
            "The finishing order of {all} has been forgotten.",
        ),
        NAMES,
        ("{a} finished before {b}", "{b} finished after {a}", "{a} was faster than {b}"),
        ("{b} finished directly after {a}", "{a} finished immediately before {b}"),
        ("{a} came {k}", "{a} took {k} place"),
        ("{a} did not come {k}", "{a} did not take {k} place"),
        ("{a} and {b} finished one right after the other",),
        ("exactly one runner finished between {a} and {b}",),
        (
            "In which order did they finish, first to last?",
            "List the runners from first to last.",
            "What was the finishing order?",
        ),
        ("Who came {k}?", "Which runner took {k} place?"),
    ),
    _Scene(
        (
            "{all} stand in a queue at a bakery in {town}.",
            "A queue consists of {all}.",
            "{all} wait in one line at a counter in {town}.",
        ),
        NAMES,
        ("{a} stands somewhere in front of {b}", "{b} is somewhere behind {a}", "{a} will be served earlier than {b}"),
        ("{b} stands directly behind {a}", "{a} stands directly in front of {b}"),
        ("{a} is {k} in line", "{a} has the {k} place"),
        ("{a} is not {k} in line", "{a} does not have the {k} place"),
        ("{a} and {b} are neighbours in the queue",),
        ("exactly one person stands between {a} and {b}",),
        (
            "Give the order of the queue, front to back.",
            "Who stands where? List them from front to back.",
            "In which order do they stand, front to back?",
        ),
        ("Who is {k} in line?", "Which person has the {k} place?"),
    ),
    _Scene(
        (
            "On a shelf stand, in some order, the books {all}.",
            "{town} library has put the books {all} side by side.",
            "The books {all} stand in a row, counted from the left.",
        ),
        tuple(capital(word) for word in WORDS),
        ("{a} stands somewhere to the left of {b}", "{b} is somewhere to the right of {a}"),
        ("{b} stands immediately to the right of {a}", "{a} stands immediately to the left of {b}"),
        ("{a} is {k} from the left",),
        ("{a} is not {k} from the left",),
        ("{a} and {b} stand next to each other",),
        ("exactly one book stands between {a} and {b}",),
        (
            "List the books from left to right.",
            "In which order do the books stand, from left to right?",
            "Give the row of books from left to right.",
        ),
        ("Which book is {k} from the left?",),
    ),
    _Scene(
        (
            "A bus stops once each in {all}.",
            "The bus line serves {all}, each exactly once.",
            "A mail van visits {all} in an order that has to be worked out.",
        ),
        tuple(TOWNS),
        ("{a} is reached before {b}", "{b} comes later on the route than {a}"),
        ("{b} is the next stop after {a}", "{a} is the stop right before {b}"),
        ("{a} is the {k} stop",),
        ("{a} is not the {k} stop",),
        ("{a} and {b} are consecutive stops",),
        ("exactly one stop lies between {a} and {b}",),
        ("In which order are the stops reached?", "List the stops in the order of the route.", "Find the route."),
        ("What is the {k} stop?", "Which place is the {k} stop?"),
    ),
)


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty sets how many stand in the row and how direct the clues are."""
    scene = draw.choice(SCENES)
    truth = tuple(draw.sample(scene.names, (3, 4, 4, 5, 5)[difficulty - 1]))
    shown = sorted(truth)
    left: list[Order] = list(permutations(shown))
    total = len(left)
    clues, counts = [], []
    while len(left) > 1:
        clue, holds = _clue(draw, scene, truth, difficulty)
        kept = [order for order in left if holds(order)]
        if len(kept) < len(left):
            clues.append(clue)
            left = kept
            counts.append(kept)
    return _asked(draw, difficulty, scene, truth, shown, clues, counts, total)


def _clue(draw: Draw, scene: _Scene, truth: Order, difficulty: int) -> tuple[str, Callable[[Order], bool]]:
    kind = draw.below(100)
    i, j = sorted(draw.sample(range(len(truth)), 2))
    a, b = truth[i], truth[j]
    if kind < 12 - difficulty:
        return draw.choice(scene.at).format(a=a, k=ordinal(i + 1)), lambda order: order[i] == a
    if kind < 35:
        return draw.choice(scene.not_at).format(a=a, k=ordinal(j + 1)), lambda order: order[j] != a
    if kind < 65 or j - i > 2:
        return draw.choice(scene.before).format(a=a, b=b), lambda order: order.index(a) < order.index(b)
    first, second = (a, b) if draw.chance(50) else (b, a)
    if j - i == 2:
        return draw.choice(scene.gap).format(a=first, b=second), lambda order: abs(order.index(a) - order.index(b)) == 2
    if kind < 82:
        return draw.choice(scene.near).format(
            a=first, b=second
        ), lambda order: abs(order.index(a) - order.index(b)) == 1
    return draw.choice(scene.directly).format(a=a, b=b), lambda order: order.index(b) - order.index(a) == 1


def _asked(
    draw: Draw,
    difficulty: int,
    scene: _Scene,
    truth: Order,
    shown: list[str],
    clues: list[str],
    counts: list[list[Order]],
    total: int,
) -> Task:
    opening = draw.choice(scene.intros).format(all=listed(shown), town=draw.choice(TOWNS))
    numbered = draw.chance(50)
    if numbered:
        told = "\n".join(f"({number}) {capital(clue)}." for number, clue in enumerate(clues, 1))
    else:
        told = " ".join(f"{capital(clue)}." for clue in clues)
    known = draw.choice(
        (
            "",
            "",
            "This much is known:",
            "The following is certain.",
            "Here are the clues.",
            f"{draw.choice(TOWNS)} Weekly printed these clues.",
        )
    )
    steps = [f"without any clue there are {total} possible orders"]
    for number, (clue, kept) in enumerate(zip(clues, counts, strict=True), 1):
        which = f"clue ({number})" if numbered else f"knowing that {clue}"
        if len(kept) == 1:
            steps.append(
                f"{which} leaves only one order: {', '.join(truth)}"
                if numbered
                else f"{which}, only one order remains: {', '.join(truth)}"
            )
        else:
            rest = f": {'; '.join(', '.join(order) for order in kept)}" if len(kept) <= 3 else ""
            steps.append(
                f"{which} leaves {len(kept)} orders{rest}" if numbered else f"{which}, we keep {len(kept)} orders{rest}"
            )
    if draw.chance(60):
        ask = draw.choice(scene.ask_order)
        answer = ", ".join(truth)
        close = draw.choice(
            (f"The order is {answer}.", f"So the order is {answer}.", f"Everything fits only for {answer}.")
        )
    else:
        place = draw.below(len(truth))
        ask = draw.choice(scene.ask_one).format(k=ordinal(place + 1))
        answer = truth[place]
        close = draw.choice((f"So it is {answer}.", f"The answer is {answer}."))
    title = draw.choice(
        (
            "A puzzle of order",
            "Finding the only possible order",
            "Who is where?",
            "Clues and conclusions",
            "A logic puzzle",
        )
    )
    statement = (opening, known, told) if known else (opening, told)
    facts = {"truth": list(truth), "clues": clues}
    return Task("logic_order", difficulty, title, statement, ask, answer, tuple(steps), close, facts)
