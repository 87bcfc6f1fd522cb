"""A plan -> what each step that pays will probably cost, beside the most that it may; see `core/claude/accounting`."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from pipeline.core.claude.accounting.forecast import Forecast, Outlook
from pipeline.core.claude.messages.request import Buyer
from pipeline.core.files.card import read_card
from pipeline.core.step import GatheringStep
from pipeline.plan.graph import Plan
from pipeline.plan.living import gathering_now
from pipeline.plan.make import result_before, rows_known
from pipeline.plan.pilot import pilot_of


def forecasts_of(plan: Plan) -> dict[Path, Forecast]:
    """Return the forecasts of all steps that are to be built and may cost something, by folder."""
    found: dict[Path, Forecast] = {}
    for dataset in plan.datasets.values():
        pilot = cache(partial(pilot_of, plan, dataset))
        for number, planned in enumerate(dataset.steps):
            node, step = planned.node, planned.spec.step
            if not isinstance(step, GatheringStep) or not node.cost_usd or node.folder in found:
                continue
            earlier = result_before(plan, step, node.payload)
            outlook = Outlook(
                num_documents=rows_known(dataset.base), pilot=pilot, ledger=plan.workspace.ledger,
                buyer=Buyer(plan.recipe.name, f"{dataset.spec.name}.{planned.spec.label}"),
                earlier=None if earlier is None else read_card(earlier).details,
                work=partial(gathering_now, plan, dataset, number),
            )  # fmt: skip
            forecast = step.forecast(outlook)
            if forecast is not None:
                found[node.folder] = forecast
    return found
