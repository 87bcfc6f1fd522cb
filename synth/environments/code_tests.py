"""Judges code by the tests of its task in a box that Tamis builds: such tasks need Tamis on the path, and Linux."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tamis


def passes(answer: str, task: Mapping[str, Any]) -> bool:
    """Say whether code gives the value of every test."""
    return tamis.passes_tests(answer, function=task["function"], tests=task["tests"])
