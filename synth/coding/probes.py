"""Arguments of tests -> arguments like them, one value changed a little: what two solutions are asked beyond tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from synth.sandbox.values import Json

MOST = 40
LARGEST = 10**6  # a number is not made larger than it is beyond this: a loop up to it might not end
LONGEST = 200  # characters or items of what is doubled


def probes_of(calls: Sequence[list[Json]], *, most: int = MOST) -> list[list[Json]]:
    """Return at most so many lists of arguments that are not among the calls, taken from each call in its turn."""
    known = {_key(call) for call in calls}
    found: list[list[Json]] = []
    turns = [_changed(call) for call in calls]
    while turns and len(found) < most:
        for turn in list(turns):
            changed = next((each for each in turn if _key(each) not in known), None)
            if changed is None:
                turns.remove(turn)
            elif len(found) < most:
                known.add(_key(changed))
                found.append(changed)
    return found


def _key(call: list[Json]) -> str:
    return json.dumps(call, sort_keys=True)


def _changed(call: list[Json]) -> Iterator[list[Json]]:
    """Yield a call with one argument changed: the first change of each argument, then the second of each."""
    ways = [list(_others(argument)) for argument in call]
    for turn in range(max(map(len, ways), default=0)):
        for place, others in enumerate(ways):
            if turn < len(others):
                yield [*call[:place], others[turn], *call[place + 1 :]]


def _others(value: Json) -> Iterator[Json]:
    """Yield values of the same type that differ a little."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1 if value < LARGEST else value - 2
        yield value - 1
        yield value // 2
        yield from (0, 1)
    elif isinstance(value, float):
        yield value + 1.0
        yield value / 2
        yield 0.0
    elif isinstance(value, str):
        yield value[::-1]
        yield value[:-1]
        yield value + value[:1]
        yield value.swapcase()
        yield ""
    elif isinstance(value, list):
        yield value[::-1]
        yield value[:-1]
        yield value[1:]
        yield [*value, *value] if len(value) < LONGEST else value[: LONGEST // 2]
        for place, item in enumerate(value[:3]):
            yield from ([*value[:place], other, *value[place + 1 :]] for other in list(_others(item))[:2])
        yield []
    elif isinstance(value, dict):
        for name in list(value)[:3]:
            yield {key: item for key, item in value.items() if key != name}
            yield from ({**value, name: other} for other in list(_others(value[name]))[:1])
