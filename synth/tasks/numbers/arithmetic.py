"""Arithmetic in several steps: expressions, a changing number of things, a shopping bill, sharing out, a journey."""

from __future__ import annotations

from collections.abc import Callable

from synth.tasks.draw import Draw
from synth.tasks.numbers.arithmetic_stories import bill, story
from synth.tasks.task import Task
from synth.tasks.words import PEOPLE, THINGS, TOWNS, counted, listed, ordinal

Node = int | tuple["Node", str, "Node"]


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty sets the number of steps and the size of the numbers."""
    return draw.choice(KINDS)(draw, difficulty)


# Expressions -------------------------------------------------------------------------------------------------------


def _grow(draw: Draw, operations: int, top: int) -> Node:
    """Return a random expression with whole intermediate values: (left, operator, right) or a number."""
    if operations == 0:
        return draw.integer(2, top)
    split = draw.below(operations)
    left, right = _grow(draw, operations - 1 - split, top), _grow(draw, split, top)
    a, b = _value(left), _value(right)
    wish = draw.choice("++--**/")
    if wish == "/" and b not in (0, 1) and a % b == 0:
        return (left, "/", right)
    if wish == "*" and abs(a * b) < 5000:
        return (left, "*", right)
    return (left, "-", right) if wish == "-" and a > b else (left, "+", right)


def _value(node: Node) -> int:
    if isinstance(node, int):
        return node
    a, b = _value(node[0]), _value(node[2])
    return {"+": a + b, "-": a - b, "*": a * b}[node[1]] if node[1] != "/" else a // b


def _written(node: Node, sign: str) -> str:
    if isinstance(node, int):
        return str(node)
    left, operator, right = node
    strong = operator in "*/"
    a, b = _written(left, sign), _written(right, sign)
    if isinstance(left, tuple) and strong and left[1] in "+-":
        a = f"({a})"
    if isinstance(right, tuple) and (strong or operator == "-") and (right[1] in "+-" or strong):
        b = f"({b})"
    return f"{a} {sign if operator == '*' else operator} {b}"


def _reduce(node: Node, sign: str) -> tuple[Node, str]:
    """Do the first operation whose two sides are numbers; return what is left and the equation."""
    assert isinstance(node, tuple)
    left, operator, right = node
    if isinstance(left, tuple):
        smaller, equation = _reduce(left, sign)
        return (smaller, operator, right), equation
    if isinstance(right, tuple):
        smaller, equation = _reduce(right, sign)
        return (left, operator, smaller), equation
    return _value(node), f"{_written(node, sign)} = {_value(node)}"


def _expression(draw: Draw, difficulty: int) -> Task:
    top = (12, 20, 40, 80, 150)[difficulty - 1]
    tree = _grow(draw, difficulty + 1 + draw.below(2), top)
    sign = draw.choice("*x")
    text, answer = _written(tree, sign), _value(tree)
    steps = []
    left: Node = tree
    manner = draw.below(4)
    while isinstance(left, tuple):
        left, equation = _reduce(left, sign)
        rest = _written(left, sign)
        more = isinstance(left, tuple)
        steps.append(
            (
                f"{equation}, so the expression becomes {rest}" if more else equation,
                f"work out {equation}, which leaves {rest}" if more else f"only one operation is left, {equation}",
                f"replace {equation.split(' = ')[0]} by {equation.split(' = ')[1]}: {rest}"
                if more
                else f"what remains gives {equation}",
                f"{equation}" + (f"; now we have {rest}" if more else ""),
            )[manner]
        )
    person = draw.choice(PEOPLE)
    place = draw.choice(
        (
            "the whiteboard",
            "a slip of paper",
            "the first page of the notebook",
            "the back of a receipt",
            "the worksheet",
        )
    )
    ask = draw.choice(
        (
            "What is the value of {e}?",
            "Evaluate {e}.",
            "Work out {e}, one operation at a time.",
            "Calculate {e}.",
            "Find the result of {e}.",
            "What does {e} come to?",
            "Following the usual order of operations, what does {e} equal?",
            "Which number do you get from {e}?",
            "Compute {e} and show every step.",
            "Simplify {e} to a single number.",
            "{p} has to work out {e}. What should the result be?",
            "Written on {w} is {e}. What is its value?",
            "{p} types {e} into a calculator that respects the order of operations. What does it show?",
            "How much is {e}?",
            "Without a calculator, find {e}.",
        )
    ).format(e=text, p=person.name, w=place)
    close = draw.choice(
        (
            "The value of the expression is {a}.",
            "So the result is {a}.",
            "The expression equals {a}.",
            "This gives {a}.",
            "The final result is {a}.",
            "Therefore the value is {a}.",
        )
    )
    title = draw.choice(
        ("Order of operations", "Evaluating an expression", "Step-by-step arithmetic", "Brackets and operations")
    )
    facts = {"kind": "expression", "expression": text}
    return Task("arithmetic", difficulty, title, (), ask, str(answer), tuple(steps), close.format(a=answer), facts)


# Sharing out with a remainder --------------------------------------------------------------------------------------

BOXES = (
    ("boxes", "box"),
    ("bags", "bag"),
    ("crates", "crate"),
    ("trays", "tray"),
    ("baskets", "basket"),
    ("cartons", "carton"),
)


def _packing(draw: Draw, difficulty: int) -> Task:
    person, thing, box = draw.choice(PEOPLE), draw.choice(THINGS), draw.choice(BOXES)
    size = draw.integer(3, 6 + 6 * difficulty)
    total = size * draw.integer(2, 5 + 10 * difficulty) + draw.below(size)
    full, rest = divmod(total, size)
    opening = draw.choice(
        (
            f"{person.name} packs {total} {thing[0]} into {box[0]} that hold {size} each.",
            f"A workshop has {total} {thing[0]} and puts them into {box[0]} of {size}.",
            f"Each {box[1]} holds {size} {thing[0]}, and there are {total} {thing[0]} to pack.",
            f"{total} {thing[0]} are to be packed, {size} to a {box[1]}.",
            (
                f"A shipment of {total} {thing[0]} arrives in loose form; "
                f"{person.name} sorts it into {box[0]} with room for {size} each."
            ),
        )
    )
    ask, answer, last = draw.choice(
        (
            (
                draw.choice(
                    (
                        f"How many full {box[0]} are there?",
                        f"How many {box[0]} can be filled completely?",
                        f"Find the number of full {box[0]}.",
                    )
                ),
                full,
                f"only completely filled {box[0]} count, so there are {full}",
            ),
            (
                draw.choice(
                    (
                        f"How many {thing[0]} are left over?",
                        f"How many {thing[0]} do not fit into a full {box[1]}?",
                        f"What number of {thing[0]} is left over?",
                    )
                ),
                rest,
                f"what is left over is {total} - {full * size} = {rest}",
            ),
            (
                draw.choice(
                    (
                        f"How many {box[0]} are needed for all of them?",
                        f"What is the smallest number of {box[0]} needed to hold everything?",
                    )
                ),
                full + (rest > 0),
                f"the {rest} left over need one more {box[1]}: {full} + 1 = {full + 1}"
                if rest
                else "nothing is left over, so no further one is needed",
            ),
        )
    )
    steps = (
        f"dividing {total} by {size} gives {full} with a remainder of {rest}",
        f"{full} * {size} = {full * size}",
        last,
    )
    close = draw.choice(("The answer is {a}.", "So the number asked for is {a}.", "That makes {a}.")).format(a=answer)
    title = draw.choice(("Division with a remainder", f"Packing {thing[0]}", "Sharing out", "Full boxes and leftovers"))
    facts = {"kind": "packing", "total": total, "size": size}
    return Task("arithmetic", difficulty, title, (opening,), ask, str(answer), steps, close, facts)


# A journey in legs -------------------------------------------------------------------------------------------------

RIDES = {
    "cyclist": (12, 28),
    "bus": (30, 70),
    "train": (60, 160),
    "walker": (3, 6),
    "lorry": (40, 80),
    "ferry": (20, 45),
    "motorist": (50, 110),
}


def _journey(draw: Draw, difficulty: int) -> Task:
    ride = draw.choice(tuple(RIDES))
    low, high = RIDES[ride]
    legs = [(draw.integer(1, 2 + difficulty), draw.integer(low, high)) for _ in range(1 + (difficulty + 1) // 2)]
    start, end = draw.sample(TOWNS, 2)
    total, hours = sum(h * v for h, v in legs), sum(h for h, _ in legs)
    told = listed([f"{counted(h, ('hours', 'hour'))} at {v} km/h" for h, v in legs], last="and then")
    opening = draw.choice(
        (
            f"A {ride} travels from {start} to {end}: {told}.",
            f"On the way from {start} to {end}, a {ride} goes for {told}.",
            f"A {ride} leaves {start} for {end} and keeps going for {told}.",
            f"The trip of a {ride} from {start} to {end} takes {told}.",
        )
    )
    steps = [
        (
            f"in the {ordinal(i)} part the distance is {h} * {v} = {h * v} km"
            if len(legs) > 1
            else f"distance is time times speed: {h} * {v} = {h * v}"
        )
        for i, (h, v) in enumerate(legs, 1)
    ]
    if len(legs) > 1:
        steps.append(f"the whole way is {' + '.join(str(h * v) for h, v in legs)} = {total} km")
    if total % hours == 0 and len(legs) > 1 and draw.chance(70):
        ask = draw.choice(
            (
                "What is the average speed over the whole trip?",
                f"Find the average speed of the {ride}.",
                "What average speed is that?",
            )
        )
        steps += [
            f"the time taken is {' + '.join(str(h) for h, _ in legs)} = {hours} hours",
            f"the average speed is {total} / {hours} = {total // hours}",
        ]
        answer, title = f"{total // hours} km/h", "Average speed"
        close = f"The average speed is {answer}."
    else:
        ask = draw.choice(
            (
                f"How far does the {ride} travel?",
                "How long is the whole way?",
                "What distance is covered in total?",
                "Find the length of the trip.",
                f"How many kilometres lie between {start} and {end} on this way?",
            )
        )
        answer, title = f"{total} km", draw.choice(("Distance, speed and time", "A journey", f"From {start} to {end}"))
        close = draw.choice(("The distance is {a}.", "The trip is {a} long.", "In total that is {a}.")).format(a=answer)
    facts = {"kind": "journey", "legs": legs}
    return Task("arithmetic", difficulty, title, (opening,), ask, answer, tuple(steps), close, facts)


KINDS: tuple[Callable[[Draw, int], Task], ...] = (_expression, _expression, story, bill, _packing, _journey)
