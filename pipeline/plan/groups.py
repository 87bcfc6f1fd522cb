"""A plan's nodes -> groups for a reader: every node by itself, but lanes and scores that are alike together.

An experiment of two mixtures, five seeds and three held-out sets has ten lanes and thirty scores, which say the same.
A search has hundreds of mixtures, each with a lane: those of a round stand together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.plan.graph import Plan
from pipeline.plan.lanes import LaneName, is_tried, seeds_said
from pipeline.store.node import Node


@dataclass(slots=True)
class Group:
    """Nodes of one kind in the order of the plan; lanes and scores with what they are of, or a search's round."""

    nodes: list[Node]
    lanes: list[LaneName] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    round: int = 0  # of a search, from 1

    @property
    def of_many(self) -> bool:
        """Say whether the group stands for several nodes, or for some that could be several."""
        return bool(self.lanes or self.round)

    @property
    def name(self) -> str:
        """What a reader calls the group: `candidate: 5 seeds x 2 rates on data, tools`, `round 1: 12 mixtures`."""
        on = f" on {', '.join(dict.fromkeys(self.domains))}" if self.domains else ""
        if self.round:
            number = len({*self.lanes}) or len(self.nodes)
            what = ("proxy" if number == 1 else "proxies") if self.lanes else f"mixture{'' if number == 1 else 's'}"
            until = f" to {100 * self.lanes[0].until:g} %" if self.lanes and self.lanes[0].until < 1 else ""
            return f"round {self.round}: {number} {what}{until}{on}"
        return f"{self.lanes[0].mixture}: {seeds_said(self.lanes)}{on}" if self.lanes else self.nodes[0].name


def lanes_by_folder(plan: Plan) -> dict[Path, tuple[LaneName, str]]:
    """Return the lane and, of a score, the held-out set that a folder of the experiment is of."""
    if plan.experiment is None:
        return {}
    lanes = {node.folder: (lane, "") for lane, node in reversed([*plan.experiment.lanes.items()])}
    return lanes | {node.folder: named for named, node in reversed([*plan.experiment.scores.items()])}


def groups_of(plan: Plan, *, alike: Callable[[Node], Hashable]) -> list[Group]:
    """Return a plan's nodes in groups where `alike` says the same: a mixture's lanes or scores, a round's nodes."""
    of, tried = lanes_by_folder(plan), _rounds_by_lane(plan)
    mixtures = _rounds_by_mixture(plan)
    groups: dict[Hashable, Group] = {}
    for node in plan.nodes:
        lane, domain = of.get(node.folder, (None, ""))
        number = mixtures.get(node.folder, 0) if lane is None else tried.get(lane, 0)
        key: Hashable = node.folder
        if number or lane is not None:
            key = (node.kind, number or (lane and lane.mixture), lane and lane.until, alike(node))
        group = groups.setdefault(key, Group([], round=number))
        group.nodes.append(node)
        group.lanes += [lane] if lane is not None else []
        group.domains += [domain] if domain else []
    return list(groups.values())


def reason_of(node: Node) -> str:
    """Return why a node is built, without the name that a search gave to a lane's mixture."""
    tried = next((name for name in node.parents if is_tried(name)), None) if node.kind == "lane" else None
    return node.reason if tried is None else node.reason.replace(tried, "its mixture")


def to_come_in(plan: Plan) -> str:
    """Return what follows from a search's results and is not in the plan yet, in words; nothing if all is."""
    sweep, experiment, gate = plan.recipe.sweep, plan.experiment, plan.recipe.gate
    if sweep is None or experiment is None or sweep.as_ in experiment.mixtures:
        return ""
    last, sentences = max(found.number for found in experiment.stages), []
    if last not in [found.number for found in experiment.rounds]:
        sentences.append(f"What round {last} shows half-trained decides which of its proxies go on.")
    if last < sweep.rounds:
        number = sum(sweep.sizes[last:])
        rounds = f"Round {last + 1} follows"
        if sweep.rounds - last > 1:
            comma = " and " if sweep.rounds - last == 2 else " to "
            rounds = f"Rounds {last + 1}{comma}{sweep.rounds} follow"
        sentences.append(f"{rounds} from what round {last} shows: {number} more mixtures, one proxy each.")
    if gate is not None and plan.recipe.proxy is not None:
        proxy, arms = plan.recipe.proxy, len({*plan.recipe.mixtures, sweep.as_})
        lanes = arms * proxy.seeds * len(proxy.learning_rates)
        when = f"Then the gate judges {sweep.as_}" if sentences else f"The gate judges {sweep.as_} after round {last}"
        sentences.append(f"{when}, by {lanes} proxies of its own.")
    return " ".join(sentences)


def _rounds_by_lane(plan: Plan) -> dict[LaneName, int]:
    stages = plan.experiment.stages if plan.experiment is not None else ()
    return {lane: found.number for found in stages for lane in found.lanes}


def _rounds_by_mixture(plan: Plan) -> dict[Path, int]:
    """Return the round that tries the mixture of a folder."""
    if plan.experiment is None:
        return {}
    lanes = _rounds_by_lane(plan)
    return {plan.experiment.mixtures[lane.mixture].folder: n for lane, n in lanes.items() if is_tried(lane.mixture)}
