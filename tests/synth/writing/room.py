"""A house in which a model on the loopback writes from documents, and what its card tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.claude_server import Server
from tests.pipeline.house import House


def room(
    folder: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    texts: list[str],
    *,
    step: str = "rephrase",
    **params: Any,
) -> House:
    """Return a house whose recipe has `texts` written anew."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
    house = House(folder)
    house.lines("docs.jsonl", [{"id": f"d{number}", "text": text} for number, text in enumerate(texts)])
    house.write(
        "name: written\nseed: 3\nsources:\n  docs: {read: jsonl, path: DIR/docs.jsonl, id: id}\n"
        f"datasets:\n  new: {{from: docs, make: {{{step}: {json.dumps(params)}}}}}\n"
    )
    return house


def made_details(house: House) -> dict[str, Any]:
    """Return what the card of the made documents tells."""
    (card,) = (house.workspace.root / "made").glob("*/card.json")
    details: dict[str, Any] = json.loads(card.read_text())["details"]
    return details
