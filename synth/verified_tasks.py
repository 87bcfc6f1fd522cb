"""Makes task documents whose answers were checked: a seeded generator writes, an independent checker solves again.

A document is written only if its family's checker, which reads nothing but the prompt, agrees with the answer, if
every equation in its worked steps holds, and if prompt and answer stand in the text. In every run wrong answers are
put to the checkers as well; one accepted wrong answer stops the run. About 5,000 tasks a second and core.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa
from blake3 import blake3
from pydantic import Field, field_validator, model_validator

from pipeline.core.document import SCHEMA, Origin
from pipeline.core.errors import DataError, nearest_names
from pipeline.core.identity import identity_of
from pipeline.core.step import Making, MakingStep, Params
from synth.checkers.reading import UnreadableError, wrong_equations
from synth.families import ALL_FAMILIES, FAMILIES, MORE_FAMILIES, Check, checker, generate
from synth.tasks.draw import Draw
from synth.tasks.layout import TaskPage, render
from synth.tasks.task import Task
from synth.wrong_answers import wrong_answers

NAME = "verified_tasks"
CONTROL_EVERY = 20  # wrong answers are tried on one task in twenty of each family
SEED_CHARACTERS = 6  # of the seed's hash in an id, so that two datasets of tasks have no id in common
PARTS_AT_ONCE = 32  # parts made before the next are begun, which bounds memory
MOST_DOCUMENTS = 100_000_000  # 6 hours on one core, and 10 GB for the hashes of the prompts


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
    min_difficulty: int = Field(default=1, ge=1, le=5, description="Easiest difficulty, 1 to 5.")
    max_difficulty: int = Field(default=5, ge=1, le=5, description="Hardest difficulty, 1 to 5.")
    part_documents: int = Field(default=5_000, ge=1, le=1_000_000, description="Tasks generated per part.")

    @field_validator("families", mode="before")
    @classmethod
    def _every(cls, families: object) -> object:
        """Read `all` as the names that there are now, so that a result is known by its families."""
        if families == "all":
            return ALL_FAMILIES
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
    version: ClassVar[int] = 3
    Params: ClassVar[type[Params]] = VerifiedTasksParams
    params: VerifiedTasksParams

    def origin(self) -> Origin:
        return "procedural"

    def make(self, work: Making) -> None:
        """Generate, check and write every part; a prompt that came before is dropped in the order of the tasks."""
        params = self.params
        starts = range(0, params.documents, params.part_documents)
        tally = TaskTally()
        seen: set[bytes] = set()
        for window in range(0, len(starts), PARTS_AT_ONCE):
            jobs = [
                Job(params, first, min(params.part_documents, params.documents - first), work.seed)
                for first in starts[window : window + PARTS_AT_ONCE]
            ]
            for number, made in enumerate(work.map(make_part, jobs, label="verified tasks"), window):
                table = without_known(made, seen)
                tally.add(made.tally)
                tally.duplicates += made.table.num_rows - table.num_rows
                work.write(number, table)
        work.details.update(tally.details())
        tally.raise_for_broken_checkers()


@dataclass(frozen=True, slots=True)
class Job:
    """The tasks first .. first + count - 1 of a run. Picklable."""

    params: VerifiedTasksParams
    first: int
    count: int
    seed: int


@dataclass(slots=True)
class TaskTally:
    """What was generated, refused and tried, summed over parts."""

    generated: Counter[str] = field(default_factory=Counter)  # family
    verified: Counter[str] = field(default_factory=Counter)  # family
    rejected: Counter[str] = field(default_factory=Counter)  # "family: reason"
    wrong_tried: Counter[str] = field(default_factory=Counter)  # kind of wrong answer
    wrong_accepted: list[str] = field(default_factory=list)  # "family/index: kind"
    duplicates: int = 0

    def add(self, other: TaskTally) -> None:
        """Add another part's counts."""
        self.generated += other.generated
        self.verified += other.verified
        self.rejected += other.rejected
        self.wrong_tried += other.wrong_tried
        self.wrong_accepted += other.wrong_accepted

    def details(self) -> dict[str, Any]:
        """Return the counts as plain JSON, for the card."""
        return {
            "generated": self.generated.total(),
            "verified": self.verified.total(),
            "verified_by_family": dict(sorted(self.verified.items())),
            "rejected": dict(sorted(self.rejected.items())),
            "duplicates_dropped": self.duplicates,
            "wrong_answers_tried": self.wrong_tried.total(),
            "wrong_answers_by_kind": dict(sorted(self.wrong_tried.items())),
            "wrong_answers_accepted": len(self.wrong_accepted),
        }

    def raise_for_broken_checkers(self) -> None:
        """Raise if a checker accepted a wrong answer, or if nothing passed at all."""
        if self.wrong_accepted:
            shown = ", ".join(self.wrong_accepted[:5])
            raise DataError(
                f"{NAME}: checkers accepted {len(self.wrong_accepted)} of {self.wrong_tried.total()} wrong answers "
                f"({shown}); they must refuse all. Leave these families out and report this as a bug."
            )
        if not self.verified:
            raise DataError(f"{NAME}: none of {self.generated.total()} tasks passed its checker. Report this as a bug.")


