"""A fixture of the tests of batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.claude_server import Server
from tests.pipeline.core.claude.asking import KEY, ask, requests_for
from tests.pipeline.core.claude.batching import FAST


@pytest.fixture
def buy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return what buys so many requests in batches, with the ledger in `tmp_path`."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def in_batches(server: Server, count: int, **how: Any) -> Any:
        settings: dict[str, Any] = {"batches": True, "pacing": FAST, "timeout_seconds": 20.0, **how}
        return ask(tmp_path, server, requests_for(count), monkeypatch=monkeypatch, **settings)

    return in_batches
