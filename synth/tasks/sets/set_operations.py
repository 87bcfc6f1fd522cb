"""Sets as lists of members: union, intersection, difference and chains of them; membership counts; Venn counts."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import NAMES, TOWNS, WORDS, listed

CLUBS = [
    "chess",
    "choir",
    "robotics",
    "drama",
    "football",
    "gardening",
    "painting",
    "photography",
    "debating",
    "cooking",
    "swimming",
    "poetry",
]
LETTERS = (("A", "B", "C"), ("P", "Q", "R"), ("X", "Y", "Z"), ("S", "T", "U"), ("M", "N", "K"))


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty sets the size of the sets and the number of operations."""
    kind = draw.below(10)
    if kind < 5:
        return _formula(draw, difficulty)
    return _clubs(draw, difficulty) if kind < 8 else _venn(draw, difficulty)


# Formulas over named sets ------------------------------------------------------------------------------------------


def _members(draw: Draw, difficulty: int, count: int) -> list[list[str]]:
    size = 3 + difficulty
    if draw.chance(65):
        span = draw.choice((1, 1, 2, 3, 5))
        pool = [str(number * span) for number in range(draw.integer(1, 12), 14 + 4 * difficulty)]
    else:
        pool = draw.sample(WORDS, 6 + 2 * difficulty)
    return [draw.sample(pool, min(len(pool) - 1, size + draw.below(3) - 1)) for _ in range(count)]


def _in_order(items: set[str]) -> list[str]:
    return sorted(items, key=lambda item: (int(item), "") if item.isdigit() else (0, item))


def _braces(items: list[str]) -> str:
    return "{" + ", ".join(items) + "}"


def _apply(name: str, left: set[str], right: set[str]) -> set[str]:
    return {
        "union": left | right,
        "intersection": left & right,
        "difference": left - right,
        "symmetric difference": left ^ right,
    }[name]


WRITTEN = {
    "union": ("the union of {a} and {b}", "everything that is in {a} or in {b} or in both"),
    "intersection": ("the intersection of {a} and {b}", "everything that {a} and {b} have in common"),
    "difference": ("the difference {a} minus {b}", "everything that is in {a} but not in {b}"),
    "symmetric difference": (
        "the symmetric difference of {a} and {b}",
        "everything that is in exactly one of {a} and {b}",
    ),
}
EXPLAINED = {
    "union": "the union of {a} and {b} collects what is in at least one of them",
    "intersection": "the intersection of {a} and {b} keeps what is in both",
    "difference": "taking {b} away from {a} removes from {a} whatever is also in {b}",
    "symmetric difference": "the symmetric difference of {a} and {b} keeps what is in exactly one of them",
}


