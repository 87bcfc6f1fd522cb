"""The numbers of an audit as texts: each in its unit, with as many digits as mean something."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeline.report.draw.figures import NONE, number, signed

if TYPE_CHECKING:
    from filters.audit.found import Found, Unit

RATIOS = ("effective", "tokens per byte", "bytes per word", "words")  # as filters.audit.found has them


def value_of(value: float | None, unit: Unit) -> str:
    """Return a number: `3.1 %` of a share, else three digits."""
    if value is None:
        return NONE
    if unit == "share":
        return _percent(value)
    return signed(value, 2) if unit == "log-odds" else number(value, 3)


def _percent(value: float) -> str:
    percent = 100 * value
    return f"{percent:.1f} %" if percent == 0 or percent >= 1 else f"{percent:.2f} %" if percent >= 0.01 else "< 0.01 %"


def distance_of(found: Found) -> str:
    """Return how far it moved: points of a share, percent of what is compared by its quotient."""
    moved = found.distance
    if moved is None:
        return NONE
    if found.unit == "share":
        return f"{signed(100 * moved, 2)} points"
    if found.unit in RATIOS:
        return f"{signed(100 * math.expm1(moved), 1)} %"
    if found.unit == "bits":
        return f"{moved:.4f} bits"
    return signed(moved, 3 if found.unit == "area" else 2)


def floor_of(found: Found) -> str:
    """Return the floor as the distance is told."""
    if found.unit == "share":
        return f"{100 * found.floor:.2f} points"
    if found.unit in RATIOS:
        return f"{100 * math.expm1(found.floor):.1f} %"
    if found.unit == "bits":
        return f"{found.floor:.4f} bits"
    return f"{found.floor:.3f}" if found.unit == "area" else f"{found.floor:.2f}"
