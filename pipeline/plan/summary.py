"""A plan -> what a run would do, as plain records: what is reused, what is built and why, at what cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.core.files.card import read_card
from pipeline.plan.graph import Plan
from pipeline.plan.groups import lanes_by_folder, to_come_in

if TYPE_CHECKING:
    from pipeline.core.claude.accounting.forecast import Forecast


@dataclass(frozen=True, slots=True)
class PlannedResult:
    """One result of a plan: there already, or to be built, and why."""

    kind: str
    name: str
    datasets: tuple[str, ...]  # in which it is a step
    action: Literal["reuse", "build"]
    reason: str
    rows: int | None  # None before it is built
    max_cost_usd: float
    identity: str
    forecast: Forecast | None = None  # of what it will probably cost


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """What a run of a recipe would do, in order."""

    recipe: str
    nodes: tuple[PlannedResult, ...]
    to_build: int
    max_cost_usd: float
    to_come: str  # what a search adds when its rounds are there, in words; empty where nothing does


def summary_of(plan: Plan) -> PlanSummary:
    """Return a plan as plain records."""
    homes: dict[str, list[str]] = {}
    for name, dataset in plan.datasets.items():
        for step in dataset.steps:
            homes.setdefault(step.node.identity, []).append(name)
    names = {
        folder: f"{lane} on {domain}" if domain else str(lane)
        for folder, (lane, domain) in lanes_by_folder(plan).items()
    }
    forecasts = _forecasts(plan)
    nodes = tuple(
        PlannedResult(
            kind=node.kind,
            name=names.get(node.folder, node.name),
            datasets=tuple(homes.get(node.identity, ())),
            action="reuse" if node.complete else "build",
            reason=node.reason,
            rows=read_card(node.folder).rows_out if node.complete else None,
            max_cost_usd=node.cost_usd,
            identity=node.identity,
            forecast=forecasts.get(node.folder),
        )
        for node in plan.nodes
    )
    cost = sum(node.cost_usd for node in plan.nodes)
    return PlanSummary(
        recipe=plan.recipe.name,
        nodes=nodes,
        to_build=len(plan.to_build),
        max_cost_usd=cost,
        to_come=to_come_in(plan),
    )


def _forecasts(plan: Plan) -> dict[Path, Forecast]:
    if not any(node.cost_usd for node in plan.nodes):
        return {}
    from pipeline.plan.forecasts import forecasts_of  # needed where something is paid

    return forecasts_of(plan)
