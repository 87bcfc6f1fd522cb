"""A house to run recipes in, with the test-only steps in its catalog; and one with proxies, as it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import catalog
from pipeline.core.files.stores import places
from pipeline.engine.measure import prepared
from tests.pipeline.house import House
from tests.pipeline.queries.several import several
from tests.pipeline.queries.trained import trained
from tests.pipeline.steps import STEPS
from tests.s3_server import S3, s3_server


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    for step in STEPS:
        monkeypatch.setitem(catalog.STEPS, step.name, f"tests.pipeline.steps:{step.__name__}")
    prepared.cache_clear()
    return House(tmp_path)


@pytest.fixture(scope="session")
def several_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Four mixtures with finished proxies; not to be written to."""
    return several(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="session")
def trained_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Two mixtures with three finished proxies each; not to be written to."""
    return trained(tmp_path_factory.mktemp("proxies"))


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server("bucket") as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        patch.setattr(places, "ATTEMPTS", 2)  # with 8, a store that is gone takes a minute
        yield server
