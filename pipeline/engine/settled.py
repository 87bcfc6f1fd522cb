"""Results that are all there -> what a run still owes them: what names mean, where inputs lie now, alarms set since.

A run that finds nothing to build does this and no more, so nothing here imports what builds: kernels, tables, workers.
"""

from __future__ import annotations

import shutil
import time
from typing import Any

from pipeline.core.files.card import is_complete, read_card
from pipeline.core.files.names import IN_STORE, INPUTS
from pipeline.core.files.parquet.in_place import located
from pipeline.core.files.writing.durable import write_text
from pipeline.engine.alarms import check_finished
from pipeline.engine.input_guard import files_of_source
from pipeline.plan.graph import Plan, PlannedDataset
from pipeline.store.node import Node


def settle(plan: Plan) -> None:
    """Do what a plan's results need, all of which are there."""
    remember_names(plan)
    for name, node in plan.sources.items():
        is_finished(node)
        locate_again(plan, name)
    for dataset in plan.datasets.values():
        if dataset.made is not None:
            is_finished(dataset.made.node)
        is_settled(dataset)
    for node in plan.experiment.nodes if plan.experiment is not None else ():
        is_finished(node)


def is_finished(node: Node) -> bool:
    """Say whether a node is there by now: complete when the run was planned, or built since."""
    done = node.complete or is_complete(node.folder, node.identity)
    if done:
        shutil.rmtree(node.folder / "scratch", ignore_errors=True)  # a kill came between card and sweep
    return done


def remember_names(plan: Plan) -> None:
    """Let names mean what the plan builds, from the start."""
    named = {name: dataset.node for name, dataset in plan.datasets.items()} | plan.sources
    mixtures = plan.experiment.named if plan.experiment is not None else {}
    named |= {f"mixture/{name}": node for name, node in mixtures.items()}
    for name, node in named.items():
        plan.workspace.remember(name, node.folder)


def locate_again(plan: Plan, name: str) -> None:
    """Write anew where the text of a finished source lies: the same content, but perhaps elsewhere by now."""
    node, reader = plan.sources[name], plan.recipe.sources[name].reader
    if (node.folder / INPUTS).exists() or (node.folder / IN_STORE).exists():  # another machine's results have none
        files_of_source(reader, node, hashes=plan.hashes)
        locate(reader, node)


def locate(reader: Any, node: Node) -> None:
    """Write where the files lie whose text stays in place; their content was just held against the plan's."""
    paths = reader.locations()
    if paths:
        found = located(paths, hashed_at=time.time_ns())
        if not (node.folder / INPUTS).exists() or (node.folder / INPUTS).read_bytes() != found.encode():
            write_text(node.folder / INPUTS, found)


def is_settled(planned: PlannedDataset) -> bool:
    """Say whether a dataset and all its steps are there; DataError if one dropped more than it may by now."""
    if not (all(is_finished(step.node) for step in planned.steps) and is_finished(planned.node)):
        return False
    check_finished(planned.steps, read_card(planned.node.folder), place=planned.spec.name)
    return True
