"""One result to have: what it is, its identity, what it comes from and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.files.card import Kind


@dataclass(frozen=True, slots=True)
class Node:
    """One result to have: already there (`complete`) or to be built, and why."""

    kind: Kind
    name: str
    identity: str
    payload: Mapping[str, Any]
    parents: Mapping[str, str]
    folder: Path
    complete: bool
    reason: str
    cost_usd: float = 0.0  # at most