def _formula(draw: Draw, difficulty: int) -> Task:
    count = 2 if difficulty <= 2 else 3
    names = draw.choice(LETTERS)[:count]
    sets = _members(draw, difficulty, count)
    operations = [draw.choice(tuple(WRITTEN)) for _ in range(count - 1)]
    result, said, steps = set(sets[0]), names[0], []
    for name, members, operation in zip(names[1:], sets[1:], operations, strict=True):
        shown = said if len(said) == 1 else "D"
        result = _apply(operation, result, set(members))
        steps.append(f"{EXPLAINED[operation].format(a=shown, b=name)}: {_braces(_in_order(result))}")
        if said == names[0]:
            said = draw.choice(WRITTEN[operation]).format(a=said, b=name)
            first = said
        else:
            said = draw.choice(WRITTEN[operation]).format(a="D", b=name)
    lines = [f"{name} = {_braces(members)}" for name, members in zip(names, sets, strict=True)]
    intro = draw.choice(
        (
            f"Let {listed(lines)}.",
            f"The sets {listed(lines)} are given.",
            f"{draw.choice(NAMES)} writes {listed(lines)} on the board.",
            "\n".join(lines),
            f"Consider {listed(lines)}.",
            f"Suppose that {listed(lines)}.",
            f"We are given {len(lines)} sets: {listed(lines)}.",
        )
    )
    chain = f"Let D be {first}. " if count == 3 else ""
    how_many = draw.chance(30)
    if how_many:
        whole = f"the set of {said}" if said.startswith("everything") else said
        ask = draw.choice(
            (
                f"{chain}How many elements are there in {whole}?",
                f"{chain}Count the elements of {whole}.",
                f"{chain}What is the number of elements in {whole}?",
            )
        )
        answer = str(len(result))
        steps.append(f"counting its elements gives {answer}")
        close = draw.choice(
            (f"The number of elements is {answer}.", f"So it has {answer} element{'' if answer == '1' else 's'}.")
        )
    else:
        form = (
            draw.choice(("List the elements in increasing order", "Write the result in increasing order"))
            if sets[0][0].isdigit()
            else "List the words alphabetically"
        )
        ask = f"{chain}{draw.choice(('Find', 'Determine', 'Work out', 'Write down'))} {said}. {form}, in braces."
        answer = _braces(_in_order(result))
        close = draw.choice((f"The result is {answer}.", f"So we get {answer}.", f"This is the set {answer}."))
    title = draw.choice(
        ("Operations on sets", "Sets and their elements", f"{operations[-1].capitalize()} of sets", "Working with sets")
    )
    facts = {
        "kind": "formula",
        "sets": dict(zip(names, sets, strict=True)),
        "operations": operations,
        "count": how_many,
    }
    return Task("set_operations", difficulty, title, (intro,), ask, answer, tuple(steps), close, facts)


# Clubs with named members ------------------------------------------------------------------------------------------


def _clubs(draw: Draw, difficulty: int) -> Task:
    people = draw.sample(NAMES, 5 + 2 * difficulty)
    count = 2 if difficulty <= 3 else 3
    clubs = draw.sample(CLUBS, count)
    rolls = [draw.sample(people, min(len(people) - 1, 3 + difficulty + draw.below(3))) for _ in clubs]
    one, two = clubs[0], clubs[1]
    a, b = set(rolls[0]), set(rolls[1])
    who = draw.choice(("pupils", "people", "members", "students"))
    asked, result, why = draw.choice(
        (
            (
                f"belong to both the {one} club and the {two} club",
                a & b,
                f"look for names that stand in both the {one} list and the {two} list",
            ),
            (
                f"are in the {one} club but not in the {two} club",
                a - b,
                f"go through the {one} list and cross out every name that is also in the {two} list",
            ),
            (
                f"are in exactly one of the {one} club and the {two} club",
                a ^ b,
                f"collect the names that stand in only one of the {one} and {two} lists",
            ),
            (
                f"belong to the {one} club or the {two} club or both",
                a | b,
                f"write down the {one} list and add the names of the {two} list that are missing",
            ),
        )
    )
    steps = [f"{why}: {', '.join(sorted(result)) if result else 'nobody'}"]
    if count == 3:
        asked += f", and are not in the {clubs[2]} club"
        result = result - set(rolls[2])
        steps.append(
            f"remove whoever is in the {clubs[2]} club: {', '.join(sorted(result)) if result else 'nobody is left'}"
        )
    shape = draw.choice(("The {c} club: {m}.", "Members of the {c} club: {m}.", "In the {c} club are {m}."))
    lines = [
        shape.format(c=club, m=listed(roll) if shape.startswith("In") else ", ".join(roll))
        for club, roll in zip(clubs, rolls, strict=True)
    ]
    block = "\n".join(lines) if draw.chance(40) else " ".join(lines)
    opening = draw.choice(
        (
            f"A school in {draw.choice(TOWNS)} has several clubs.",
            "The lists of the clubs have just been printed.",
            f"{draw.choice(TOWNS)} has a youth centre.",
            f"{draw.choice(NAMES)} keeps the lists of all clubs.",
            "",
        )
    )
    if draw.chance(45):
        ask = draw.choice(
            (f"How many {who} {asked}?", f"Count the {who} who {asked}.", f"What is the number of {who} who {asked}?")
        )
        answer = str(len(result))
        steps.append(f"that is a count of {answer}")
        close = draw.choice((f"The number is {answer}.", f"The answer is {answer}."))
    else:
        ask = draw.choice((f"Which {who} {asked}?", f"Name the {who} who {asked}.", f"Find the {who} who {asked}."))
        ask += " " + draw.choice(
            (
                "Give the names in alphabetical order, or write 'nobody'.",
                "Answer with the names from A to Z, or 'nobody' if there are none.",
            )
        )
        answer = ", ".join(sorted(result)) if result else "nobody"
        close = draw.choice(
            (
                f"The answer is {answer}.",
                f"In alphabetical order: {answer}." if result else f"So the answer is {answer}.",
            )
        )
    title = draw.choice(
        (
            "Comparing lists of members",
            "Who is in which club?",
            "Clubs and their members",
            "Two lists and what they share",
        )
    )
    facts = {"kind": "clubs", "clubs": dict(zip(clubs, rolls, strict=True)), "asked": asked}
    return Task(
        "set_operations",
        difficulty,
        title,
        (opening, block) if opening else (block,),
        ask,
        answer,
        tuple(steps),
        close,
        facts,
    )


