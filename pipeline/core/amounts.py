"""Large numbers as people write them: `300k`, `20M`, `1.5B`, and sizes: `500MB`, `2GB`."""

from __future__ import annotations

import re
from typing import Any

_SUFFIXES = {"k": 10**3, "M": 10**6, "B": 10**9}
SUFFIXED = r"^[0-9]+(\.[0-9]+)?[kMB]$"  # for JSON Schema

_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZED = r"^[0-9]+(\.[0-9]+)?[kMGT]B$"  # for JSON Schema

BYTES_PER_TOKEN = 4.0  # assumption when no tokenizer was trained yet; English with a 4k vocabulary lies near 3.5


def count_of(value: Any) -> Any:
    """Return the number that `20M` stands for; anything else is returned as it is, for pydantic to judge."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMB])", value) if isinstance(value, str) else None
    if match is None:
        return value
    exact = float(match[1]) * _SUFFIXES[match[2]]
    return int(exact) if exact.is_integer() else value


def size_of(value: Any) -> Any:
    """Return the bytes that `2GB` stands for, in steps of 1000; anything else as it is, for pydantic to judge."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMGT]B)", value) if isinstance(value, str) else None
    if match is None:
        return value
    exact = float(match[1]) * _UNITS[match[2]]
    return int(exact) if exact.is_integer() else value
