"""Every case file named after a step of the catalog: a new filter is tested by text alone, without a line of Python."""

from __future__ import annotations

import pytest

from pipeline.catalog import STEPS
from pipeline.core.step import MeasuringStep
from pipeline.recipe.names import step_class
from tests.filters.conftest import CASES, Case, measured_rows, read_cases, read_params, verdict_of

NAMES = sorted(path.stem for path in CASES.glob("*.txt") if path.stem in STEPS)
EVERY = [pytest.param(name, case, id=f"{name}: {case.name}") for name in NAMES for case in read_cases(name)]


@pytest.mark.parametrize(("name", "case"), EVERY)
def test_a_step_says_what_its_case_file_says(name: str, case: Case) -> None:
    kind = step_class(name)
    step = kind(params=kind.Params.parse(read_params(name)))
    assert isinstance(step, MeasuringStep)
    step.prepare({})

    if case.verdict.startswith("becomes: "):
        (row,) = measured_rows(step, [case.text])
        assert f"becomes: {row['text']}".replace("\n", "\\n") == case.verdict
    else:
        assert verdict_of(step, case.text) == case.verdict
