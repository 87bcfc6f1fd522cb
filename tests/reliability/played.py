"""What a proof came to: how often it was played, what broke a promise, what was measured beside it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_TOLD = 20  # broken promises that are told one by one


@dataclass
class Played:
    """Counts of one proof. `breaches` names every way to break the promise, so that a zero is written too."""

    breaches: Sequence[str]
    times: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    measured: dict[str, float] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def breach(self, name: str, how: str) -> None:
        """Count a broken promise, and say how it came about."""
        assert name in self.breaches
        self.broken[name] += 1
        if len(self.told) < MOST_TOLD:
            self.told.append(f"{name}: {how}")

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "times": dict(self.times),
            "broken": {name: self.broken[name] for name in self.breaches},
            "measured": {name: round(value, 4) for name, value in self.measured.items()},
            "told": self.told,
        }


def spread(name: str, values: Sequence[float]) -> Mapping[str, float]:
    """Return the median, the 95th percentile and the longest of measured seconds, by name."""
    ordered = sorted(values)
    if not ordered:
        return {}
    most = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {f"{name}, median": statistics.median(ordered), f"{name}, p95": most, f"{name}, longest": ordered[-1]}
