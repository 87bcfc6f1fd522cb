"""Seeds derived from where they are used, so that no draw depends on worker, order or clock.

`derive(17, "mixture", "clean")` is the same number on every machine and Python version: the first 8 bytes of the
BLAKE3 hash of the path's canonical JSON. `generator` wraps it in numpy's PCG64.
"""

from __future__ import annotations

import json

import numpy as np
from blake3 import blake3


def derive(seed: int, *path: str | int) -> int:
    """Return a 63-bit seed for the place that `path` names under `seed`."""
    key = json.dumps([seed, *path], separators=(",", ":"), ensure_ascii=True)
    return int.from_bytes(blake3(key.encode()).digest(8), "little") >> 1


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """Return a numpy generator seeded by `derive(seed, *path)`."""
    return np.random.Generator(np.random.PCG64(derive(seed, *path)))
