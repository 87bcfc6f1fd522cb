"""The trials of a night in, which two settings depend on each other out: as a block of lanes or the model has it.

What the model says costs no lane, and is believed far from chance only; what a block showed (`factorial.py`) needs no
model, and of its pairs it alone speaks. After a promotion changes are left out one by one by fresh seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from eval.loop.factorial import contrasts, is_kept, moved, together
from eval.loop.state import SD_TO_SIDE, State, head

CERTAIN = 4.0  # deviations from which two changes depend on each other; by warps, additive ones reach 3.5 (eval/LOG.md)


@dataclass(frozen=True, slots=True)
class Interaction:
    """By how much two changes bring more together than each alone, in bits per byte; negative: less.

    Of switches they are the changes from the incumbent, of numbers those between the head and their farthest end.

    `side` is half of the 80 % interval; `is_measured` says whether a block of lanes showed it, or the model alone.
    """

    changes: tuple[str, str]
    gain: float
    sd: float
    side: float
    is_measured: bool = False


def interactions(state: State) -> tuple[Interaction, ...]:
    """Return pairs of knobs that depend on each other: first what blocks showed, each the surest first.

    By the model they do beyond `CERTAIN` deviations, between each knob's place at the head and its farthest other one,
    all else as the head has it.
    """
    names = [knob.name for knob in state.space.knobs]
    measured = contrasts(state)
    found = [
        Interaction((names[each.rows[0]], names[each.rows[1]]), each.gain, each.sd, each.side, is_measured=True)
        for each in measured
        if each.is_named
    ]
    model, at = state.surrogate, head(state).point
    if model is not None:
        place = {row: moved(at, row, knob) for row, knob in enumerate(state.space.knobs)}
        for pair in combinations(place, 2):
            if pair in {each.rows for each in measured}:
                continue
            mean, sd = together(model, at, pair, (place[pair[0]], place[pair[1]]))
            if abs(mean) > CERTAIN * sd:
                kept = [is_kept(state, at, row) for row in pair]
                gain = -mean if kept[0] != kept[1] else mean
                found.append(Interaction((names[pair[0]], names[pair[1]]), gain, sd, SD_TO_SIDE * sd))
    return tuple(sorted(found, key=lambda each: (not each.is_measured, -abs(each.gain) / max(each.sd, 1e-12))))
