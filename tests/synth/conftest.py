"""A key for tests in which a model on the loopback writes."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
