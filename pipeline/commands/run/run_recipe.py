"""`tamis run` as one function: plan, build, judge, promote, report; returns what happened."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import DataError, GateError, RecipeError
from pipeline.core.files.card import read_card
from pipeline.engine.progress import Progress
from pipeline.engine.run_record import is_shown, mark_of, record_run, records_of, run_of
from pipeline.engine.settled import settle
from pipeline.plan.graph import Plan
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.recipe.spec import Recipe, final_datasets
from pipeline.store.dataset.stored_dataset import StoredDataset
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.commands.run.run_new import NothingNew
    from pipeline.engine.executors import Executor
    from pipeline.experiment.findings.found import Found
    from pipeline.store.names.registry import Promotion
    from pipeline.store.node import Node


@dataclass(frozen=True, slots=True)
class FinalDataset:
    """A dataset that a recipe is for, as no other uses it and no gate holds it out."""

    dataset: str
    documents: int
    bytes: int | None  # of text; None for made documents without steps


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run did. `verdict` is promote, reject, undecided or None when nothing was judged."""

    recipe: str
    built: tuple[str, ...]
    reused: int
    seconds: float
    cost_usd: float
    verdict: str | None
    sentence: str
    report: str
    promoted: str | None
    next_step: str = ""  # of an undecided verdict
    made: tuple[FinalDataset, ...] = ()
    warnings: tuple[str, ...] = ()  # of all steps, those of earlier runs too
    found: Found | None = None  # by a search
    nothing_new: bool = False  # to add to what was promoted

    @property
    def exit_code(self) -> int:
        return 0 if self.verdict in (None, "promote") else 3


def run_recipe(
    given: Path | Mapping[str, Any], *, workspace: Workspace, workers: int, progress: Progress, device: str = "auto",
    memory_bytes: int = 2 << 30, wait: bool = True, test_endpoint: bool = False, ray: str | None = None,
    new_only: bool = False,
) -> Outcome:  # fmt: skip
    """Run a recipe to its end; everything that is already there is reused.

    Without `wait`, PendingError ends it where batches of paid requests are on their way. `test_endpoint` has what is
    known of a server other than Anthropic's found out anew. `ray` is the address of a Ray cluster to run on; empty,
    it is the one that there is, or else one on this machine. `new_only` adds to what was promoted last, from files
    that were not read for it.
    """
    started = time.monotonic()
    recipe = load_recipe(given)  # first, so that a bad recipe leaves nothing behind
    if recipe.research is not None:
        raise RecipeError(
            f"{recipe.place}: has `research:`, whose {recipe.research.as_} is yet to be found. Use `tamis research`."
        )
    if recipe.promote is not None and recipe.sweep is None:  # a search may leave out what it must not hold
        from pipeline.experiment.origins import foretold_refusal

        if refusal := foretold_refusal(recipe):  # before anything is bought or trained
            raise GateError(refusal)
    with workspace.locked():
        if test_endpoint:
            from pipeline.core.claude.abilities.self_test import forget_abilities

            forget_abilities(workspace.ledger)
        with _on_demand(workers, ray, workspace) as executor:
            build = partial(
                _build, executor=executor, progress=progress, device=device, memory_bytes=memory_bytes, wait=wait
            )
            before: tuple[Node, ...] = ()
            if new_only:
                from pipeline.commands.run.run_new import NothingNew, plan_new

                night = plan_new(recipe, workspace, build=build, say=progress.say)
                if isinstance(night, NothingNew):
                    return _nothing_new(recipe, workspace, night, started=started)
                plan, before = night.plan, night.built
            else:
                plan = make_plan(recipe, workspace)
                plan.hashes.save()

            def record(*, verdict: dict[str, Any] | None) -> None:  # a search adds to the plan on its way
                built = len(plan.to_build) + len(before)
                record_run(plan, verdict=verdict, built=built, started=started, workers=workers, device=device)

            report_on = partial(_report, plan, progress=progress, executor=executor)
            try:
                build(plan)
            except GateError:
                record(verdict=None)
                with suppress(DataError):  # there may be nothing yet
                    report_on()  # what there is, without a verdict
                raise
            certificate = certificate_of(plan)
            promoted = _promote(plan, certificate)
            found = _found(plan)
            record(verdict=certificate["verdict"] if certificate else None)
            report = report_on()
    return _outcome(plan, certificate, promoted=promoted, found=found, report=report, started=started, before=before)


def _check_environment(plan: Plan) -> None:
    """Have the steps that are to be built say what they lack; what was asked once may be all there, without a key."""
    if not plan.workspace.ledger.exists():
        for dataset in plan.datasets.values():
            for step in [*dataset.steps, *([dataset.made] if dataset.made is not None else [])]:
                if not step.node.complete:
                    step.spec.step.check_environment()


def _build(
    plan: Plan, *, executor: Callable[[], Executor], progress: Progress, device: str, memory_bytes: int, wait: bool
) -> None:
    if not plan.to_build:
        return settle(plan)
    _check_environment(plan)
    from pipeline.engine.run import Run  # all that builds, which takes longer to import than the plan

    runs_on = executor()
    run = Run(
        plan=plan, executor=runs_on, progress=progress, device=device, threads=runs_on.workers,
        memory_bytes=memory_bytes, workers=runs_on.workers, wait=wait,
    )  # fmt: skip
    run.execute()
    if plan.experiment is not None:
        from pipeline.experiment.build import build_experiment

        build_experiment(run)


