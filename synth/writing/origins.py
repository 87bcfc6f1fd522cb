"""Who wrote a text, from what, and how far it is from a person's words: what every row that a model wrote carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.core.claude.server.endpoint import foreign_endpoint
from pipeline.core.document import Origin

WRITTEN: tuple[Origin, ...] = ("claude", "open_model")  # by a model, from a text or from nothing


def writer_of(model: str) -> Origin:
    """Return whose words an answer is: Claude's at Anthropic's address, and wherever a model bears its name."""
    return "claude" if not foreign_endpoint() or "claude" in model.lower() else "open_model"


def depth_of(row: Mapping[str, Any]) -> int:
    """Return how many models a document passed through: 0 for a person's words and for what a program made."""
    makers = json.loads(row["lineage"])
    told = [int(maker.get("depth", 0)) for maker in makers if isinstance(maker, dict)]
    return max([*told, 1 if row["origin"] in WRITTEN else 0])


def lineage(
    row: Mapping[str, Any], *, step: str, version: int, prompt: str, prompt_hash: str, model: str, request: str,
    prices: str, **more: Any,
) -> str:  # fmt: skip
    """Return the lineage of what was written from a document: its own makers, and this one last."""
    maker = {
        "step": step, "version": version, "sources": [row["id"]], "prompt": f"{prompt} {prompt_hash[:12]}",
        "model": model, "endpoint": foreign_endpoint() or "Anthropic's", "request": request, "prices": prices,
        "depth": depth_of(row) + 1,
    } | more  # fmt: skip
    return json.dumps([*json.loads(row["lineage"]), maker])
