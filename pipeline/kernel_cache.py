"""Compiled kernels belong to the code that they were compiled from: one cache folder per state of all kernel files.

numba checks only the file in which a kernel stands. A kernel that calls another module's would go on running that
module's old code after an update, so the folder's name is a hash of all modules that speak of numba.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
PREFIX = "kernels-"


def use_own_cache() -> None:
    """Point numba, here and in processes started from here, to this code's own folder; before numba is imported."""
    if VARIABLE in os.environ:
        return
    house = Path(__file__).parent.parent
    home = house / "filters" / "__pycache__"
    if not os.access(home if home.exists() else home.parent, os.W_OK):
        return  # numba then finds a folder of the user's
    mine = home / f"{PREFIX}{_state_of(house)}"
    if not mine.exists():
        for old in home.glob(f"{PREFIX}*"):
            shutil.rmtree(old, ignore_errors=True)
        mine.mkdir(parents=True, exist_ok=True)
    os.environ[VARIABLE] = str(mine)


def _state_of(house: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted([*(house / "filters").rglob("*.py"), *(house / "pipeline").rglob("*.py")]):
        code = path.read_bytes()
        if b"numba" in code:
            digest.update(hashlib.sha256(code).digest())
    return digest.hexdigest()[:12]
