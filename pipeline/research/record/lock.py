"""One night at a time: whoever holds a search's lock appends to its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import BusyError, RecipeError

PATIENCE = 0.3  # seconds to wait for whoever only looks whether a night is under way


def is_under_way(folder: Path) -> bool:
    """Say whether a night holds a search just now."""
    lock = FileLock(folder / "lock", timeout=0)
    if not (folder / "lock").exists():
        return False
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False
    lock.release()
    return False


@contextmanager
def one_night(folder: Path) -> Iterator[None]:
    """Hold a search for writing; the kernel frees the lock of a killed night at once."""
    lock = FileLock(folder / "lock", timeout=PATIENCE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise BusyError(
            f"{folder}: another night of this search is under way; both would spend one budget. Wait, or stop it."
        ) from error
    except OSError as error:
        raise RecipeError(
            f"{folder}: cannot be written ({error.strerror}). Give --workspace another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()