def _outcome(
    plan: Plan, certificate: dict[str, Any] | None, *, promoted: str | None, found: Found | None, report: Path,
    started: float, before: tuple[Node, ...],
) -> Outcome:  # fmt: skip
    recipe, todo = plan.recipe, [*before, *plan.to_build]
    cost = sum(read_card(node.folder).cost_usd for node in todo)
    verdict, known = certificate["verdict"] if certificate else None, {node.folder for node in plan.nodes}
    return Outcome(
        recipe=recipe.name,
        built=tuple(f"{node.kind} {node.name}" for node in todo),
        reused=len(plan.nodes) - len(plan.to_build) - len({node.folder for node in before} & known),
        seconds=time.monotonic() - started,
        cost_usd=cost,
        verdict=verdict["outcome"] if verdict else None,
        sentence=verdict["sentence"] if verdict else _unjudged(plan),
        next_step=verdict["next_step"] if verdict else "",
        report=str(report),
        promoted=promoted,
        made=tuple(_made(plan, name) for name in final_datasets(recipe)),
        warnings=tuple(warnings_of(plan)),
        found=found,
    )


def _nothing_new(recipe: Recipe, workspace: Workspace, night: NothingNew, *, started: float) -> Outcome:
    report = workspace.report(recipe.name)
    return Outcome(
        recipe=recipe.name, built=tuple(f"{node.kind} {node.name}" for node in night.built), reused=0,
        seconds=time.monotonic() - started, cost_usd=sum(read_card(node.folder).cost_usd for node in night.built),
        verdict=None, sentence=night.sentence, report=str(report) if report.exists() else "", promoted=None,
        nothing_new=True,
    )  # fmt: skip


def _unjudged(plan: Plan) -> str:
    """Say that nothing was judged, and where a comparison read what another gate judges by, what that means."""
    gate = plan.recipe.gate
    if gate is None:
        return "The recipe has no gate, so nothing was judged."
    told = "The gate asks for no verdict, so nothing was judged."
    if plan.experiment is not None and not gate.verdict:
        from pipeline.experiment.findings.judged import judged_too, uncounted

        names = judged_too(plan.workspace, {name: plan.experiment.tokens[name].payload for name in gate.on})
        told += f" {uncounted(names)}" if names else ""
    return told


@contextmanager
def _on_demand(workers: int, ray: str | None, workspace: Workspace) -> Iterator[Callable[[], Executor]]:
    """Give what returns the executor: made when it is first asked for, closed in the end."""
    with ExitStack() as opened:

        @cache
        def executor() -> Executor:
            if ray is None:
                from pipeline.engine.executors import Local

                return opened.enter_context(closing(Local(workers=workers)))

            from pipeline.engine.on_ray import OnRay

            cluster = OnRay(address=ray or None, folder=workspace.root, workers=workers)
            return opened.enter_context(closing(cluster))

        yield executor


def warnings_of(plan: Plan) -> list[str]:
    """Return what the cards of a finished plan's steps warn of, each once, with the first dataset that it is of."""
    first: dict[Path, str] = {}
    for name, dataset in plan.datasets.items():
        for step in dataset.steps:
            first.setdefault(step.node.folder, name)
    return [
        f"{name}.{warning}"
        for folder, name in first.items()
        for warning in read_card(folder).details.get("warnings", ())
    ]


def _made(plan: Plan, name: str) -> FinalDataset:
    node = plan.datasets[name].node
    card = read_card(node.folder)
    num_bytes = StoredDataset.from_card(card).kept_bytes
    if num_bytes is None and node.kind == "dataset":
        from pipeline.store.evidence import evidence_at
        from pipeline.store.sizes import kept_bytes

        num_bytes = kept_bytes(evidence_at(plan.workspace, node.folder))
    return FinalDataset(dataset=name, documents=card.rows_out, bytes=num_bytes)


def certificate_of(plan: Plan) -> dict[str, Any] | None:
    """Return the certificate of a finished plan, if its recipe has a gate."""
    node = plan.experiment.certificate if plan.experiment is not None else None
    if node is None:
        return None
    found: dict[str, Any] = json.loads((node.folder / "certificate.json").read_text(encoding="utf-8"))
    return found


def _found(plan: Plan) -> Found | None:
    if plan.recipe.sweep is None:
        return None
    from pipeline.experiment.findings.found import found_by

    return found_by(plan)


def _promote(plan: Plan, certificate: dict[str, Any] | None) -> str | None:
    recipe = plan.recipe
    if certificate is None or recipe.promote is None or recipe.gate is None:
        return None
    if certificate["verdict"]["outcome"] != "promote":
        return None
    from pipeline.experiment.promote import promote_mixture

    done = promote_mixture(plan, certificate)
    state = "is now" if done.created else "is already" if done.is_current else "was rolled back from"
    return f"{done.version.name} {state} version {done.version.version}"


def promote_recipe(given: Path | Mapping[str, Any], *, workspace: Workspace, override: str | None) -> Promotion:
    """Promote a finished recipe's candidate by its certificate, or by the reason given."""
    from pipeline.experiment.promote import promote_mixture

    with workspace.locked():
        plan = make_plan(load_recipe(given), workspace, read_all=True)
        node = plan.experiment.certificate if plan.experiment is not None else None
        certificate = certificate_of(plan) if node is not None and node.complete else None
        return promote_mixture(plan, certificate, override=override)


def _report(plan: Plan, *, progress: Progress, executor: Callable[[], Executor]) -> Path:
    """Write the page, unless the one that is there shows this run."""
    path = plan.workspace.report(plan.recipe.name)
    if not is_shown(path, mark_of(plan, run_of(plan, records_of(plan)))):
        from pipeline.report.page import write_report

        progress.say("writing the report")
        write_report(plan, path=path, map=partial(executor().map, label="report"))
    return path
