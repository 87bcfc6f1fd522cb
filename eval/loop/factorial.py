"""Where a night stands in, a few lanes that tell which switches depend on each other out, and what these showed.

A search that is good has few lanes in which two of the head's switches are off, so its model cannot tell whether they
work together. A block tries every combination of up to four switches around one point, all else as the head has it:
two switches by four lanes of each corner, four by one, so that every pair is seen in tables of two by two by all 16
lanes. Only these lanes count, as those that chose the head flatter it. A block begins where the head stands on two
changes or the night is stuck, and never takes more than a part of the lanes that are left.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from scipy.special import stdtrit

from eval.loop.propose import Proposed, predicted
from eval.loop.space import Knob, Point
from eval.loop.state import INSIDE, State, head, own_lanes
from eval.loop.surrogate import Surrogate
from eval.verdict.deviation import with_earlier

LANES = 16  # of a block, spread evenly over its corners
MOST_SWITCHES = 4  # of a block: by 16 lanes every pair is known as well as by 16 lanes of its own
MOST_OF_LEFT = 0.4  # of the lanes that are left, for a block that begins
MOST_OF_BATCH = 0.4
ESTABLISHED = 2.0  # deviations by which the head is worse without a change that counts as established
LEAST_ESTABLISHED = 2  # of such changes
FALSE = 0.05  # chance that any of the pairs of all blocks is named where none depend
TRAINS = 0.7  # least chance of each corner to train


@dataclass(frozen=True, slots=True)
class Block:
    """Combinations of a few switches around a point. `rows` are those of its knobs, `lanes` the values by corner."""

    base: Point
    flipped: Point
    rows: tuple[int, ...]

    @property
    def corners(self) -> tuple[Point, ...]:
        """All combinations; the first is the base with every switch flipped, the second the base itself."""
        levels = [(self.flipped.knobs[row], self.base.knobs[row]) for row in self.rows]
        found = [_with(self.base, self.rows, places) for places in product(*levels)]
        return (self.flipped, self.base, *(point for point in found if point not in (self.flipped, self.base)))

    @property
    def repeats(self) -> int:
        """Lanes of each corner."""
        return LANES // 2 ** len(self.rows)


@dataclass(frozen=True, slots=True)
class Contrast:
    """By how much two switches' changes from the incumbent bring more together than each alone, in bits per byte."""

    rows: tuple[int, int]
    gain: float
    sd: float
    freedom: float
    side: float  # half of the 80 % interval
    is_named: bool  # by a level that holds for all pairs of all blocks


def factorial(
    state: State, count: int, *, left: int | None, is_stuck: bool, blocked: Collection[Point] = ()
) -> list[Proposed]:
    """Return the next lanes of a block that is under way or begins now, at most `MOST_OF_BATCH` of `count`.

    `left` are the lanes that the night may still take; where that is not known, no block begins.
    """
    done, all_fit = _blocks(state)
    if not all_fit or state.surrogate is None:
        return []
    block, known = (done[-1][0], done[-1][1]) if done else (None, {})
    if block is None or not _missing(block, known):
        if left is None or left * MOST_OF_LEFT < LANES or not (is_stuck or _is_established(state)):
            return []
        block, known = _begun(state, [each for each, _ in done], blocked=blocked), {}
        if block is None:
            return []
    points = [point for point in _missing(block, known) if point not in blocked][: max(round(MOST_OF_BATCH * count), 2)]
    names = " and ".join(state.space.knobs[row].name for row in block.rows)
    told = zip(points, predicted(state, points, proposer="factorial"), strict=True)
    reason = f"whether {names} depend on each other"
    return [Proposed(point, "factorial", prediction, reason, "factorial") for point, prediction in told]


def contrasts(state: State) -> tuple[Contrast, ...]:
    """Return what the whole blocks of a night showed of each of their pairs."""
    whole = [(block, lanes) for block, lanes in _blocks(state)[0] if not _missing(block, lanes)]
    own = own_lanes(state)
    lane = state.lane if own is None else with_earlier(own, state.lane)[0]
    if lane is None:
        return ()
    pairs = sum(math.comb(len(block.rows), 2) for block, _ in whole)
    found = []
    for block, lanes in whole:
        values = {point: [value for value in each if value is not None] for point, each in lanes.items()}
        for rows in combinations(block.rows, 2):
            counts = [len(values[point]) for point in block.corners]
            if not min(counts):
                continue
            tables = 2.0 ** (len(block.rows) - 2)  # of two by two, for each combination of the other switches
            signs = [_sign(block, state.incumbent, point, rows) for point in block.corners]
            means = [float(np.mean(values[point])) for point in block.corners]
            gain = -math.fsum(sign * mean for sign, mean in zip(signs, means, strict=True)) / tables
            sd = math.sqrt(lane.variance * sum(1 / count for count in counts)) / tables
            needed = float(stdtrit(lane.freedom, 1 - FALSE / pairs / 2))
            side = float(stdtrit(lane.freedom, (1 + INSIDE) / 2)) * sd
            found.append(Contrast(rows, gain, sd, lane.freedom, side, abs(gain) > needed * sd))
    return tuple(found)


