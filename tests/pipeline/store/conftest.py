"""Documents in a store, as one machine has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.house import House, texts
from tests.pipeline.store.far import STEPS, Far, on_machine


@pytest.fixture
def far(house: House, s3: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Far:
    far = Far(house.folder)
    far.lines("a.jsonl", texts(40))
    far.lines("b.jsonl", [*texts(20, start=40), "a loud text that is long enough to be kept for its length alone"])
    far.clean(STEPS)
    on_machine(monkeypatch, tmp_path, "one")
    return far
