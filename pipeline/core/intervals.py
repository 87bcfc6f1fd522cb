"""Shares of so many documents -> their 95 % intervals, by Wilson."""

from __future__ import annotations

from typing import Any

import numpy as np

Z = 1.959964  # 97.5 % point of the normal distribution


def wilson(share: Any, count: Any) -> tuple[Any, Any]:
    """Return the ends of the interval of shares, each of so many documents, element by element."""
    weight = 1 / (1 + Z**2 / count)
    reach = weight * Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    middle = weight * (share + Z**2 / (2 * count))
    return middle - reach, middle + reach
