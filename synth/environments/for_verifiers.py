"""Tasks as a taskset of verifiers (0.4 or later): `vf-eval PACKAGE --env.agent.harness.id null`.

`vf-validate PACKAGE` puts every right answer to its checker, and an answer that is none.
"""

from __future__ import annotations

from typing import Any

import verifiers.v1 as vf

from .judging import load_tasks, message, reward

__all__ = ["Tasks"]


class TaskRow(vf.TaskData):
    """One task, with its answer for the checker."""

    task: dict[str, Any]


class Task(vf.Task[TaskRow]):
    """A problem whose answer a checker judges."""

    @vf.reward(weight=1.0)
    async def correct(self, trace: vf.Trace) -> float:
        return reward(self.data.task, trace.last_reply)

    async def validate(self, runtime: vf.Runtime) -> bool:
        return reward(self.data.task, f"Answer: {self.data.task['answer']}") == 1.0


class TasksConfig(vf.TasksetConfig):
    """Which of the tasks are taken."""

    families: tuple[str, ...] = ()  # all, if empty
    min_difficulty: int = 1
    max_difficulty: int = 5


class Tasks(vf.Taskset[Task, TasksConfig]):
    """The tasks of this package."""

    def load(self) -> list[Task]:
        config = self.config
        wanted = [
            task
            for task in load_tasks()
            if (not config.families or task["family"] in config.families)
            and config.min_difficulty <= (task["difficulty"] or config.min_difficulty) <= config.max_difficulty
        ]
        return [
            Task(TaskRow(id=task["id"], name=task["family"], prompt=message(task), task=task), config.task)
            for task in wanted
        ]
