"""Recipe + what is on disk -> an ordered list of nodes, each reuse or build, with the reason.

A node's identity is the hash of its payload: what it is, its version, the parameters that differ from their defaults,
and the identities of its inputs. So the whole plan is known before any work. A measuring step's payload names the text
it reads and no earlier verdict: adding a step or moving a threshold leaves every measurement reusable. A gathering
step sees only living documents, so its payload also names everything decided before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError, RecipeError, did_you_mean
from pipeline.core.files.card import is_complete, read_card
from pipeline.core.files.reading.strict_yaml import parse
from pipeline.core.files.stores.places import is_url
from pipeline.core.identity import identity_of
from pipeline.core.rng import derive
from pipeline.core.step import GatheringStep, MakingStep, Step
from pipeline.plan.differences import Home
from pipeline.plan.experiment import plan_experiment
from pipeline.plan.graph import ENGINE_VERSION, Plan, PlannedDataset, PlannedStep
from pipeline.plan.taking import EarlierBase, bases_before, edited, files_told, signals_before, text_of
from pipeline.recipe.names import outside
from pipeline.recipe.spec import DatasetSpec, Recipe, StepSpec, input_names_of, step_inputs
from pipeline.sources.files import NAMES_OF_FILES, local_path
from pipeline.store.input_hashes import MEMO, InputHashes
from pipeline.store.node import Node
from pipeline.store.workspace import Workspace


def make_plan(recipe: Recipe, workspace: Workspace, *, read_all: bool = False) -> Plan:
    """Plan a recipe against a workspace; reads cards and input files, writes nothing.

    Input files that were hashed before and not touched since are not read again, unless `read_all`.
    """
    plan = Plan(recipe=recipe, workspace=workspace, hashes=InputHashes(None if read_all else workspace.root / MEMO))
    used = {name for spec in recipe.datasets.values() for name in (*spec.inputs, *step_inputs(spec))}
    for name, source in recipe.sources.items():
        if name in used:
            reader = source.reader
            payload = {
                "kind": "source",
                "engine": ENGINE_VERSION,
                "reader": reader.name,
                "version": reader.version,
                "source": name,
                "params": _changed(reader.params),
                "inputs": reader.inputs(plan.hashes.of),
            }
            plan.sources[name] = plan.add(
                "source", name, payload, {}, takes=partial(files_told, workspace, name, payload)
            )
    for spec in recipe.datasets.values():
        plan.datasets[spec.name] = _plan_dataset(plan, spec)
    if recipe.proxy is not None and recipe.mixtures:
        plan_experiment(plan)
    return plan


def _plan_dataset(plan: Plan, spec: DatasetSpec) -> PlannedDataset:
    if spec.name in plan.recipe.stored:
        return PlannedDataset(spec=spec, base=(), made=None, steps=(), node=plan.stored(spec.name))
    base = tuple(plan.documents_node(name) for name in spec.inputs)
    made: PlannedStep | None = None
    if spec.make is not None:
        made = _plan_made(plan, spec, base)
        base = (made.node,)
    text = text_of([node.identity for node in base])
    decided: list[Any] = []
    steps: list[PlannedStep] = []
    bases = cache(partial(bases_before, plan.workspace, base))
    for item in spec.steps:
        step = item.step
        inputs, content = _resolve_inputs(plan, spec.name, item, base=base)
        gathers = isinstance(step, GatheringStep)
        payload: dict[str, Any] = {
            "kind": "gathered" if gathers else "measured",
            "engine": ENGINE_VERSION,
            "step": step.name,
            "version": step.version,
            "params": step.params.of_role("measure"),
            "inputs": content,
            "text": text,
        }
        payload |= _code(step)
        if gathers:
            payload |= {"decided_before": list(decided), "seed": plan.recipe.seed}
        parents = {
            name: plan.documents_node(name).identity
            for names in inputs.values()
            for name in names
            if name in plan.datasets
        }
        node = plan.add(
            payload["kind"],
            step.name,
            payload,
            parents | {node.name: node.identity for node in base},
            cost=_cost(plan, item, base, payload),
            home=_home(spec, steps),
            takes=partial(_parts_told, plan, bases, tuple(steps), payload),
        )
        steps.append(PlannedStep(spec=item, node=node, inputs=inputs))
        decided.append({"step": item.label, "signals": node.identity, "decides": step.params.of_role("decide")})
        if step.edits:
            text = edited(text, node.identity)
    if made is not None and not steps:
        return PlannedDataset(spec=spec, base=base, made=made, steps=(), node=made.node)
    payload = {"kind": "dataset", "engine": ENGINE_VERSION, "base": [node.identity for node in base], "steps": decided}
    parents = {node.name: node.identity for node in base}
    node = plan.add("dataset", spec.name, payload, parents, home=_home(spec, steps))
    return PlannedDataset(spec=spec, base=base, made=made, steps=tuple(steps), node=node)


def _parts_told(
    plan: Plan, bases: Callable[[], list[EarlierBase]], before: Sequence[PlannedStep], payload: Mapping[str, Any]
) -> str:
    earlier = signals_before(plan.workspace, bases(), before=before, payload=payload)
    return "takes over parts that are the same" if earlier else ""


def _home(spec: DatasetSpec, before: list[PlannedStep]) -> Home:
    """Return where the next step of a dataset stands, or the dataset itself after all of them."""
    label = spec.steps[len(before)].label if len(before) < len(spec.steps) else None
    anew = tuple(step.spec.label for step in before if not step.node.complete)
    return Home(dataset=spec.name, label=label, steps=spec.steps[: len(before) + 1], anew=anew)


def _plan_made(plan: Plan, spec: DatasetSpec, base: tuple[Node, ...]) -> PlannedStep:
    assert spec.make is not None
    step = spec.make.step
    assert isinstance(step, MakingStep)
    inputs, content = _resolve_inputs(plan, spec.name, spec.make)
    payload = {
        "kind": "made",
        "engine": ENGINE_VERSION,
        "step": step.name,
        "version": step.version,
        "params": step.params.of_role("measure"),
        "inputs": content,
        "from": [node.identity for node in base],
        "seed": derive(plan.recipe.seed, spec.name),  # two datasets made alike are two draws
    } | _code(step)
    parents = {node.name: node.identity for node in base}
    return PlannedStep(
        spec=spec.make, node=plan.add("made", spec.name, payload, parents, cost=step.estimate_usd()), inputs=inputs
    )


def _code(step: Step) -> dict[str, Any]:
    """Name what a step leans on beside its version: a plugin's code, versions of libraries, an endpoint."""
    plugin, extras = outside(step.name), step.identity_extras()
    return ({"plugin": plugin.identity} if plugin is not None else {}) | ({"extras": extras} if extras else {})


