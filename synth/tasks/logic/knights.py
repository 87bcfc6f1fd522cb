"""Knights, who always tell the truth, and knaves, who always lie: what each says leaves exactly one reading."""

from __future__ import annotations

from itertools import product

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import NAMES, listed

Said = tuple[str, int, int]  # kind of claim, and whom it is about


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds people and claims about two of them."""
    count = 2 + (difficulty > 1) + (difficulty > 3)
    people = draw.sample(NAMES, count)
    kinds = (
        ("is", "is_not", "same", "differ") if difficulty < 3 else ("is", "is_not", "same", "differ", "both", "either")
    )
    while True:  # about every third set of claims leaves one reading
        claims = [_claim(draw, kinds, speaker, count) for speaker in range(count)]
        fits = [
            row
            for row in product((True, False), repeat=count)
            if all(_holds(claim, row) == row[at] for at, claim in enumerate(claims))
        ]
        if len(fits) == 1:
            break
    (truth,) = fits
    shown = " ".join(f'{people[at]} says: "{_words(claim, people)}."' for at, claim in enumerate(claims))
    steps = [
        "the only reading in which it all fits is that "
        + listed([f"{name} is a {_kind(knight)}" for name, knight in zip(people, truth, strict=True)])
    ]
    for at, claim in enumerate(claims):
        value = "true" if _holds(claim, truth) else "false"
        steps.append(f"what {people[at]} says is then {value}, as it must be for a {_kind(truth[at])}")
    if all(truth) or not any(truth) or draw.chance(50):
        at = draw.below(count)
        answer = _kind(truth[at])
        ask = (f"Is {people[at]} a knight or a knave?", f"What is {people[at]}, a knight or a knave?")
    else:
        answer = ", ".join(name for name, knight in zip(people, truth, strict=True) if knight)
        ask = (
            "Who are the knights? Name them in the order in which they speak.",
            "List the knights in the order of speaking.",
        )
    rule = "Knights always tell the truth and knaves always lie."
    return shaped(
        draw,
        family="knights",
        difficulty=difficulty,
        answer=answer,
        steps=steps,
        ask=ask,
        titles=("Knights and knaves", "Who tells the truth?", "Liars and others"),
        facts={"claims": [list(claim) for claim in claims]},
        say=(f"{rule} {shown}", f"On an island everybody is a knight or a knave. {rule} {shown}"),
    )


def _kind(knight: bool) -> str:
    return "knight" if knight else "knave"


def _claim(draw: Draw, kinds: tuple[str, ...], speaker: int, count: int) -> Said:
    others = [at for at in range(count) if at != speaker]
    kind, one = draw.choice(kinds), draw.choice(others)
    two = draw.choice([at for at in range(count) if at != one]) if kind in ("same", "differ") else draw.choice(others)
    return (kind, one, two) if kind in ("same", "differ") or one != two else (("is", "is_not")[draw.below(2)], one, one)


def _holds(claim: Said, row: tuple[bool, ...]) -> bool:
    kind, one, two = claim
    if kind in ("is", "is_not"):
        return row[one] == (kind == "is")
    if kind in ("same", "differ"):
        return (row[one] == row[two]) == (kind == "same")
    return row[one] and row[two] if kind == "both" else row[one] or row[two]


def _words(claim: Said, people: list[str]) -> str:
    kind, one, two = claim
    a, b = people[one], people[two]
    if kind in ("is", "is_not"):
        return f"{a} is a {'knight' if kind == 'is' else 'knave'}"
    if kind in ("same", "differ"):
        return f"{a} and {b} are of {'the same kind' if kind == 'same' else 'different kinds'}"
    return f"{a} and {b} are both knights" if kind == "both" else f"At least one of {a} and {b} is a knight"
