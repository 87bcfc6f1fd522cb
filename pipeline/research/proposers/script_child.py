"""What runs of a proposer's script in the confined process: its function, and nothing else of ours."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

MODULE = "proposer_script"  # as which the script is imported


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the script proposes."""
    return {"ideas": import_module(MODULE).propose(question["view"], question["count"], question["seed"])}
