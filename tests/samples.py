"""Facts held against made examples: a few in `make test`, many in `make test-slow`, all in `make test-whole`.

`make test-all` leaves out the few, since the many say the same. The many are what a continuous check has minutes for;
`make test-whole` tries as many as the figures that are published rest on, and takes half an hour of two cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

Size = TypeVar("Size")
WHOLE = os.environ.get("PROOFS") == "whole"  # as `make test-whole` says


def proof(usual: Size, *, whole: Size) -> Size:
    """Return how much a slow test tries: `whole` where `make test-whole` runs it, else what it usually does."""
    return whole if WHOLE else usual


def examples(few: int, *, many: int) -> pytest.MarkDecorator:
    """Give a test its parameter `examples`: how many are made of it, usually two fifths of the many."""
    return few_and_many("examples", few, proof(2 * many // 5, whole=many))


def few_and_many(name: str, few: int, many: int) -> pytest.MarkDecorator:
    """Give a test a parameter of which the larger value says all that the smaller one does."""
    return pytest.mark.parametrize(
        name, [pytest.param(few, marks=pytest.mark.few), pytest.param(many, marks=pytest.mark.slow)]
    )


def hold(fact: Callable[[Any], None], made: SearchStrategy[Any], *, examples: int) -> None:
    """Call `fact`, which asserts, with so many examples, the same each time; raises with the smallest that fails."""
    how = settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    how(given(made)(fact))()
