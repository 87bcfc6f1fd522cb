"""A house whose workspace is in a store, and the machines that see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.files.stores.caches import HOME
from pipeline.store.remote.cached import workspace_path
from pipeline.store.workspace import Workspace
from tests.pipeline.house import House

STEPS = ("length: {min_length: 30}", "shout", "longest: {keep_fraction: 0.8}")


class Far(House):
    """A house whose workspace is in the store, seen from the machine whose cache is `$TAMIS_CACHE`."""

    @property
    def workspace(self) -> Workspace:
        return Workspace(workspace_path(f"s3://bucket/{self.folder.name}"))


def on_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Go on as another machine does: with a cache of its own."""
    monkeypatch.setenv(HOME, str(tmp_path / f"machine-{name}"))


def build(house: House) -> Workspace:
    workspace = house.workspace
    with workspace.locked():
        house.run()
    return workspace
