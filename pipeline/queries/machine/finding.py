"""What one check of a machine comes to: good, doubtful or bad, what was found, and the way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class MachineFinding:
    """One line on a machine; `way_out` is empty where all is well."""

    check: str
    level: Level
    found: str
    way_out: str = ""


def gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:,.1f} GB"
