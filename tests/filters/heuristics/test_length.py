"""Lengths: what is counted, and that each limit holds at its value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from filters.heuristics import definitions
from filters.heuristics.length import UNITS, Length
from tests.filters.conftest import measured_rows, verdict_of
from tests.filters.text_strategies import BATCHES

STEP = Length(params=Length.Params())


@given(BATCHES)
@settings(max_examples=200, deadline=None)
def test_kernels_agree_with_the_definitions(texts: list[str]) -> None:
    assert measured_rows(STEP, texts) == [definitions.length(text) for text in texts]


@pytest.mark.parametrize(("unit", "length"), [("chars", 8), ("bytes", 9), ("words", 3), ("lines", 2)])
def test_each_limit_holds_at_its_value(unit: str, length: int) -> None:
    text = "a b\n\nc\u00e9\n"

    def verdict(**limits: int) -> str:
        return verdict_of(Length(params=Length.Params.parse(limits)), text)

    assert verdict(**{f"min_{unit}": length, f"max_{unit}": length}) == "keep"
    assert verdict(**{f"min_{unit}": length + 1}) == f"drop: too_few_{unit}"
    assert verdict(**{f"max_{unit}": length - 1}) == f"drop: too_many_{unit}"


def test_limits_only_decide() -> None:
    limits = {f"{end}_{unit}": 5 for unit in UNITS for end in ("min", "max")}

    assert Length.Params.parse(limits).of_role("measure") == {}
    assert Length(params=Length.Params.parse({"min_words": None})).rules(quantile=lambda signal, share: 0.0) == ()
