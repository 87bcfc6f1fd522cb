"""Families of tasks, or rows that steps made -> tasks of an environment: prompt, answer, checker, difficulty, seed.

What is handed out was tried here: its checker accepts the answer and refuses every planted wrong one. A task of a
family is generated again from the lineage of its row and must stand in the row's text, so a row that a later step
changed is left out. Everything that is left out is counted by its reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from blake3 import blake3

from pipeline.core.identity import identity_of
from synth.code_tasks import NAME as CODE_TASKS
from synth.coding.cheats import PLAIN, cheats_of
from synth.coding.judge import passes_tests
from synth.coding.problem import Case
from synth.document_tasks import NAME as DOCUMENT_TASKS
from synth.families import ALL_FAMILIES, checker
from synth.task_part import NAME as VERIFIED_TASKS
from synth.task_part import SEED_CHARACTERS, accepts
from synth.verified_tasks import VerifiedTasksParams, make_task
from synth.writing.questions import Question, accepts_wrong
from synth.wrong_answers import wrong_answers

CODE_TESTS = "code_tests"  # the checker of code, which runs it in a box
ONLY_OF_CODE = ("function", "tests")
SHORT_ANSWERS = "short_answers"  # the checker of answers that stand beside their task
DULL = 1_000  # tasks in a row of which none is new: a family has no more
NO_TASK = "no task"
MADE_ANEW = "the family makes another task today"
CHANGED = "its text was changed since"
DISAGREES = "the checker disagrees"
TAKES_WRONG = "a wrong answer would pass"
REPEATED = "there already"


@dataclass(frozen=True, slots=True)
class EnvironmentTask:
    """One task, as an environment hands it out."""

    id: str
    prompt: str
    answer: str
    family: str
    difficulty: int | None  # 1..5, where the family has one
    checker: str
    seed: int | None
    index: int | None  # of the task in its family and seed
    function: str | None = None  # of code: what it is called
    tests: list[list[Any]] | None = None  # of code: arguments and value of each call

    def plain(self) -> dict[str, Any]:
        """Return the task as plain JSON; what only code has is not in other tasks."""
        return {key: value for key, value in asdict(self).items() if self.tests is not None or key not in ONLY_OF_CODE}


class Chosen:
    """Tasks for an environment, each once; `left_out` counts by reason what is not among them."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self._seen: set[bytes] = set()

    def of_families(
        self, families: Sequence[str], *, count: int, seed: int, min_difficulty: int, max_difficulty: int
    ) -> Iterator[EnvironmentTask]:
        """Yield `count` tasks, the families taking turns; fewer where they have no more that are new."""
        params = VerifiedTasksParams(
            families=tuple(families), min_difficulty=min_difficulty, max_difficulty=max_difficulty
        )
        left, dull = count, dict.fromkeys(families, 0)
        index = 0
        while left and dull:
            for family in list(dull)[:left]:
                found = self._of_family(family, index, seed=seed, params=params)
                dull[family] = dull[family] + 1 if found is None else 0
                if dull[family] == DULL:
                    del dull[family]
                if found is not None:
                    left -= 1
                    yield found
            index += 1

    def of_rows(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[EnvironmentTask]:
        """Yield the tasks that rows of documents hold."""
        for row in rows:
            makers = json.loads(row["lineage"])
            maker = makers[-1] if makers and isinstance(makers[-1], dict) else {}
            step = maker.get("step")
            if step == VERIFIED_TASKS and maker.get("family") in ALL_FAMILIES:
                found = self._of_made(row, maker)
            elif step == DOCUMENT_TASKS:
                found = self._of_question(row)
            elif step == CODE_TASKS:
                found = self._of_exercise(row)
            else:
                self.left_out[NO_TASK] += 1
                continue
            if found is not None:
                yield found

    def _of_family(
        self, family: str, index: int, *, seed: int, params: VerifiedTasksParams
    ) -> EnvironmentTask | None:  # fmt: skip
        task, _ = make_task(family, index, params=params, seed=seed)
        check = checker(family)
        if not accepts(check, task.prompt, task.answer):
            return self._refused(DISAGREES)
        other, _ = make_task(family, index + 1, params=params, seed=seed)
        tries = wrong_answers(task.answer, neighbour=other.answer, prompt=task.prompt)
        if any(accepts(check, task.prompt, wrong) for wrong in tries.values()):
            return self._refused(TAKES_WRONG)
        return self._new(
            EnvironmentTask(
                id=f"{VERIFIED_TASKS}/{family}/{identity_of(seed)[:SEED_CHARACTERS]}/{index}",
                prompt=task.prompt,
                answer=task.answer,
                family=family,
                difficulty=task.difficulty,
                checker=family,
                seed=seed,
                index=index,
            )
        )

    def _of_made(self, row: Mapping[str, Any], maker: Mapping[str, Any]) -> EnvironmentTask | None:
        about = json.loads(row["metadata"])
        difficulty = int(about["difficulty"])
        params = VerifiedTasksParams(
            families=(maker["family"],), min_difficulty=difficulty, max_difficulty=difficulty
        )  # a range is drawn from by one word whatever its width, so this is the same task
        task, _ = make_task(maker["family"], int(maker["index"]), params=params, seed=int(maker["seed"]))
        if task.answer != about["answer"]:
            return self._refused(MADE_ANEW)
        if task.prompt not in row["text"]:
            return self._refused(CHANGED)
        return self._of_family(maker["family"], int(maker["index"]), seed=int(maker["seed"]), params=params)

    def _of_question(self, row: Mapping[str, Any]) -> EnvironmentTask | None:
        about = json.loads(row["metadata"])
        asked = f"\n\nQuestion: {about['question']}\n"
        prompt, found, _ = row["text"].rpartition(asked)
        if not found:
            return self._refused(CHANGED)
        question = Question(about["question"], about["answer"], about["quote"], about["skill"])
        if accepts_wrong(question, neighbour=""):
            return self._refused(TAKES_WRONG)
        return self._new(
            EnvironmentTask(
                id=row["id"],
                prompt=(prompt + asked).rstrip(),
                answer=question.answer,
                family=DOCUMENT_TASKS,
                difficulty=None,
                checker=SHORT_ANSWERS,
                seed=None,
                index=None,
            )
        )

    def _of_exercise(self, row: Mapping[str, Any]) -> EnvironmentTask | None:
        about = json.loads(row["metadata"])
        if about["prompt"] not in row["text"] or about["solution"] not in row["text"]:
            return self._refused(CHANGED)
        tests, name = about["tests"], about["function"]
        if not passes_tests(about["solution"], function=name, tests=tests):
            return self._refused(DISAGREES)
        cheats = cheats_of(name, [Case(*test) for test in tests])
        if any(passes_tests(cheats[cheat], function=name, tests=tests) for cheat in PLAIN):
            return self._refused(TAKES_WRONG)
        return self._new(
            EnvironmentTask(
                id=row["id"],
                prompt=about["prompt"],
                answer=about["solution"],
                family=CODE_TASKS,
                difficulty=None,
                checker=CODE_TESTS,
                seed=None,
                index=None,
                function=name,
                tests=tests,
            )
        )

    def _new(self, task: EnvironmentTask) -> EnvironmentTask | None:
        mark = blake3(task.prompt.encode()).digest(16)
        if mark in self._seen:
            return self._refused(REPEATED)
        self._seen.add(mark)
        return task

    def _refused(self, reason: str) -> EnvironmentTask | None:
        self.left_out[reason] += 1
        return None
