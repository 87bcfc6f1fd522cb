"""Tasks of each family, made once for all tests, with the wrong answers and changed problems that are tried on them."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from synth.families import checker
from synth.tasks.draw import Draw
from synth.tasks.layout import TaskPage
from synth.tasks.task import Task
from synth.verified_tasks import VerifiedTasksParams, make_task
from synth.wrong_answers import wrong_answers
from tests.synth.changed_problems import changed_problems, noticed

SEED = 17


@cache
def made(family: str, count: int = 400) -> list[tuple[Task, TaskPage]]:
    """Return the first tasks of a family with their pages."""
    return [make_task(family, index, params=VerifiedTasksParams(), seed=SEED) for index in range(count)]


def wrong_tried(family: str, count: int) -> list[tuple[str, Task, str]]:
    """Return (kind, task, wrong answer) for the first tasks; the neighbour is the next one."""
    tasks = [task for task, _ in made(family)[: count + 1]]
    return [
        (kind, task, wrong)
        for task, other in pairwise(tasks)
        for kind, wrong in wrong_answers(task.answer, neighbour=other.answer, prompt=task.prompt).items()
    ]


def changes_noticed(family: str, count: int) -> tuple[int, int]:
    """Return how many changed problems the checker noticed, and how many there were."""
    seen = tried = 0
    for index, (task, _) in enumerate(made(family)[:count]):
        problems = changed_problems(Draw(SEED, "changed", family, index), task.prompt)
        seen, tried = seen + noticed(checker(family), problems, task.answer), tried + len(problems)
    return seen, tried
