"""Tasks as a Gymnasium environment: the observation is a problem, the action a text with the answer, one step each.

    import gymnasium

    env = gymnasium.make("PACKAGE:PACKAGE/Tasks-v0")
    problem, about = env.reset(seed=1)  # or options={"task": 12}
    _, reward, _, _, _ = env.step("Answer: 12")

After a `reset` with a seed, the tasks that follow are the same ones every time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.spaces import Text

from .judging import load_tasks, message, reward

__all__ = ["Tasks", "load_tasks", "message", "reward"]

WRITTEN = "".join(map(chr, range(32, 127))) + "\n"
LONGEST = 100_000  # characters of what is written; what is read of it, `judging.py` says


class Tasks(gymnasium.Env[str, str]):
    """One task an episode. `about` tells id, family and difficulty, and never the answer."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self) -> None:
        self.tasks = load_tasks()
        shown = [message(task) for task in self.tasks]
        answers = "".join(str(task["answer"]) for task in self.tasks)
        self.observation_space = Text(max(map(len, shown)), charset=frozenset("".join(shown)))
        self.action_space = Text(LONGEST, min_length=0, charset=frozenset(WRITTEN + answers))
        self._task: Mapping[str, Any] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:  # fmt: skip
        """Begin a task: the one whose number `options["task"]` gives, else one drawn."""
        super().reset(seed=seed)
        chosen = (options or {}).get("task")
        number = int(self.np_random.integers(len(self.tasks))) if chosen is None else int(chosen)
        self._task = self.tasks[number]
        return message(self._task), self._about(self._task)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judge the answer and end the episode."""
        if self._task is None:
            raise gymnasium.error.ResetNeeded("the task has been answered; call reset() for another")
        task, self._task = self._task, None
        return message(task), reward(task, action), True, False, self._about(task)

    def _about(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return {key: task[key] for key in ("id", "family", "difficulty")}


gymnasium.register(id=f"{__name__}/Tasks-v0", entry_point=f"{__name__}:Tasks")
