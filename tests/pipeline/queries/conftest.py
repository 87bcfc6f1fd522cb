"""One house with finished proxies for all tests that ask about them, as it takes seconds to train."""

from __future__ import annotations

import pytest

from tests.pipeline.house import House
from tests.pipeline.queries.proxies import trained


@pytest.fixture(scope="session")
def trained_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return trained(tmp_path_factory.mktemp("proxies"))
