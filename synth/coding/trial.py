"""An exercise on trial in boxes: its solution, mutants of it, cheats, and the solution of somebody who saw no test.

    free   the solution passes its tests in three runs, one of them backwards and with another order of sets
           every cheat fails; a mutant may pass for now if something beyond the tests tells it from the solution
    paid   a second solution, from the specification alone, passes; where both agree beyond the tests, tests are made
    free   those tests tell every such mutant from the solution, and a table of the written tests fails

Values are compared here, as typed JSON (`synth/sandbox`): nothing that code says of itself counts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pipeline.core.errors import ServiceError
from pipeline.core.process.box import BoxLimits
from synth.coding.cheats import cheats_of, table_of, usual_result
from synth.coding.mutants import mutants_of
from synth.coding.probes import probes_of
from synth.coding.problem import SHOWN, Case, Exercise
from synth.sandbox.sandbox import LOST, Execution, Sandbox
from synth.sandbox.values import Failure, Json, Value, same

# By processor time, so that what never ends is told the same on a busy machine; wall time ends only what waits.
LIMITS = BoxLimits(wall_seconds=10.0, cpu_seconds=1, answer_bytes=1 << 18)
FEWEST_SHARED = 5  # inputs beyond the tests to which a second solution has values, before sharing none says something
MOST_ENDS = 3  # probes that never end, each a second, before what stands behind them is left out
ENDS = ("timeout", "length", "died")
MORE_TESTS = 6  # made of inputs beyond the tests, besides those that a mutant needs
FAILED = {
    "timeout": "the solution never ends", "memory": "the solution takes too much memory",
    "refused": "the solution wants what a box does not give", "raised": "the solution fails its tests",
    "start": "the solution does not start", "form": "the solution returns no JSON",
    "length": "the solution says too much", "died": "the solution leaves",
}  # fmt: skip

KILLED = "signal 9"  # by the limit of processor time, also where the clock of the process reads a little less than it

Outcomes = list[Value | Failure]


@dataclass(frozen=True, slots=True)
class Standing:
    """An exercise whose solution passed, with what the second half of the trial needs."""

    probes: list[list[Json]]
    values: list[Value]  # of the solution, for each probe
    refused: list[list[Json]]  # probes that break the solution
    survivors: tuple[frozenset[int], ...]  # for each mutant that passes the tests: the probes that tell it apart
    killed: int
    alike: int  # mutants that nothing tells from the solution


@dataclass(frozen=True, slots=True)
class Accepted:
    """What an accepted exercise is tested by."""

    tests: tuple[Case, ...]  # those that were written, then those made beyond them
    killed: int
    alike: int


class Trials:
    """Boxes in which exercises are tried; a context manager. RecipeError where no box can be built.

    Where a box is lost, every trial raises ServiceError: a cheat or a mutant that fails with its box was not refused.
    """

    def __init__(self) -> None:
        self._boxes = Sandbox(LIMITS)
        try:
            self._others = Sandbox(LIMITS, boxes=1, hash_seed=1)
        except BaseException:
            self._boxes.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._boxes.close()
        self._others.close()

    def stands(self, exercise: Exercise) -> Standing | str:
        """Try a solution, cheats and mutants; return the reason why the exercise does not stand, in a few words."""
        tests, code, name = exercise.tests, exercise.solution, exercise.function
        first = self._run(code, name, [test.arguments for test in tests])
        if reason := _why(first, tests):
            return reason
        calls = [test.arguments for test in tests]
        tried = self._ending(code, name, calls, probes_of(calls))
        again = self._run(code, name, [*calls, *tried])
        turned = [*calls[::-1], *calls]  # one that remembers earlier calls gives other values the second time
        others = _held(self._others.execute(code, function=name, inputs=[*turned, *tried[::-1]]))
        if not passing(again, tests) or not passing(others[: len(turned)], [*tests[::-1], *tests]):
            return "the solution gives other values each time"
        ends = zip(tried, again[len(tests) :], others[len(turned) :][::-1], strict=True)
        settled = [(probe, one) for probe, one, other in ends if isinstance(one, Value) and _agree(one, other)]
        probes, values = [probe for probe, _ in settled], [value for _, value in settled]
        refused = [probe for probe, one in zip(tried, again[len(tests) :], strict=True) if isinstance(one, Failure)]
        inputs = [*calls, *probes]
        for cheat, outcomes in self._all(cheats_of(name, tests), name, inputs[: len(tests)]).items():
            if passing(outcomes, tests):
                return f"a cheat passes: {cheat}"
        survivors, killed, alike = [], 0, 0
        mutants = {str(number): mutant.code for number, mutant in enumerate(mutants_of(code))}
        for outcomes in self._all(mutants, name, inputs).values():
            apart = _apart(outcomes[len(tests) :], values)
            if not passing(outcomes, tests):
                killed += 1
            elif apart:
                survivors.append(apart)
            else:
                alike += 1
        return Standing(probes, values, refused, tuple(survivors), killed, alike)

    def accepts(self, exercise: Exercise, standing: Standing, *, second: str) -> Accepted | str:
        """Try a second solution and a table of the tests; return the tests, or the reason why it is not accepted."""
        tests, name = exercise.tests, exercise.function
        inputs = [*(test.arguments for test in tests), *standing.probes, *standing.refused]
        outcomes = self._run(second, name, inputs)
        if not passing(outcomes, tests):
            return "a second solution fails"
        theirs = outcomes[len(tests) :]
        shared = [
            at for at, (one, other) in enumerate(zip(standing.values, theirs, strict=False)) if _agree(one, other)
        ]
        if not shared and sum(isinstance(each, Value) for each in theirs) >= FEWEST_SHARED:
            return "the solution knows only its tests"
        chosen: list[int] = []
        for apart in standing.survivors:
            useful = [at for at in shared if at in apart]
            if not useful:
                return "a mutant passes"
            if not apart.intersection(chosen):
                chosen.append(useful[0])
        chosen += [at for at in shared if at not in chosen][:MORE_TESTS]
        more = [Case(standing.probes[at], each.value) for at in sorted(chosen) if isinstance(each := theirs[at], Value)]
        known = tests if more else tests[:SHOWN]
        every = (*tests, *more)
        table = table_of(name, known, usual=json.dumps(usual_result(tests)))
        if passing(self._run(table, name, [test.arguments for test in every]), every):
            return "a cheat passes: a table of the tests"
        return Accepted(every, standing.killed + len(standing.survivors), standing.alike)

    def passes(self, code: str, *, function: str, tests: Sequence[Case]) -> bool:
        """Say whether code gives every test's value."""
        return passing(self._run(code, function, [test.arguments for test in tests]), tests)

    def _ending(
        self, code: str, function: str, calls: list[list[Json]], probes: list[list[Json]]
    ) -> list[list[Json]]:  # fmt: skip
        """Return the probes without those that end the solution's process, which would take all after them along."""
        for _ in range(MOST_ENDS):
            outcomes = self._run(code, function, [*calls, *probes])[len(calls) :]
            end = next((at for at, each in enumerate(outcomes) if isinstance(each, Failure) and each.why in ENDS), None)
            if end is None:
                return probes
            probes = [*probes[:end], *probes[end + 1 :]]
        return probes[:end]

    def _run(self, code: str, function: str, inputs: Sequence[Sequence[Json]]) -> Outcomes:
        return _held(self._boxes.execute(code, function=function, inputs=inputs))

    def _all(self, codes: dict[str, str], function: str, inputs: Sequence[Sequence[Json]]) -> dict[str, Outcomes]:
        executions = [Execution(code, function, inputs) for code in codes.values()]
        return dict(zip(codes, map(_held, self._boxes.execute_all(executions)), strict=True))


