"""Facts held against made examples: a few in `make test`, so many that they are a proof in `make test-slow`.

`make test-all` leaves out the few, since the many say the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy


def examples(few: int, *, many: int) -> pytest.MarkDecorator:
    """Give a test its parameter `examples`: how many are made of it."""
    return few_and_many("examples", few, many)


def few_and_many(name: str, few: int, many: int) -> pytest.MarkDecorator:
    """Give a test a parameter of which the larger value says all that the smaller one does."""
    return pytest.mark.parametrize(
        name, [pytest.param(few, marks=pytest.mark.few), pytest.param(many, marks=pytest.mark.slow)]
    )


def hold(fact: Callable[[Any], None], made: SearchStrategy[Any], *, examples: int) -> None:
    """Call `fact`, which asserts, with so many examples, the same each time; raises with the smallest that fails."""
    how = settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    how(given(made)(fact))()
