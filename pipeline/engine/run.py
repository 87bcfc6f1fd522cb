"""A plan -> results on disk: sources read, steps measured or gathered, datasets published, each with its card last.

The engine owns files, order and accounting; steps own none of it. Everything it writes lies in a folder named by its
identity, so a killed run leaves only whole files of the right content behind, and the next run picks them up.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core import document
from pipeline.core.claude.messages.request import Buyer
from pipeline.core.errors import DataError
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.parquet.shards import write_table
from pipeline.core.files.writing.scratch import SYNCED, until_reboot
from pipeline.core.rng import derive
from pipeline.core.step import Gathering, GatheringStep, Making, MakingStep, MeasuringStep, Step
from pipeline.engine.ahead import measure_next
from pipeline.engine.alarms import check_alarms
from pipeline.engine.executors import ORDINARY, Executor, Need
from pipeline.engine.gathered import SignalWriter, WriteBy
from pipeline.engine.ingest import Ahead, build_source
from pipeline.engine.input_guard import files_of_steps, unchanged
from pipeline.engine.measure import MeasureTask, StepRef
from pipeline.engine.progress import Progress
from pipeline.engine.publish import PublishTask, publish_part, stored_dataset
from pipeline.engine.settled import is_finished, is_settled, locate_again, remember_names
from pipeline.engine.sketching import SketchRef
from pipeline.engine.take_over import take_parts
from pipeline.plan.graph import Plan, PlannedDataset, PlannedStep
from pipeline.plan.living import link_of, signals_of, wanted_of
from pipeline.plan.taking import sources_before
from pipeline.recipe.names import outside
from pipeline.recipe.plugins import InPlugin, PluginFile
from pipeline.sources.files import input_file
from pipeline.store.dataset.chain import BasePart, Chain, ChainReader, Link, part_name
from pipeline.store.dataset.spool import Spool
from pipeline.store.dataset.verdicts import verdicts_name
from pipeline.store.node import Node
from pipeline.store.results import base_parts, close, document_paths, finish_signals

FEW_DOCUMENTS = 1_000  # with which most steps are done before a worker has started
NO_PART = BasePart(index=0, path=Path(), num_rows=0)


@dataclass(slots=True)
class Run:
    """One execution of a plan."""

    plan: Plan
    executor: Executor
    progress: Progress
    device: str = "auto"  # of the proxies
    threads: int = 1  # of the proxies; no result depends on it
    memory_bytes: int = 2 << 30  # of a gathering step; no result depends on it
    workers: int = 1  # that share it
    wait: bool = True  # for batches of paid requests
    ahead_seconds: dict[str, float] = field(default_factory=dict)  # of measuring while a source was read, by identity

    def finished(self, node: Node) -> bool:
        """Say whether a node is there by now: complete when the run was planned, or built since."""
        return is_finished(node)

    def execute(self) -> None:
        """Build the sources and datasets that the plan lists, in order; names mean what it builds from the start."""
        remember_names(self.plan)
        for name, node in self.plan.sources.items():
            if not self.finished(node):
                self.ahead_seconds[node.identity] = build_source(
                    self.plan.recipe.sources[name].reader, node, hashes=self.plan.hashes, executor=self.executor,
                    progress=self.progress, ahead=partial(self.ahead_of, node),
                    earlier=sources_before(self.plan.workspace, name, node.payload),
                )  # fmt: skip
            else:
                locate_again(self.plan, name)
        for dataset in self.plan.datasets.values():
            self.build_dataset(dataset)

    def build_dataset(self, planned: PlannedDataset) -> None:
        """Make, measure, gather and publish one dataset; what is complete is left alone."""
        if planned.made is not None and not self.finished(planned.made.node):
            self.make(planned)
        if is_settled(planned):
            return
        chain = Chain(base=base_parts(planned.base))
        waiting: list[PlannedStep] = []
        spool = None if self.finished(planned.node) else self.scratch_in(planned.node.folder)
        ahead = sum(self.ahead_seconds.pop(node.identity, 0.0) for node in planned.base)
        for number, step in enumerate(planned.steps):
            if isinstance(step.spec.step, MeasuringStep):
                waiting.append(step)
                continue
            chain = self.measure(chain, waiting, of=planned, before=planned.steps[number:], spool=spool, ahead=ahead)
            waiting, ahead = [], 0.0
            check_alarms(chain, planned.steps, place=planned.spec.name, earlier=self.earlier(planned))
            if not self.finished(step.node):
                self.gather(chain, planned, number)
            chain = chain.with_link(link_of(chain, step))
        chain = self.measure(chain, waiting, of=planned, spool=spool, ahead=ahead)
        check_alarms(chain, planned.steps, place=planned.spec.name, earlier=self.earlier(planned))
        if not self.finished(planned.node):
            self.publish(chain, planned)

    def earlier(self, planned: PlannedDataset) -> Iterator[Card]:
        """Yield the cards of the dataset's earlier results, the newest last."""
        for folder in self.plan.workspace.complete("dataset", planned.spec.name):
            yield read_card(folder)

    def measure(
        self, chain: Chain, steps: Sequence[PlannedStep], *, of: PlannedDataset, spool: Path | None, ahead: float,
        before: Sequence[PlannedStep] = (),
    ) -> Chain:  # fmt: skip
        """Run neighbouring measuring steps as one pass over the parts; return the chain with their links.

        What earlier results hold of the same parts is taken over from them. The pass also sketches for those of the
        steps behind it that will see the text as it leaves it, and spools the texts that it leaves alive. `ahead`
        seconds of the work were done while the source was read.
        """
        missing = [step for step in steps if not self.finished(step.node)]
        if missing:
            started = time.monotonic()
            task = self.task_for(steps, links=chain.links, before=before, spool=spool, num_parts=len(chain.base))
            chain = replace(chain, spool=task.spool)
            label = " + ".join(step.spec.label for step in missing)
            taken = take_parts(self.plan, of, missing)
            tasks = [
                replace(
                    task, label=f"{label} on {part.path.name}", reader=ChainReader(base=part, links=chain.links),
                    taken=frozenset(k for k, step in enumerate(steps) if taken.has(step.node, part.index)),
                )
                for part in chain.base
                if task.sketches or not all(taken.has(step.node, part.index) for step in missing)
            ]  # fmt: skip
            total = sum(task.reader.base.num_rows for task in tasks)
            self.progress.begin(label, total=total, unit="documents")
            with self.unchanged(missing):
                self.executor.map(
                    measure_next, tasks, label=label, done=self.progress.advance, few=_few(total, missing)
                )
            self.progress.end()
            seconds = time.monotonic() - started + ahead
            for step in missing:
                finish_signals(
                    step.node, chain.base, details={}, seconds=seconds, cost_usd=0.0,
                    known=taken.files.get(step.node.identity), sound=taken.sound.get(step.node.identity, ()),
                )  # fmt: skip
        for step in steps:
            chain = chain.with_link(link_of(chain, step))
        return chain

    def task_for(
        self, steps: Sequence[PlannedStep], *, links: tuple[Link, ...], before: Sequence[PlannedStep],
        spool: Path | None, num_parts: int,
    ) -> MeasureTask:  # fmt: skip
        """Return what to do with each part of a pass; the part itself is to be filled in."""
        own = [
            Link(label=step.spec.label, folder=step.node.folder, rules=(), edits=step.spec.step.edits) for step in steps
        ]
        for link in own:
            link.folder.mkdir(parents=True, exist_ok=True)
        return MeasureTask(
            label="",
            reader=ChainReader(base=NO_PART, links=links),
            steps=tuple(zip([self.reference(step) for step in steps], own, strict=True)),
            sketches=self.sketches(before),
            spool=None if spool is None else Spool(until_reboot(spool), links=len(links) + len(steps)),
            num_parts=num_parts,
        )

    def ahead_of(self, source: Node, num_slices: int) -> Ahead:
        """Return what datasets will measure first of a source that is about to be read."""
        tasks, nodes, files = [], list[Node](), dict[Path, str]()
        for planned in self.plan.datasets.values():
            steps = list(takewhile(lambda step: isinstance(step.spec.step, MeasuringStep), planned.steps))
            if source not in planned.base or not steps or any(self.finished(step.node) for step in steps):
                continue
            if any(name in self.plan.datasets or name in self.plan.sources for name in inputs_of(steps)):
                continue  # what they need may not be there yet
            spool = None if self.finished(planned.node) else self.scratch_in(planned.node.folder)
            before = planned.steps[len(steps) :]
            tasks.append(self.task_for(steps, links=(), before=before, spool=spool, num_parts=num_slices))
            nodes += [step.node for step in planned.steps] + [planned.node]
            files |= files_of_steps(self.plan, steps)
        return Ahead(tuple(tasks), tuple(nodes), files)

    def sketches(self, steps: Sequence[PlannedStep]) -> tuple[SketchRef, ...]:
        """Return what gathering steps want of the text before them, up to the first step that is none or that edits."""
        found = []
        for planned in steps:
            step = planned.spec.step
            if not isinstance(step, GatheringStep):
                break
            sketcher = None if self.finished(planned.node) else step.sketcher()
            if sketcher is not None:
                seed = derive(self.plan.recipe.seed, planned.spec.label)
                scratch = until_reboot(self.scratch_in(planned.node.folder))
                found.append(SketchRef(sketcher=sketcher, scratch=scratch, seed=seed))
            if step.edits:
                break
        return tuple(found)

    def unchanged(self, steps: Sequence[PlannedStep]) -> AbstractContextManager[None]:
        """Guard work that reads the user's files: edited since the plan, they stop the run before a card is written."""
        files = files_of_steps(self.plan, steps)
        return unchanged(files, hashes=self.plan.hashes, nodes=[step.node for step in steps])

    def reference(self, step: PlannedStep) -> StepRef:
        params = step.spec.step.params.model_dump_json(exclude_defaults=True)
        inputs = tuple(
            (key, tuple(str(path) for path in self.input_files(names))) for key, names in step.inputs.items()
        )
        name = step.spec.step.name
        return StepRef(
            name=name, params=params, inputs=inputs, identity=step.node.identity, plugin=_plugin_file(step.spec.step),
            shared=str(self.plan.workspace.prepared),
        )  # fmt: skip

    @property
    def share(self) -> Need:
        """Return what one of a gathering step's workers takes: its share of the step's memory on its machine."""
        return Need(memory_bytes=self.memory_bytes // self.workers)

    def scratch_in(self, folder: Path) -> Path:
        """Return the scratch folder in a result's folder, under the name that tells whether machines share it."""
        return folder / "scratch" / SYNCED if self.executor.far else folder / "scratch"

    def map_for(self, step: Step, *, few: bool = False, need: Need = ORDINARY) -> Callable[..., list[Any]]:
        """Return the executor's `map`, for functions of the step's own file too."""
        file, spread = _plugin_file(step), partial(self.executor.map, few=few, need=need)
        if file is None:
            return spread
        return lambda function, items, **options: spread(InPlugin(file, function), items, **options)

    def input_files(self, names: Sequence[str]) -> list[Path]:
        """Return the files behind dataset names and paths."""
        files: list[Path] = []
        for name in names:
            if name in self.plan.datasets or name in self.plan.sources:
                files.extend(document_paths(self.plan.documents_node(name).folder))
            else:
                files.append(input_file(name))
        return files

    def gather(self, chain: Chain, planned: PlannedDataset, number: int) -> None:
        """Run a gathering step over the living documents and store its signals row for row with the base."""
        before, step, later = planned.steps[:number], planned.steps[number], planned.steps[number + 1 :]
        gathering = step.spec.step
        assert isinstance(gathering, GatheringStep)
        node, started = step.node, time.monotonic()
        scratch = self.scratch_in(node.folder)
        scratch.mkdir(parents=True, exist_ok=True)
        writer, few = SignalWriter.of(step), sum(part.num_rows for part in chain.base) <= FEW_DOCUMENTS
        parts = chain.parts(map=partial(self.executor.map, label=f"{step.spec.label}: who is left", few=few))
        total = sum(part.num_rows for part in parts)
        self.progress.begin(step.spec.label, total=total, unit="documents")
        spread = self.map_for(gathering, few=_few(total, [step]), need=self.share)
        work = Gathering(
            parts=parts,
            scratch=scratch,
            output=node.folder,
            seed=derive(self.plan.recipe.seed, step.spec.label),
            inputs={key: self.input_files(names) for key, names in step.inputs.items()},
            map=spread,
            write=lambda part, columns: self.progress.advance(writer(part, columns)),
            spread_write=lambda function, jobs, label: spread(
                WriteBy(function, writer), jobs, label=label, done=self.progress.advance
            ),
            say=self.progress.say,
            ledger=self.plan.workspace.ledger,
            wanted=wanted_of(step, later),
            memory_bytes=self.memory_bytes,
            workers=self.workers,
            wait=self.wait,
            buyer=Buyer(self.plan.recipe.name, f"{planned.spec.name}.{step.spec.label}"),
            signals_before=signals_of(before),
        )
        with self.unchanged([step]):
            gathering.gather(work)
        self.progress.end()
        missing = [part.index for part in chain.base if not (node.folder / part_name(part.index)).exists()]
        if missing:
            raise DataError(
                f"step {step.spec.label} wrote no signals for part {missing[0]}; "
                "a gathering step must write every part. Report this as a bug."
            )
        finish_signals(
            node, chain.base, details=work.details, seconds=time.monotonic() - started, cost_usd=work.cost_usd
        )

    def make(self, planned: PlannedDataset) -> None:
        """Run a making step and close its folder."""
        assert planned.made is not None
        step, node, started = planned.made.spec.step, planned.made.node, time.monotonic()
        assert isinstance(step, MakingStep)
        scratch = self.scratch_in(node.folder)
        scratch.mkdir(parents=True, exist_ok=True)
        written: dict[str, int] = {}
        self.progress.begin(planned.made.spec.label, total=0, unit="documents")

        def write(index: int, table: pa.Table) -> None:
            name = part_name(index)
            write_table(node.folder / name, table.cast(document.SCHEMA))
            written[name] = table.num_rows
            self.progress.advance(table.num_rows)

        inputs = [self.plan.documents_node(name) for name in planned.spec.inputs]
        work = Making(
            parts=Chain(base=base_parts(inputs)).parts(),
            scratch=scratch,
            output=node.folder,
            seed=int(node.payload["seed"]),
            inputs={key: self.input_files(names) for key, names in planned.made.inputs.items()},
            map=self.map_for(step),
            write=write,
            say=self.progress.say,
            ledger=self.plan.workspace.ledger,
            wait=self.wait,
            buyer=Buyer(self.plan.recipe.name, f"{planned.spec.name}.{planned.made.spec.label}"),
        )
        with self.unchanged([planned.made]):
            step.make(work)
        self.progress.end()
        rows = sum(written.values())
        close(
            node,
            written,
            rows_in=rows,
            rows_out=rows,
            details=work.details,
            seconds=time.monotonic() - started,
            cost_usd=work.cost_usd,
        )

    def publish(self, chain: Chain, planned: PlannedDataset) -> None:
        """Decide every document, write those kept, and the verdict on each; stop first if a step drops too much."""
        node, started = planned.node, time.monotonic()
        node.folder.mkdir(parents=True, exist_ok=True)
        tasks = [
            PublishTask(label=f"{planned.spec.name} part {part.index}", reader=chain.reader(part), folder=node.folder)
            for part in chain.base
        ]
        total = sum(part.num_rows for part in chain.base)
        self.progress.begin(f"publish {planned.spec.name}", total=total, unit="documents")
        published = self.executor.map(
            publish_part,
            tasks,
            label=f"publish {planned.spec.name}",
            done=lambda result: self.progress.advance(result.rows_in),
            few=total <= FEW_DOCUMENTS,
        )
        self.progress.end()
        dropped: Counter[str] = Counter()
        quarantined: Counter[str] = Counter()
        for result in published:
            dropped.update(result.dropped)
            quarantined.update(result.quarantined)
        rows_in = sum(result.rows_in for result in published)
        files = {part_name(result.index): result.rows_out for result in published}
        files |= {verdicts_name(result.index): result.rows_in for result in published}
        close(
            node,
            files,
            rows_in=rows_in,
            rows_out=sum(result.rows_out for result in published),
            dropped=dropped,
            quarantined=quarantined,
            details=stored_dataset(chain, planned, kept_bytes=sum(result.kept_bytes for result in published)).details(),
            seconds=time.monotonic() - started,
        )


def _few(total: int, steps: Sequence[PlannedStep]) -> bool:
    """Return whether it takes no worker to measure: little work, and none that may cost the process it is done in."""
    safe = not any(step.spec.step.foreign or outside(step.spec.step.name) for step in steps)
    return safe and total <= FEW_DOCUMENTS


def _plugin_file(step: Step) -> PluginFile | None:
    plugin = outside(step.name)
    return None if plugin is None else plugin.file


def inputs_of(steps: Sequence[PlannedStep]) -> Iterator[str]:
    """Yield the names of datasets and files that steps read besides the documents."""
    for step in steps:
        for names in step.inputs.values():
            yield from names
