"""Who reports to whom: levels, how many are below somebody, and the lowest common head of two people."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import NAMES, listed


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds people."""
    people = draw.sample(NAMES, 5 + difficulty)
    above = {at: draw.integer(max(0, at - 4), at - 1) for at in range(1, len(people))}
    lines = [f"{people[at]} reports to {people[up]}." for at, up in above.items()]
    shown = " ".join(draw.sample(lines, len(lines)))
    kind = draw.choice(("level", "below", "common"))
    one, two = draw.sample(range(1, len(people)), 2)
    chain = _chain(one, above)
    steps = [f"upward from {people[one]}: {listed([people[at] for at in chain], last='then')}"]
    if kind == "level":
        answer: object = len(chain) - 1
        ask = (
            f"How many steps up is it from {people[one]} to the top?",
            f"How many people stand above {people[one]}, directly or not?",
        )
        steps.append(f"{people[0]} reports to nobody, so there are {answer} above {people[one]}")
    elif kind == "below":
        head = draw.choice(sorted(set(above.values())))
        under = [at for at in above if head in _chain(at, above)[1:]]
        answer = len(under)
        ask = (
            f"How many people report to {people[head]}, directly or through others?",
            f"Count everybody below {people[head]}, on all levels.",
        )
        direct = [people[at] for at in under if above[at] == head]
        steps = [
            f"directly below {people[head]} there is {listed(direct)}",
            f"with all further levels it is {listed([people[at] for at in under])}",
            f"that makes {answer}",
        ]
    else:
        other = _chain(two, above)
        answer = people[next(at for at in chain if at in other)]
        ask = (
            f"Who is the lowest person that {people[one]} and {people[two]} are both below or equal to?",
            f"Each line begins with the person named. Going up from {people[one]} and from {people[two]}, at whom do "
            "the two lines first meet?",
        )
        steps += [
            f"upward from {people[two]}: {listed([people[at] for at in other], last='then')}",
            f"the first name that stands in both is {answer}",
        ]
    return shaped(
        draw,
        family="trees",
        difficulty=difficulty,
        answer=answer,
        steps=steps,
        ask=ask,
        titles=("Who reports to whom", "Levels of a firm", "A tree of people"),
        facts={"kind": kind, "above": list(above.values())},
        say=(
            f"In a firm it is like this. {shown}",
            f"What is known of a firm: {shown}",
            f"A firm is set up so: {shown}",
        ),
    )


def _chain(at: int, above: dict[int, int]) -> list[int]:
    chain = [at]
    while at in above:
        at = above[at]
        chain.append(at)
    return chain