def switches(state: State) -> list[int]:
    """Return the rows of knobs that are on or off, or one of a few choices."""
    return [row for row, knob in enumerate(state.space.knobs) if not knob.is_ordered]


def is_kept(state: State, point: Point, row: int) -> bool:
    """Say whether a point has a switch as the incumbent has it."""
    return not state.space.knobs[row].is_ordered and point.knobs[row] == state.incumbent.knobs[row]


def moved(point: Point, row: int, knob: Knob) -> float:
    """Return a knob's farthest other place."""
    return knob.snapped(0.0 if point.knobs[row] > 0.5 else 1.0)


def together(model: Surrogate, at: Point, rows: tuple[int, int], places: tuple[float, float]) -> tuple[float, float]:
    """Return what the model makes of two knobs' moves to other places: what both gain beyond each alone, with an sd."""
    one, other = rows
    corners = [
        at, _with(at, (one,), places[:1]), _with(at, (other,), places[1:]), _with(at, (one, other), places),
    ]  # fmt: skip
    return model.contrast(corners, np.array([-1.0, 1.0, 1.0, -1.0]))


def _begun(state: State, done: Sequence[Block], *, blocked: Collection[Point]) -> Block | None:
    """Return the block of switches whose pairs are least known, none of which a block has settled; None of none."""
    at, model = head(state).point, state.surrogate
    assert model is not None
    place = {row: moved(at, row, state.space.knobs[row]) for row in switches(state)}
    settled = {pair for block in done for pair in combinations(block.rows, 2)}
    unknown = {
        pair: together(model, at, pair, (place[pair[0]], place[pair[1]]))[1]
        for pair in combinations(place, 2)
        if pair not in settled
    }
    sets = [rows for size in range(2, MOST_SWITCHES + 1) for rows in combinations(place, size)]
    sets.sort(key=lambda rows: -sum(unknown.get(pair, 0.0) for pair in combinations(rows, 2)))
    for rows in sets:
        if any(pair in unknown for pair in combinations(rows, 2)):
            block = Block(at, _with(at, rows, [place[row] for row in rows]), rows)
            chances = state.feasibility.probability(block.corners)
            if not set(block.corners) & set(blocked) and float(chances.min()) >= TRAINS:
                return block
    return None


def _is_established(state: State) -> bool:
    """Say whether the head stands on enough changes that are surely worth something."""
    model, at, space = state.surrogate, head(state).point, state.space
    assert model is not None
    without = [space.with_changes(at, (name,), of=state.incumbent) for name in space.changes(at, since=state.incumbent)]
    if len(without) < LEAST_ESTABLISHED:
        return False
    gain_C, sd_C = model.gains(without, over=at)
    return int((-gain_C > ESTABLISHED * sd_C).sum()) >= LEAST_ESTABLISHED


Lanes = dict[Point, list[float | None]]


def _blocks(state: State) -> tuple[list[tuple[Block, Lanes]], bool]:
    """Return the blocks of a night with their lanes by corner, in their order, and whether all lanes fit a block.

    A block's first two lanes are at its flipped corner and at its base, by which it is known again. Where one of these
    is missing, as it was refused, that block and all lanes after it tell nothing.
    """
    trials = [trial for trial in state.trials if trial.kind == "factorial"]
    found: list[tuple[Block, Lanes]] = []
    while trials:
        block = _block_of(state, trials[0].point, trials[1].point) if len(trials) > 1 else None
        if block is None:
            return found, False
        lanes: Lanes = {point: [] for point in block.corners}
        while trials and trials[0].point in lanes and _missing(block, lanes):
            lanes[trials[0].point].append(trials[0].value)
            trials = trials[1:]
        found.append((block, lanes))
    return found, True


def _block_of(state: State, flipped: Point, base: Point) -> Block | None:
    places = enumerate(zip(flipped.knobs, base.knobs, strict=True))
    rows = tuple(row for row, (here, there) in places if here != there)
    fits = flipped.weights == base.weights and 2 <= len(rows) <= MOST_SWITCHES and set(rows) <= set(switches(state))
    return Block(base, flipped, rows) if fits else None


def _missing(block: Block, lanes: Lanes) -> list[Point]:
    """Return the corners of the lanes that a block lacks, in rounds over all corners."""

    def rounds() -> Iterator[Point]:
        for number in range(block.repeats):
            yield from (point for point in block.corners if len(lanes.get(point, ())) <= number)

    return list(rounds())


def _sign(block: Block, incumbent: Point, point: Point, rows: Sequence[int]) -> float:
    """Return 1 for corners at which both switches are changed or neither is, else -1; the incumbent has no changes."""
    same = [point.knobs[row] == _unchanged(block, incumbent, row) for row in rows]
    return 1.0 if same[0] == same[1] else -1.0


def _unchanged(block: Block, incumbent: Point, row: int) -> float:
    """Return the incumbent's place of a switch, or the flipped one where a block has it at two others."""
    return block.base.knobs[row] if block.base.knobs[row] == incumbent.knobs[row] else block.flipped.knobs[row]


def _with(point: Point, rows: Sequence[int], places: Sequence[float]) -> Point:
    knobs = list(point.knobs)
    for row, place in zip(rows, places, strict=True):
        knobs[row] = place
    return replace(point, knobs=tuple(knobs))
