"""What follows from rules about made-up kinds: chains of every and no, and what nobody can know from them."""

from __future__ import annotations

from itertools import pairwise

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import NAMES

_KINDS = "wug dax blick fep tomb zorp kib lorp mip nerk plim quib rond sarn vosk yalt brone crell drub glim"
KINDS = tuple(_KINDS.split())


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty lengthens the chain of rules and adds one that leads nowhere."""
    length = 1 + difficulty
    kinds = draw.sample(KINDS, length + 3)
    chain, barred, aside = kinds[: length + 1], kinds[length + 1], kinds[length + 2]
    name, at = draw.choice(NAMES), draw.below(max(1, length - 1))
    rules = [f"Every {a} is a {b}." for a, b in pairwise(chain)]
    rules.append(f"No {chain[-1]} is a {barred}.")
    if difficulty > 2:
        rules.append(f"Every {aside} is a {draw.choice(chain[1:])}.")
    fact, here = f"{name} is a {chain[at]}.", [f"{name} is a {chain[at]}"]
    climb = [f"every {a} is a {b}, so {name} is a {b}" for a, b in pairwise(chain[at:])]
    ending = draw.choice(("yes", "no", "backwards", "unknown"))
    if ending == "yes":
        to = draw.integer(at + 1, length)
        asked, answer, steps = chain[to], "yes", here + climb[: to - at]
    elif ending == "no":
        asked, answer = barred, "no"
        steps = [*here, *climb, f"no {chain[-1]} is a {barred}, so {name} is none"]
    elif ending == "backwards":
        to = draw.integer(at + 1, length)
        fact, asked, answer = f"{name} is not a {chain[to]}.", chain[at], "no"
        steps = [
            f"suppose that {name} is a {chain[at]}",
            *climb[: to - at],
            f"but {name} is not a {chain[to]}",
            "so what was supposed is wrong",
        ]
    else:
        asked = aside if difficulty > 2 and (at == 0 or draw.chance(50)) else chain[at - 1] if at else aside
        answer = "unknown"
        why = f"no rule says that a {chain[at]} must be a {asked}, and none forbids it"
        steps = [*here, *climb, why, "both cases fit all that is said"]
    lines = [*draw.sample(rules, len(rules)), fact]
    shown = " ".join(draw.sample(lines, len(lines)))
    return shaped(
        draw,
        family="syllogisms",
        difficulty=difficulty,
        answer=answer,
        steps=steps,
        say=(
            f"Suppose this holds. {shown}",
            f"The following is true. {shown}",
            f"Take these statements as given. {shown}",
        ),
        titles=("What follows?", "Rules and conclusions", "Every and no"),
        facts={"ending": ending, "rules": len(rules)},
        ask=(
            f"Is {name} a {asked}? Answer yes, no or unknown.",
            f"Does it follow that {name} is a {asked}? Say yes, no (if it cannot be) or unknown.",
        ),
    )
