"""Code and tests -> whether it passes, from boxes that stay warm in this process: the reward of exported exercises."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache

from synth.coding.problem import Case, code_in
from synth.coding.trial import LIMITS, passing
from synth.sandbox.sandbox import Sandbox
from synth.sandbox.values import Json


def passes_tests(code: str, *, function: str, tests: Sequence[tuple[list[Json], Json]]) -> bool:
    """Say whether code gives the value of every test; RecipeError where no box can be built."""
    cases = [Case(list(arguments), returns) for arguments, returns in tests]
    outcomes = _sandbox(os.getpid()).execute(
        code_in(code), function=function, inputs=[case.arguments for case in cases]
    )  # fmt: skip
    return passing(outcomes, cases)


@cache
def _sandbox(process: int) -> Sandbox:
    """Return the boxes of a process: a fork must not share its parent's."""
    return Sandbox(LIMITS)
