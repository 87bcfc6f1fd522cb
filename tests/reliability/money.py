"""Caps of dollars drawn at random, met by runs that buy with eight workers, die, and try again and again."""

from __future__ import annotations

import random
from pathlib import Path

from tests.reliability.matrix import play
from tests.reliability.modes import BATCH_MODES, SINGLE_MODES
from tests.reliability.played import Played

DEAREST_USD = 0.0008  # twelve requests cost 0.00048, and one of them is reserved as 0.00029 until its answer is there


def spending(folder: Path, *, times: int, seed: int = 1) -> Played:
    """Play cases with a cap that mostly buys a part; the server's own bill says what was spent."""
    found, draw, left = Played(("above the cap", "bought twice", "lost")), random.Random(seed), times
    folder.mkdir(parents=True, exist_ok=True)
    for batches, modes in ((False, SINGLE_MODES), (True, BATCH_MODES)):
        most = max(1, (times if batches else times * 2) // (2 * len(modes)) + 1)
        kills = draw.sample(KILLS[batches], min(most, len(KILLS[batches])))
        here = folder / ("batches" if batches else "single")
        here.mkdir()
        chosen = dict(draw.sample(sorted(modes.items()), min(len(modes), max(1, left))))
        done = play(
            here, batches=batches, modes=chosen, kills=kills,
            cap=lambda number: DEAREST_USD * random.Random(f"{seed} {number}").uniform(0.1, 1), workers=8,
        )  # fmt: skip
        sums = done.sums
        found.times["runs with a cap"] += sums["runs"]
        found.times["kills"] += sums["killed"]
        found.times["stopped by the cap"] += sums["not finished"]
        found.times["requests billed"] += sums["billed once"]
        for breach in found.breaches:
            for _ in range(sums[breach]):
                found.breach(breach, " | ".join(done.broken[:2])[:400])
        found.measured["most spent, as a share of the cap"] = max(
            found.measured.get("most spent, as a share of the cap", 0.0), done.most_of_cap
        )
    return found


def _kills() -> dict[bool, list[str]]:
    from tests.reliability.runner import BATCH_KILLS, SINGLE_KILLS

    return {False: list(SINGLE_KILLS), True: list(BATCH_KILLS)}


KILLS = _kills()
