"""Where copies lie of what is in a store: the user's folder of caches, or the one that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

HOME = "TAMIS_CACHE"


def cache_home() -> Path:
    """Return the folder of all caches: $TAMIS_CACHE, or `tamis` where the user's caches are."""
    given = os.environ.get(HOME)
    if given:
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tamis"
