"""One part of verified tasks: drawn, solved twice, laid out as rows, with every refusal and fault counted.

Nothing that a generator or a checker does ends a run without a word: an exception costs that task, draws without end
cost it too, and 20 seconds of processor time at one task (which takes a tenth of a millisecond) end the run by name.
"""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from blake3 import blake3

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError
from pipeline.core.identity import identity_of
from synth.checkers.reading import UnreadableError, wrong_equations
from synth.families import Check, checker, generate
from synth.tasks.draw import Draw, EndlessDrawsError
from synth.tasks.layout import TaskPage, render
from synth.tasks.task import Task
from synth.wrong_answers import wrong_answers

NAME = "verified_tasks"
VERSION = 3
CONTROL_EVERY = 20  # wrong answers are tried on one task in twenty of each family
SEED_CHARACTERS = 6  # of the seed's hash in an id, so that two datasets of tasks have no id in common
AT_ONCE = 1024  # tasks whose draws are seeded side by side
PATIENCE_SECONDS = 20.0  # of processor time for AT_ONCE / 16 tasks, which take 10 milliseconds
DISAGREES = "the checker disagrees"
# What code can raise about a task that it did not foresee; anything else (memory, a signal) is not about the task.
FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)

Numbered = tuple[str, int]  # family, index


