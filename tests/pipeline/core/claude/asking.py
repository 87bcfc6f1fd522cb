"""What the tests of the Claude client share: a key to look for, requests, and a run of the client against a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude.buying.bought import Answer
from pipeline.core.claude.client import ClaudeClient
from pipeline.core.claude.messages.request import Request
from tests.claude_server import Server

KEY = "sk-ant-CANARY-0123456789"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["evidence", "clear"],
    "properties": {"evidence": {"type": "string"}, "clear": {"type": "boolean"}},
}


def requests_for(count: int) -> list[Request]:
    return [
        Request(
            "claude-haiku-5-5", system="Grade.", prompt=f"document {n}", schema=SCHEMA, max_tokens=100, purpose="test"
        )
        for n in range(count)
    ]


def ask(
    folder: Path, server: Server, requests: list[Request], *, monkeypatch: pytest.MonkeyPatch, max_usd: float = 1.0,
    **how: Any,
) -> list[Answer]:  # fmt: skip
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
    with ClaudeClient(folder / "ledger.sqlite", max_usd=max_usd, backoff_seconds=0.02, **how) as client:
        return client.ask(requests)
