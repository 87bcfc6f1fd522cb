"""Makes task documents whose answers were checked: a seeded generator writes, an independent checker solves again.

A document is written only if its family's checker, which reads nothing but the prompt, agrees with the answer, if
every equation in its worked steps holds, and if prompt and answer stand in the text. In every run wrong answers are
put to the checkers as well; one accepted wrong answer stops the run.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from pipeline.core.document import Origin
from pipeline.core.errors import nearest_names
from pipeline.core.step import Making, MakingStep, Params
from synth.families import ALL_FAMILIES, FAMILIES, MORE_FAMILIES, generate
from synth.task_part import NAME, VERSION, Job, Span, TaskTally, VerifiedPart, make_part
from synth.tasks.draw import Draw
from synth.tasks.layout import TaskPage, render
from synth.tasks.task import Task

PARTS_AT_ONCE = 32  # parts made before the next are begun, which bounds memory
MOST_DOCUMENTS = 100_000_000  # 3 hours on one core, and 10 GB for the hashes of the prompts
ROUND = 1000  # tasks of a family in one round of `count: kept`
LEAST_NEW = 0.02  # of a round, for a family to go on


class VerifiedTasksParams(Params):
    """What to make. Task i of a family is the same whatever these say, except for the range of difficulty."""

    families: tuple[str, ...] = Field(
        default=FAMILIES,
        min_length=1,
        description=f"Task families, in the order in which they take turns, or `all`; also {', '.join(MORE_FAMILIES)}.",
    )
    documents: int = Field(
        default=20_000, ge=1, le=MOST_DOCUMENTS, description="Tasks to generate, before duplicates are dropped."
    )
    count: Literal["tried", "kept"] = Field(
        default="tried",
        description="What `documents` counts: tasks generated, or documents that are written; `kept` goes on until "
        "there are so many, and leaves out a family that gives under 2 % new tasks in a round of 1,000.",
    )
    min_difficulty: int = Field(default=1, ge=1, le=5, description="Easiest difficulty, 1 to 5.")
    max_difficulty: int = Field(default=5, ge=1, le=5, description="Hardest difficulty, 1 to 5.")
    part_documents: int = Field(default=5_000, ge=1, le=1_000_000, description="Tasks generated per part.")

    @field_validator("families", mode="before")
    @classmethod
    def _every(cls, families: object) -> object:
        """Read `all` as the names that there are now, so that a result is known by its families."""
        if families == "all":
            return ALL_FAMILIES
        if isinstance(families, str):
            raise ValueError(f"it must be `all` or a list; the nearest are {nearest_names(families, ALL_FAMILIES)}")
        return tuple(families) if isinstance(families, list) else families

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        for family in families:
            if family not in ALL_FAMILIES:
                known = nearest_names(family, ALL_FAMILIES)
                raise ValueError(f"unknown task family `{family}`; the nearest are {known}")
        if len(set(families)) != len(families):
            raise ValueError("a family is named twice; name each once, since documents are shared equally")
        return families

    @model_validator(mode="after")
    def _range(self) -> VerifiedTasksParams:
        if self.min_difficulty > self.max_difficulty:
            raise ValueError(f"min_difficulty {self.min_difficulty} is above max_difficulty {self.max_difficulty}")
        return self


class VerifiedTasks(MakingStep):
    """Procedural tasks with worked solutions, each solved twice by code that shares nothing."""

    name: ClassVar[str] = NAME
    version: ClassVar[int] = VERSION
    Params: ClassVar[type[Params]] = VerifiedTasksParams
    params: VerifiedTasksParams

    def origin(self) -> Origin:
        return "procedural"

    def make(self, work: Making) -> None:
        """Generate, check and write every part; a prompt that came before is dropped in the order of the tasks."""
        params = self.params
        writer = _Writer(work, params, tally=TaskTally())
        size = params.part_documents
        first = [
            Span(params.families, start, min(size, params.documents - start))
            for start in range(0, params.documents, size)
        ]
        writer.write(first)
        short = _fill(writer, params) if params.count == "kept" else ""
        work.details.update(writer.tally.details())
        if short:
            work.details["short"] = short
            work.say(f"{NAME}: {short}")
        writer.tally.raise_for_broken_checkers()


class _Writer:
    """Makes spans of tasks, drops prompts that came before, and stores what is left, a part for each span."""

    def __init__(self, work: Making, params: VerifiedTasksParams, *, tally: TaskTally) -> None:
        self.work, self.params, self.tally = work, params, tally
        self.seen: set[bytes] = set()
        self.parts = self.written = 0

    def write(self, spans: list[Span], most: int = MOST_DOCUMENTS) -> None:
        """Make the spans, and store at most so many documents."""
        low, high = self.params.min_difficulty, self.params.max_difficulty
        for at in range(0, len(spans), PARTS_AT_ONCE):
            jobs = [Job((span,), low, high, self.work.seed) for span in spans[at : at + PARTS_AT_ONCE]]
            for made in self.work.map(make_part, jobs, label="verified tasks"):
                table = without_known(made, self.seen).slice(0, most)
                self.tally.add(made.tally)
                self.work.write(self.parts, table)
                self.parts += 1
                self.written += table.num_rows
                most -= table.num_rows


def _fill(writer: _Writer, params: VerifiedTasksParams) -> str:
    """Go on in rounds until all documents are there; return why not, where the families give nothing new."""
    living = list(params.families)
    spent: list[str] = []
    while living and writer.written < params.documents:
        missing = params.documents - writer.written
        count = min(ROUND, max(ROUND // 10, 2 * missing // len(living)))  # the same however the parts are cut
        before = {family: (writer.tally.generated[family], _new(writer.tally, family)) for family in living}
        writer.write([Span((family,), tried, count) for family, (tried, _) in before.items()], missing)
        for family, (tried, old) in before.items():
            new = _new(writer.tally, family) - old
            if new < count * LEAST_NEW:
                living.remove(family)
                spent.append(f"{family} (the last {count:,} of {tried + count:,} tasks gave {new} new ones)")
    if writer.written == params.documents:
        return ""
    return (
        f"{writer.written:,} of {params.documents:,} documents, as these families have no more new tasks at difficulty "
        f"{params.min_difficulty} to {params.max_difficulty}: {', '.join(spent)}. Allow more difficulties or families."
    )


def _new(tally: TaskTally, family: str) -> int:
    return tally.verified[family] - tally.duplicates[family]


def without_known(made: VerifiedPart, seen: set[bytes]) -> pa.Table:
    """Return the rows whose prompt is not in `seen`, add them to it, and count the others in the part's tally."""
    keep = []
    for at, prompt in enumerate(made.prompts):
        if prompt not in seen:
            seen.add(prompt)
            keep.append(at)
        else:
            made.tally.duplicates[made.families[at]] += 1
    return made.table if len(keep) == made.table.num_rows else made.table.take(pa.array(keep, pa.int64()))


def make_task(family: str, index: int, *, params: VerifiedTasksParams, seed: int) -> tuple[Task, TaskPage]:
    """Return task `index` of a family and its page; depends on seed, family, index and range of difficulty alone."""
    draw = Draw(seed, NAME, family, index)
    task = generate(family, draw, draw.integer(params.min_difficulty, params.max_difficulty))
    return task, render(draw, task)
