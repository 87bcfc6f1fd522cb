"""Has a model write programming exercises, and keeps those that a machine can trust: tried in boxes, cheats refused.

An exercise is kept only if its solution gives the same, right values in every run, no mutant of it and no cheat passes
its tests, and a second solution, written from the specification alone, passes them too. Each refusal is counted by its
reason. Without a box nothing is asked and nothing paid. Exactly `documents` rows are made while documents and money
last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from pipeline.core.errors import DataError
from pipeline.core.step import Making, Params
from synth.coding.problem import HASH, Exercise, code_in, fault, longest_to_solve, to_solve, to_write
from synth.coding.trial import Accepted, Standing, Trials
from synth.writing.origins import lineage, writer_of
from synth.writing.rows import Rows, Tally, tell_shortage
from synth.writing.seeds import Seed, Seeds
from synth.writing.writer import LARGE_CHARACTER, Writer, WriterParams, WritingStep

if TYPE_CHECKING:
    from pipeline.core.claude.buying.bought import Answer

NAME = "code_tasks"
MOST_AT_ONCE = 200  # documents asked about together, which bounds memory


class CodeTasksParams(WriterParams):
    """From which documents exercises are written, and who solves them again."""

    solver: str | None = Field(
        default=None, min_length=1, description="The model that writes the second solution; else `model`."
    )


@dataclass(slots=True)
class _Tried:
    """An exercise on its way, and why it is refused."""

    seed: Seed
    answer: Answer
    exercise: Exercise | None
    reason: str = ""
    standing: Standing | None = None
    accepted: Accepted | None = None


class CodeTasks(WritingStep):
    """Programming exercises with tests and a solution, tried in a box against mutants, cheats and a second solution."""

    name: ClassVar[str] = NAME
    version: ClassVar[int] = 1
    Params: ClassVar[type[Params]] = CodeTasksParams
    params: CodeTasksParams

    @property
    def solver(self) -> str:
        return self.params.solver or self.params.model

    def check_environment(self) -> None:
        """Raise RecipeError where there is no key, or no box can be built."""
        super().check_environment()
        with Trials():
            pass

    def identity_extras(self) -> dict[str, Any]:
        return super().identity_extras() | {"prompts": HASH}

    def estimate_usd(self) -> float:
        longest = LARGE_CHARACTER * self.params.max_chars
        asked = [to_write(longest, model=self.params.model), longest_to_solve(LARGE_CHARACTER, model=self.solver)]
        return self.bound_usd(asked)

    def make(self, work: Making) -> None:
        if not work.parts:
            raise DataError(f"{NAME}: has no documents to write from. Name a dataset by `from`, beside `make`.")
        params = self.params
        seeds = Seeds(work.parts, seed=work.seed, min_chars=params.min_chars, max_chars=params.max_chars)
        tally, rows, known = Tally(grouped_by="by_stage"), Rows(work), set[str]()
        killed = alike = 0
        with Trials() as trials, Writer(work, params, name=NAME) as writer:
            while (wanted := params.documents - rows.count) and tally.is_worth_it():
                taken = seeds.take(tally.portion(wanted, most=MOST_AT_ONCE))
                if not taken:
                    break
                for tried in self._tried(taken, trials=trials, writer=writer, known=known):
                    tally.count(_stage(tried), tried.reason)
                    if tried.accepted is not None:
                        rows.add(self._row(tried, prices=writer.prices))
                        killed, alike = killed + tried.accepted.killed, alike + tried.accepted.alike
            rows.end()
            work.details |= tally.details() | {"passed_over": dict(sorted(seeds.passed.items()))}
            work.details |= {"mutants_killed": killed, "mutants_alike": alike}
            work.details |= {"prompts": {NAME: HASH}, "model": params.model, "solver": self.solver}
            work.details |= writer.account(accepted=rows.count)
        tell_shortage(work, NAME, wanted=params.documents, made=rows.count, worth_it=tally.is_worth_it())

    def _tried(self, seeds: Sequence[Seed], *, trials: Trials, writer: Writer, known: set[str]) -> list[_Tried]:
        """Have exercises written from some documents and try them, in their order."""
        asked = writer.ask([to_write(seed.shown, model=self.params.model) for seed in seeds])
        tried = [
            _Tried(seed, answer, None if answer.data is None else Exercise.of(answer.data))
            for seed, answer in zip(seeds, asked, strict=True)
        ]
        standing = []
        for each in tried:
            if each.exercise is None:
                each.reason = each.answer.status
                continue
            each.reason = fault(each.exercise)
            if not each.reason and each.exercise.specification in known:
                each.reason = "there already"
            if each.reason:
                continue
            known.add(each.exercise.specification)
            found = trials.stands(each.exercise)
            if isinstance(found, str):
                each.reason = found
            else:
                standing.append((each, each.exercise, found))
        answers = writer.ask([to_solve(exercise, model=self.solver) for _, exercise, _ in standing])
        for (each, exercise, found), answer in zip(standing, answers, strict=True):
            each.standing = found
            if answer.data is None:
                each.reason = f"the second solution was {answer.status}"
                continue
            end = trials.accepts(exercise, found, second=code_in(answer.data["solution"]))
            if isinstance(end, str):
                each.reason = end
            else:
                each.accepted = end
        return tried

    def _row(self, tried: _Tried, *, prices: str) -> dict[str, str]:
        exercise, accepted, request = tried.exercise, tried.accepted, tried.answer.request_id
        assert exercise is not None and accepted is not None
        made_by = lineage(
            tried.seed.row, step=NAME, version=self.version, prompt=NAME, prompt_hash=HASH, model=self.params.model,
            request=request, prices=prices,
            verified_by=f"{len(accepted.tests)} tests in a box, {accepted.killed} mutants, cheats, {self.solver}",
        )  # fmt: skip
        about = {
            "function": exercise.function, "prompt": exercise.prompt, "solution": exercise.solution,
            "tests": [[test.arguments, test.returns] for test in accepted.tests], "mutants": accepted.killed,
            "mutants_alike": accepted.alike, "written_from": tried.seed.row["id"],
        }  # fmt: skip
        return {
            "id": f"{NAME}/{exercise.function}/{request[2:18]}",
            "text": f"{exercise.prompt}\n\n```python\n{exercise.solution}```\n",
            "source": NAME,
            "origin": writer_of(self.params.model),
            "lineage": made_by,
            "metadata": json.dumps(about),
        }


def _stage(tried: _Tried) -> str:
    """Return how far an exercise came, by which its end is counted."""
    if tried.exercise is None:
        return "written"
    if tried.standing is not None:
        return "solved again"
    return "tried"
