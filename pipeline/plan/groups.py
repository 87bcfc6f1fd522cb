"""A plan's nodes -> groups for a reader: every node by itself, but lanes and scores that are alike together.

An experiment of two mixtures, five seeds and three held-out sets has ten lanes and thirty scores, which say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.plan.graph import Plan
from pipeline.plan.lanes import LaneName, seeds_said
from pipeline.store.node import Node


@dataclass(slots=True)
class Group:
    """Nodes of one kind in the order of the plan; lanes and scores with what they are of."""

    nodes: list[Node]
    lanes: list[LaneName] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What a reader calls the group: `candidate: 5 seeds x 2 rates on data, tools`."""
        if not self.lanes:
            return self.nodes[0].name
        on = f" on {', '.join(dict.fromkeys(self.domains))}" if self.domains else ""
        return f"{self.lanes[0].mixture}: {seeds_said(self.lanes)}{on}"


def lanes_by_folder(plan: Plan) -> dict[Path, tuple[LaneName, str]]:
    """Return the lane and, of a score, the held-out set that a folder of the experiment is of."""
    if plan.experiment is None:
        return {}
    lanes = {node.folder: (lane, "") for lane, node in reversed([*plan.experiment.lanes.items()])}
    return lanes | {node.folder: named for named, node in reversed([*plan.experiment.scores.items()])}


def groups_of(plan: Plan, *, alike: Callable[[Node], Hashable]) -> list[Group]:
    """Return a plan's nodes in groups; lanes or scores of one mixture stand together where `alike` says the same."""
    of = lanes_by_folder(plan)
    groups: dict[Hashable, Group] = {}
    for node in plan.nodes:
        lane, domain = of.get(node.folder, (None, ""))
        key = (node.kind, lane.mixture, alike(node)) if lane is not None else node.folder
        group = groups.setdefault(key, Group([]))
        group.nodes.append(node)
        group.lanes += [lane] if lane is not None else []
        group.domains += [domain] if domain else []
    return list(groups.values())
