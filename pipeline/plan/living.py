"""A planned step -> its documents as of now: what it would be given to gather, where all before it is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.claude.messages.request import Buyer
from pipeline.core.rng import derive
from pipeline.core.step import Gathering, Part
from pipeline.plan.graph import Plan, PlannedDataset, PlannedStep
from pipeline.store.dataset.chain import Chain, Link
from pipeline.store.results import base_parts


def link_of(chain: Chain, step: PlannedStep) -> Link:
    """Return a finished step as a link, its thresholds resolved against the documents alive before it."""
    rules = step.spec.step.rules(quantile=chain.quantile_of(step.node.folder))
    return Link(label=step.spec.label, folder=step.node.folder, rules=rules, edits=step.spec.step.edits)


def gathering_now(plan: Plan, dataset: PlannedDataset, number: int) -> Gathering | None:
    """Return what a step would be given if it ran now, to look at and not to write through; None if that is unknown.

    It is where what the dataset stands on, a step before this one, or another dataset that it reads is not built yet.
    """
    step, before = dataset.steps[number], dataset.steps[:number]
    named = [name for names in step.inputs.values() for name in names]
    if not all(node.complete for node in dataset.base) or not all(each.node.complete for each in before):
        return None
    if any(name in plan.datasets or name in plan.sources for name in named):
        return None
    chain = Chain(base=base_parts(dataset.base))
    for each in before:
        chain = chain.with_link(link_of(chain, each))
    nowhere = step.node.folder
    return Gathering(
        parts=chain.parts(), scratch=nowhere, output=nowhere, seed=derive(plan.recipe.seed, step.spec.label),
        inputs={key: [Path(name) for name in names] for key, names in step.inputs.items()}, map=_here, write=_refuse,
        say=lambda _: None, ledger=plan.workspace.ledger,
        buyer=Buyer(plan.recipe.name, f"{dataset.spec.name}.{step.spec.label}"),
        signals_before=signals_of(before),
    )  # fmt: skip


def signals_of(steps: Iterable[PlannedStep]) -> list[str]:
    """Return the names of all signals of some steps, as later ones read them."""
    return [f"{step.spec.label}.{signal.name}" for step in steps for signal in step.spec.step.signals]


def wanted_of(step: PlannedStep, later: Sequence[PlannedStep]) -> dict[str, int]:
    """Return how many documents the steps after one need each of its signals of."""
    wanted: dict[str, int] = {}
    for planned in later:
        for full, count in planned.spec.step.wants.items():
            label, _, signal = full.rpartition(".")
            if label == step.spec.label:
                wanted[signal] = max(count, wanted.get(signal, 0))
    return wanted


def _here(function: Callable[[Any], Any], items: Iterable[Any], **_: Any) -> list[Any]:
    return [function(item) for item in items]


def _refuse(part: Part, columns: Mapping[str, Any]) -> None:
    raise AssertionError("a plan writes nothing")