@dataclass(slots=True)
class VerifiedPart:
    """One part: its verified documents, one hash per document's prompt, and the counts."""

    table: pa.Table
    prompts: list[bytes]
    tally: TaskTally


def without_known(made: VerifiedPart, seen: set[bytes]) -> pa.Table:
    """Return the rows whose prompt is not in `seen`, and add them to it."""
    keep = []
    for at, prompt in enumerate(made.prompts):
        if prompt not in seen:
            seen.add(prompt)
            keep.append(at)
    return made.table if len(keep) == made.table.num_rows else made.table.take(pa.array(keep, pa.int64()))


def make_part(job: Job) -> VerifiedPart:
    """Generate and check one part's tasks."""
    rows: dict[str, list[str]] = {name: [] for name in SCHEMA.names}
    prompts: list[bytes] = []
    tally = TaskTally()
    families = job.params.families
    for number in range(job.first, job.first + job.count):
        family, index = families[number % len(families)], number // len(families)
        task, page = make_task(family, index, params=job.params, seed=job.seed)
        tally.generated[family] += 1
        reason = refusal(task, page, check=checker(family))
        if reason:
            tally.rejected[f"{family}: {reason}"] += 1
            continue
        tally.verified[family] += 1
        if index % CONTROL_EVERY == 0:
            _control(job, family, index, task, tally)
        prompts.append(blake3(task.prompt.encode()).digest(16))
        for name, value in _row(task, page, family=family, index=index, seed=job.seed).items():
            rows[name].append(value)
    return VerifiedPart(pa.table(rows, schema=SCHEMA), prompts, tally)


def make_task(family: str, index: int, *, params: VerifiedTasksParams, seed: int) -> tuple[Task, TaskPage]:
    """Return task `index` of a family and its page; depends on seed, family, index and range of difficulty alone."""
    draw = Draw(seed, NAME, family, index)
    difficulty = draw.integer(params.min_difficulty, params.max_difficulty)
    task = generate(family, draw, difficulty)
    return task, render(draw, task)


def refusal(task: Task, page: TaskPage, *, check: Check) -> str:
    """Return why the document must not be written, or an empty text."""
    _, found, solution = page.text.partition(task.prompt)
    if not found or task.answer not in solution:
        return "prompt or answer is not in the text"
    if not accepts(check, task.prompt, task.answer):
        return "the checker disagrees"
    return "a worked step is wrong" if wrong_equations(solution) else ""


def accepts(check: Check, prompt: str, answer: str) -> bool:
    """Say whether the checker accepts the answer; a prompt that it cannot read counts as a refusal."""
    try:
        return check(prompt, answer)
    except UnreadableError:
        return False


def _control(job: Job, family: str, index: int, task: Task, tally: TaskTally) -> None:
    """Put wrong answers to the checker; the neighbour is the next task of the family, whatever part it is in."""
    other, _ = make_task(family, index + 1, params=job.params, seed=job.seed)
    for kind, wrong in wrong_answers(task.answer, neighbour=other.answer, prompt=task.prompt).items():
        tally.wrong_tried[kind] += 1
        if accepts(checker(family), task.prompt, wrong):
            tally.wrong_accepted.append(f"{family}/{index}: {kind}")


def _row(task: Task, page: TaskPage, *, family: str, index: int, seed: int) -> dict[str, str]:
    made_by = {"step": NAME, "version": VerifiedTasks.version, "family": family, "seed": seed, "index": index}
    metadata = {"family": family, "difficulty": task.difficulty, "answer": task.answer, "style": page.style}
    return {
        "id": f"{NAME}/{family}/{identity_of(seed)[:SEED_CHARACTERS]}/{index}",
        "text": page.text,
        "source": NAME,
        "origin": "procedural",
        "lineage": json.dumps([{**made_by, "verified_by": f"checker of {family}"}]),
        "metadata": json.dumps(metadata),
    }
