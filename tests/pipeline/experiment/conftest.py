"""A recipe that was run once for all tests of it, and for each test that changes something a house with its results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.plan.graph import Plan
from tests.pipeline.experiment.small_experiment import furnished
from tests.pipeline.house import House

Furnish = Callable[[Path], House]


@pytest.fixture(scope="module")
def furnish() -> Furnish:
    """What writes the recipe and its inputs into a folder; a module with a recipe of its own says so."""
    return furnished


@pytest.fixture(scope="session")
def runs() -> dict[Furnish, tuple[House, Plan]]:
    return {}


@pytest.fixture(scope="module")
def first_run(
    furnish: Furnish, runs: dict[Furnish, tuple[House, Plan]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[House, Plan]:
    """The house after a run, and its plan; not to be written to."""
    if furnish not in runs:
        house = furnish(tmp_path_factory.mktemp("first"))
        runs[furnish] = house, house.run()
    return runs[furnish]


@pytest.fixture
def built(furnish: Furnish, first_run: tuple[House, Plan], tmp_path: Path) -> House:
    """A house of its own in which the recipe was run already."""
    return furnish(tmp_path).with_results_of(first_run[0])