# Counting with a Venn diagram --------------------------------------------------------------------------------------

PAIRS = (
    ("speak French", "speak German"),
    ("play the piano", "play the violin"),
    ("own a dog", "own a cat"),
    ("like tea", "like coffee"),
    ("walk to school", "bring lunch from home"),
    ("study physics", "study chemistry"),
    ("read novels", "read newspapers"),
    ("have been to Spain", "have been to Italy"),
)


def _venn(draw: Draw, difficulty: int) -> Task:
    top = (12, 25, 60, 150, 400)[difficulty - 1]
    only_a, only_b, both, neither = (
        draw.integer(1, top),
        draw.integer(1, top),
        draw.integer(1, top),
        draw.integer(0, top),
    )
    total, a, b = only_a + only_b + both + neither, only_a + both, only_b + both
    first, second = draw.choice(PAIRS)
    who = draw.choice(("students", "guests", "employees", "members of a club", "visitors", "people in a survey"))
    start = draw.choice(
        (
            f"Of {total} {who}, {a} {first}, {b} {second} and {both} do both.",
            f"Among {total} {who}, {a} {first} and {b} {second}; {both} of them do both.",
            f"A questionnaire reaches {total} {who}. {a} {first}, {b} {second}, and {both} do both.",
        )
    )
    asked, answer, steps = draw.choice(
        (
            (
                f"How many {first} but do not do the other?",
                only_a,
                (f"the {a} who {first} include the {both} who do both", f"{a} - {both} = {only_a}"),
            ),
            (
                "How many do neither of the two?",
                neither,
                (
                    f"adding {a} and {b} counts the {both} who do both twice",
                    f"at least one of the two: {a} + {b} - {both} = {a + b - both}",
                    f"neither: {total} - {a + b - both} = {neither}",
                ),
            ),
            (
                "How many do at least one of the two?",
                a + b - both,
                (f"adding {a} and {b} counts the {both} who do both twice", f"{a} + {b} - {both} = {a + b - both}"),
            ),
            (
                "How many do exactly one of the two?",
                only_a + only_b,
                (
                    f"only the first: {a} - {both} = {only_a}",
                    f"only the second: {b} - {both} = {only_b}",
                    f"together: {only_a} + {only_b} = {only_a + only_b}",
                ),
            ),
        )
    )
    close = draw.choice(("So the number is {a}.", "The answer is {a}.", "That makes {a}.")).format(a=answer)
    title = draw.choice(
        (
            "Counting with two overlapping groups",
            "A Venn diagram in words",
            "Inclusion and exclusion",
            "Both, one or neither",
        )
    )
    facts = {"kind": "venn", "total": total, "a": a, "b": b, "both": both}
    return Task("set_operations", difficulty, title, (start,), asked, str(answer), steps, close, facts)