@dataclass(frozen=True, slots=True)
class Span:
    """Tasks of several families in turn: number n is task n // len(families) of family n % len(families)."""

    families: tuple[str, ...]
    first: int
    count: int

    def tasks(self) -> list[Numbered]:
        """Return the family and the index of every task."""
        many = len(self.families)
        return [(self.families[n % many], n // many) for n in range(self.first, self.first + self.count)]


@dataclass(frozen=True, slots=True)
class Job:
    """One part to make. Picklable."""

    spans: tuple[Span, ...]
    lowest: int  # difficulty
    highest: int
    seed: int


@dataclass(slots=True)
class TaskTally:
    """What was generated, refused and tried, summed over parts."""

    generated: Counter[str] = field(default_factory=Counter)  # family
    verified: Counter[str] = field(default_factory=Counter)  # family
    rejected: Counter[str] = field(default_factory=Counter)  # "family: reason"
    duplicates: Counter[str] = field(default_factory=Counter)  # family
    wrong_tried: Counter[str] = field(default_factory=Counter)  # kind of wrong answer
    wrong_failed: Counter[str] = field(default_factory=Counter)  # "family: error", of a checker at a wrong answer
    wrong_accepted: list[str] = field(default_factory=list)  # "family/index: kind"

    def add(self, other: TaskTally) -> None:
        """Add another part's counts."""
        self.generated += other.generated
        self.verified += other.verified
        self.rejected += other.rejected
        self.duplicates += other.duplicates
        self.wrong_tried += other.wrong_tried
        self.wrong_failed += other.wrong_failed
        self.wrong_accepted += other.wrong_accepted

    def details(self) -> dict[str, Any]:
        """Return the counts as plain JSON, for the card."""
        return {
            "generated": self.generated.total(),
            "verified": self.verified.total(),
            "verified_by_family": dict(sorted(self.verified.items())),
            "rejected": dict(sorted(self.rejected.items())),
            "duplicates_dropped": self.duplicates.total(),
            "duplicates_by_family": dict(sorted(self.duplicates.items())),
            "wrong_answers_tried": self.wrong_tried.total(),
            "wrong_answers_by_kind": dict(sorted(self.wrong_tried.items())),
            "wrong_answers_accepted": len(self.wrong_accepted),
            "wrong_answers_that_failed_a_checker": dict(sorted(self.wrong_failed.items())),
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
            why = ", ".join(f"{reason} ({count})" for reason, count in self.rejected.most_common(3))
            raise DataError(
                f"{NAME}: none of {self.generated.total()} tasks passed its checker{': ' * bool(why)}{why}. "
                "Report this as a bug."
            )


@dataclass(slots=True)
class VerifiedPart:
    """One part: its verified documents, one hash per document's prompt with its family, and the counts."""

    table: pa.Table
    prompts: list[bytes]
    families: list[str]
    tally: TaskTally


def make_part(job: Job) -> VerifiedPart:
    """Generate and check one part's tasks; DataError if one of them takes too long to be told from never."""
    columns: dict[str, list[str]] = {name: [] for name in SCHEMA.names}
    made = VerifiedPart(SCHEMA.empty_table(), [], [], TaskTally())
    tasks = [task for span in job.spans for task in span.tasks()]
    waiting: dict[str, tuple[int, Task]] = {}  # a task whose wrong answers need the next one of its family
    rows = _Rows(job.seed)
    with _patience() as patience:
        for start in range(0, len(tasks), AT_ONCE):
            chunk = tasks[start : start + AT_ONCE]
            draws = Draw.many(job.seed, [(NAME, *task) for task in chunk])
            for (family, index), draw in zip(chunk, draws, strict=True):
                patience.at(family, index)
                made.tally.generated[family] += 1
                check = checker(family)
                task, page, reason = _made(draw, family, index, job=job)
                if task is not None and page is not None:
                    if family in waiting:
                        _control(waiting.pop(family), task, check=check, tally=made.tally)
                    reason = refusal(task, page, check=check)
                if task is None or page is None or reason:
                    made.tally.rejected[f"{family}: {reason}"] += 1
                    continue
                made.tally.verified[family] += 1
                if index % CONTROL_EVERY == 0:
                    waiting[family] = (index, task)
                made.prompts.append(blake3(task.prompt.encode()).digest(16))
                made.families.append(family)
                rows.add(columns, task, page, index=index)
        for family, (index, task) in waiting.items():  # the next task is in another part
            draw = Draw(job.seed, NAME, family, index + 1)
            other, _, _ = _made(draw, family, index + 1, job=job)
            _control((index, task), other or task, check=checker(family), tally=made.tally)
    made.table = pa.table(columns, schema=SCHEMA)
    return made


def _made(draw: Draw, family: str, index: int, *, job: Job) -> tuple[Task | None, TaskPage | None, str]:
    """Return the task and its page, or why there is none."""
    try:
        task = generate(family, draw, draw.integer(job.lowest, job.highest))
        return task, render(draw, task), ""
    except EndlessDrawsError as error:
        return None, None, f"the generator did not end: {error}"
    except FAULTS as error:
        return None, None, f"the generator failed: {type(error).__name__}"


def refusal(task: Task, page: TaskPage, *, check: Check) -> str:
    """Return why the document must not be written, or an empty text."""
    _, found, solution = page.text.partition(task.prompt)
    if not found or task.answer not in solution:
        return "prompt or answer is not in the text"
    reason = objection(check, task.prompt, task.answer)
    if reason:
        return reason
    try:
        return "a worked step is wrong" if wrong_equations(solution) else ""
    except UnreadableError:
        return "a worked step is wrong"


def objection(check: Check, prompt: str, answer: str) -> str:
    """Return why the checker does not accept the answer, or an empty text; a prompt that it cannot read is refused."""
    try:
        return "" if check(prompt, answer) else DISAGREES
    except UnreadableError:
        return DISAGREES
    except FAULTS as error:
        return f"the checker failed: {type(error).__name__}"


def accepts(check: Check, prompt: str, answer: str) -> bool:
    """Say whether the checker accepts the answer."""
    return not objection(check, prompt, answer)


def _control(tried: tuple[int, Task], other: Task, *, check: Check, tally: TaskTally) -> None:
    """Put wrong answers to the checker; the neighbour is the next task of the family, whatever part it is in."""
    index, task = tried
    for kind, wrong in wrong_answers(task.answer, neighbour=other.answer, prompt=task.prompt).items():
        tally.wrong_tried[kind] += 1
        reason = objection(check, task.prompt, wrong)
        if not reason:
            tally.wrong_accepted.append(f"{task.family}/{index}: {kind}")
        elif reason != DISAGREES:
            tally.wrong_failed[f"{task.family}: {reason}"] += 1


class _Rows:
    """Writes rows, with all that is the same for a family written once."""

    def __init__(self, seed: int) -> None:
        self.seed, self.short = seed, identity_of(seed)[:SEED_CHARACTERS]
        self.known: dict[str, tuple[str, str, str, str]] = {}

    def add(self, columns: dict[str, list[str]], task: Task, page: TaskPage, *, index: int) -> None:
        """Add one row to the columns."""
        family = task.family
        if family not in self.known:
            made_by = {"step": NAME, "version": VERSION, "family": family, "seed": self.seed, "index": -1}
            lineage = json.dumps([{**made_by, "verified_by": f"checker of {family}"}])
            before, after = lineage.split('"index": -1')
            head = json.dumps({"family": family})[:-1]
            self.known[family] = (f"{NAME}/{family}/{self.short}/", f'{before}"index": ', after, head)
        identity, before, after, head = self.known[family]
        columns["id"].append(f"{identity}{index}")
        columns["text"].append(page.text)
        columns["source"].append(NAME)
        columns["origin"].append("procedural")
        columns["lineage"].append(f"{before}{index}{after}")
        answer, style = _quoted(task.answer), _quoted(page.style)
        columns["metadata"].append(f'{head}, "difficulty": {task.difficulty}, "answer": {answer}, "style": {style}}}')


_quoted = json.JSONEncoder().encode


class _Patience:
    """Where the work is, and an alarm that is put off while it goes on."""

    def __init__(self) -> None:
        self.where, self.count = "", 0

    def at(self, family: str, index: int) -> None:
        """Note the task, and put the alarm off now and then."""
        self.where = f"{family}/{index}"
        self.count += 1
        if self.count % (AT_ONCE // 16) == 1:
            self.alarm(PATIENCE_SECONDS)

    def alarm(self, seconds: float) -> None:
        """Ring after so many seconds of processor time, where signals can be had."""

    def ring(self, signal_number: int, frame: object) -> None:
        raise DataError(
            f"{NAME}: task {self.where} is not done after {PATIENCE_SECONDS:.0f} s of processor time, so its generator "
            f"or its checker does not end. Leave the family {self.where.split('/')[0]} out and report this as a bug."
        )


class _Alarm(_Patience):
    def alarm(self, seconds: float) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


@contextmanager
def _patience() -> Iterator[_Patience]:
    """Give the alarm to the main thread of a process; elsewhere nobody can be woken."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield _Patience()
        return
    patience = _Alarm()
    before = signal.signal(signal.SIGVTALRM, patience.ring)
    try:
        yield patience
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