def _resolve_inputs(
    plan: Plan, dataset: str, item: StepSpec, *, base: Sequence[Node] = ()
) -> tuple[dict[str, tuple[str, ...]], dict[str, list[str]]]:
    """Return a step's `input_names` parameters as given, and the identities of what they name."""
    names = input_names_of(item.step.params)
    content = {
        key: [_input_identity(plan, name, f"datasets.{dataset}.{item.label}.{key}") for name in given]
        for key, given in names.items()
    }
    for key in type(item.step.params).model_fields:
        store = getattr(item.step.params, key)
        if item.step.params.role_of(key) == "store" and store:
            from pipeline.store.names.dedup_versions import (  # tables, which few plans look into
                contents_read,
                to_compare,
            )

            own = set().union(*(contents_read(node, find=plan.parent) for node in base))
            try:
                names[key], identity = to_compare(plan.workspace, store, contents=own)
            except RecipeError as error:
                place = _place(plan.recipe, dataset, key, store)
                raise RecipeError(f"{place}: datasets.{dataset}.{item.label}.{key}: {error}") from error
            content[key] = [identity]
    return names, {key: value for key, value in content.items() if value}


def _place(recipe: Recipe, dataset: str, key: str, value: str) -> str:
    """Return `recipe:line` of a step's parameter; without a line if its value was given with --set or in Python."""
    if recipe.path is None:
        return recipe.place
    document = parse(recipe.text, path=recipe.path)
    for place, line in document.lines.items():
        if place[:2] == ("datasets", dataset) and place[-1] == key:
            found = document.data
            for part in place:
                found = found[part]
            if found == value:
                return f"{recipe.path}:{line}"
    return recipe.place


def _input_identity(plan: Plan, name: str, place: str) -> str:
    if name in plan.datasets or name in plan.sources:
        return plan.documents_node(name).identity
    if not is_url(name) and not Path(name).is_file():
        raise RecipeError(
            f"{plan.recipe.place}: {place}: `{name}` is neither a dataset nor a file."
            f"{did_you_mean(name, plan.recipe.datasets)}"
        )
    return file_identity(plan, name)


def file_identity(plan: Plan, name: str) -> str:
    """Return what a file is to a step, which reads it by its suffix and names items after it; DataError without it."""
    path = local_path(name, place=f"{plan.recipe.place}: ")
    try:
        return identity_of([path.name, plan.hashes.of(path)])
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Correct it or take it out.") from error


def _changed(params: Any) -> dict[str, Any]:
    """Parameters of a reader that differ from their defaults, without the paths: content is named by `inputs`."""
    changed: dict[str, Any] = params.model_dump(mode="json", exclude_defaults=True)
    return {key: value for key, value in changed.items() if key not in (*NAMES_OF_FILES, "max_drop_fraction")}


def _cost(plan: Plan, item: StepSpec, base: tuple[Node, ...], payload: Mapping[str, Any]) -> float:
    step = item.step
    if not isinstance(step, GatheringStep):
        return 0.0
    earlier = result_before(plan, step, payload)
    if earlier is not None:
        return step.estimate_more_usd(read_card(earlier).details)
    return step.estimate_usd(num_documents=rows_known(base))


def rows_known(base: Sequence[Node]) -> int:
    """Return how many documents there are in what is built."""
    return sum(read_card(node.folder).rows_out for node in base if node.complete)


def result_before(plan: Plan, step: GatheringStep, payload: Mapping[str, Any]) -> Path | None:
    """Return the folder of the result that a step would add to, if it is there."""
    before = step.params_before()
    if before is None:
        return None
    identity = identity_of({**payload, "params": before})
    folder = plan.workspace.folder(str(payload["kind"]), step.name, identity)
    return folder if is_complete(folder, identity) else None
