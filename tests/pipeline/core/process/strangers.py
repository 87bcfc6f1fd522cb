"""Functions that test_confined.py has called in a process of their own: honest ones, and some that only misbehave."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any


def echo(question: Any) -> dict[str, Any]:
    return {"heard": question}


def surroundings(question: Any) -> dict[str, Any]:
    return {
        "variables": sorted(os.environ),
        "folder": [path.name for path in Path().iterdir()],
        "files": _open_files(),
        "user": os.geteuid(),
    }


def _open_files() -> list[int]:
    return [number for number in range(64) if _is_open(number)]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def heavy(question: Any) -> dict[str, Any]:
    """Use what our own proposers use."""
    import numpy as np
    from scipy.optimize import minimize

    from pipeline.core.identity import identity_of

    found = minimize(lambda x: float(np.sum((x - 3) ** 2)), np.zeros(2))
    return {"found": [round(float(value), 3) for value in found.x], "hash": identity_of(question)}


def prose(question: Any) -> Any:
    return "I would rather not\nsay, but here is an essay."


def infinite(question: Any) -> dict[str, Any]:
    return {"gain": "\ud800"}


def raising(question: Any) -> dict[str, Any]:
    raise ValueError("no idea\nleft")


def leaving(question: Any) -> dict[str, Any]:
    sys.exit(7)


def stalling(question: Any) -> dict[str, Any]:
    time.sleep(60)
    return {}


def clinging(question: Any) -> dict[str, Any]:
    """Ask the kernel not to be ended with its parent, and stay."""
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    time.sleep(600)
    return {}


def spinning(question: Any) -> dict[str, Any]:
    while True:
        pass


def flooding(question: Any) -> dict[str, Any]:
    while True:
        os.write(max(_open_files()), b"a" * 65536)


def long_answer(question: Any) -> dict[str, Any]:
    return {"idea": "a" * int(question)}


def greedy(question: Any) -> dict[str, Any]:
    return {"size": len(bytearray(1 << 40))}


def chatty(question: Any) -> dict[str, Any]:
    sys.stdout.write("{}")
    sys.stderr.write("hello")
    return {"said": "enough"}