def _held(outcomes: Outcomes) -> Outcomes:
    for outcome in outcomes:
        if isinstance(outcome, Failure) and outcome.why == "died" and outcome.told.startswith(LOST):
            raise ServiceError(f"an exercise could not be tried: {outcome.told} What was bought is kept.")
    return outcomes


def passing(outcomes: Outcomes, tests: Sequence[Case]) -> bool:
    """Say whether the first outcomes are what the tests say."""
    return all(
        isinstance(outcome, Value) and same(outcome.value, test.returns)
        for outcome, test in zip(outcomes, tests, strict=False)
    )


def _why(outcomes: Outcomes, tests: Sequence[Case]) -> str:
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failed:
        ended = failed[0].why == "died" and KILLED in failed[0].told
        return FAILED["timeout" if ended else failed[0].why]
    return "" if passing(outcomes, tests) else "the solution fails its tests"


def _agree(one: Value | Failure, other: Value | Failure) -> bool:
    return isinstance(one, Value) and isinstance(other, Value) and same(one.value, other.value)


def _apart(outcomes: Outcomes, values: Sequence[Value]) -> frozenset[int]:
    """Return at which probes a mutant does not give the solution's value."""
    return frozenset(at for at, (one, other) in enumerate(zip(outcomes, values, strict=True)) if not _agree(one, other))
