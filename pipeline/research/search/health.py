"""The proxies of a card that was just tried -> what the doctor finds in them, and which of them count for nothing.

A proxy with a fault is no value: its card failed there, which models of what trains learn from, and none of what is
worth trying. Doubts stand beside the value. What depends on the machine's speed is left out, so that a night that was
killed and taken up again writes the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.queries.proxies.doctor import diagnose_lane
from pipeline.queries.proxies.lanes import StoredLane
from pipeline.store.workspace import Workspace

BY_SPEED = ("loader", "mfu")
KNOWN = "said"  # what its card says already


@dataclass(frozen=True, slots=True)
class Health:
    """Sentences of what was found, and the seeds whose proxies have a fault."""

    told: tuple[str, ...]
    void: frozenset[int]


def health_of(workspace: Workspace, lanes: Mapping[int, StoredLane]) -> Health:
    """Examine the proxies of one card, by seed; each by itself, so that none is blamed for another."""
    told, void = list[str](), set[int]()
    for seed, lane in lanes.items():
        for one in diagnose_lane(workspace, lane).alarms:
            if one.id in BY_SPEED:
                continue
            if one.level == "fault":
                void.add(seed)
            if one.id != KNOWN:
                told.append(f"seed {seed}: {one.level}, {one.id}: {one.sentence}")
    return Health(tuple(told), frozenset(void))
