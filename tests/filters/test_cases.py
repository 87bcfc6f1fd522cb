"""Every case file named after a step of the catalog: a new filter is tested by text alone, without a line of Python."""

from __future__ import annotations

import pytest

from pipeline.catalog import STEPS, step_class
from tests.filters.conftest import CASES, Case, read_cases, verdict_of

NAMES = sorted(path.stem for path in CASES.glob("*.txt") if path.stem in STEPS)
EVERY = [pytest.param(name, case, id=f"{name}: {case.name}") for name in NAMES for case in read_cases(name)]


@pytest.mark.parametrize(("name", "case"), EVERY)
def test_a_step_with_its_defaults_says_what_its_case_file_says(name: str, case: Case) -> None:
    kind = step_class(name)

    assert verdict_of(kind(params=kind.Params()), case.text) == case.verdict
