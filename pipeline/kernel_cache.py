"""Compiled kernels belong to the code that they were compiled from: one cache folder per state of all kernel files.

numba checks only the file in which a kernel stands. A kernel that calls another module's would go on running that
module's old code after an update, so the folder's name is a hash of all modules that speak of numba. Folders of
earlier states, 10 MB each, go once nobody has started with them for two weeks: a run that began before an update still
compiles into its own, and would die of its absence.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
PREFIX = "kernels-"
KEPT_SECONDS = 14 * 24 * 3600  # longer than a run takes, since the last start


def use_own_cache() -> None:
    """Point numba, here and in processes started from here, to this code's own folder; before numba is imported."""
    if VARIABLE in os.environ:
        return
    house = Path(__file__).parent.parent
    home = house / "filters" / "__pycache__"
    if not os.access(home if home.exists() else home.parent, os.W_OK):
        return  # numba then finds a folder of the user's
    mine = home / f"{PREFIX}{_state_of(house)}"
    new = not mine.exists()
    mine.mkdir(parents=True, exist_ok=True)
    os.utime(mine)
    if new:
        _forget(home, before=time.time() - KEPT_SECONDS)
    os.environ[VARIABLE] = str(mine)


def _forget(home: Path, *, before: float) -> None:
    """Remove the folders that no process has started with since."""
    for folder in home.glob(f"{PREFIX}*"):
        if folder.stat().st_mtime < before:
            shutil.rmtree(folder, ignore_errors=True)


def _state_of(house: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted([*(house / "filters").rglob("*.py"), *(house / "pipeline").rglob("*.py")]):
        code = path.read_bytes()
        if b"numba" in code:
            digest.update(hashlib.sha256(code).digest())
    return digest.hexdigest()[:12]
