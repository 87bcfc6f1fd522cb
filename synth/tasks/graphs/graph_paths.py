"""Roads between towns: the fewest roads from one to another, what can be reached, and how many roads a town has."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import TOWNS, listed


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds towns and roads."""
    towns = draw.sample(TOWNS, 4 + difficulty)
    cut = len(towns) - draw.below(2) * draw.integer(1, 2) if difficulty > 1 else len(towns)
    roads = {(at, draw.below(at)) for at in range(1, cut)}
    roads |= {(at, draw.integer(cut, at - 1)) for at in range(cut + 1, len(towns))}
    for _ in range(difficulty):
        a, b = draw.below(cut), draw.below(cut)
        if a != b:
            roads.add((max(a, b), min(a, b)))
    near: dict[int, list[int]] = {at: [] for at in range(len(towns))}
    for a, b in sorted(roads):
        near[a].append(b)
        near[b].append(a)
    start = draw.below(cut)
    steps, seen, level, end = [], {start: 0}, [start], start
    while level:
        after = sorted({b for a in level for b in near[a]} - set(seen))
        if after:
            far = len(set(seen.values()))
            seen |= dict.fromkeys(after, far)
            steps.append(f"with {far} road{'s' * (far > 1)} from {towns[start]} one comes to "
                         f"{listed([towns[at] for at in after])}")  # fmt: skip
            end = draw.choice(after)
        level = after
    kind = draw.choice(("fewest", "reach", "roads"))
    if kind == "fewest":
        answer = seen[end]
        ask = (f"What is the smallest number of roads from {towns[start]} to {towns[end]}?",
               f"How many roads must one take at least to go from {towns[start]} to {towns[end]}?")  # fmt: skip
        steps.append(f"so {towns[end]} is {answer} away")
    elif kind == "reach":
        answer = len(seen) - 1
        ask = (f"How many other towns can be reached from {towns[start]}?",
               f"Count the towns, {towns[start]} left out, to which one can go from {towns[start]}.")  # fmt: skip
        steps.append(f"no road leads on, so {answer} other towns are reached")
    else:
        answer = len(near[start])
        ask = (f"How many roads end in {towns[start]}?", f"Count the roads at {towns[start]}.")
        there = listed([towns[at] for at in near[start]])
        steps = [f"look for {towns[start]} among the roads", f"its roads go to {there}, which makes {answer}"]
    pairs = [f"{towns[a]} - {towns[b]}" if draw.chance(50) else f"{towns[b]} - {towns[a]}" for a, b in sorted(roads)]
    shown = ", ".join(draw.sample(pairs, len(pairs)))
    return shaped(
        draw, family="graph_paths", difficulty=difficulty, answer=answer, steps=steps, ask=ask,
        titles=("Roads and towns", "Finding the way", "A map in words"), facts={"kind": kind, "roads": len(roads)},
        say=(f"These roads run both ways: {shown}.", f"The only roads, usable both ways, are {shown}.",
             f"A map has the two-way roads {shown}."),
    )  # fmt: skip
