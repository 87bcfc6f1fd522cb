"""A result that several attempts may make at the same time: one wins, whole, and no file of another meets its card.

A cluster begins a task anew when it takes a machine for lost that may still be at work, and two machines need not agree
in the last bits. So an attempt writes files and card into a folder of its own, and then claims the result by a name
that can be made once. What is claimed is moved to where it belongs, the card last, by whoever is there: the winner, one
that came too late, or the next run after a kill. Each move is one rename, so it does not matter how many do it.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.core.errors import ServiceError, write_advice
from pipeline.core.files.names import CARD
from pipeline.core.files.writing.attempts import attempt
from pipeline.core.files.writing.durable import sync_folder

SCRATCH, WINNER = "scratch", "winner"
TRIES = 20
NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP}  # of file systems without symbolic links, such as exFAT


def begin_attempt(folder: Path) -> Path:
    """Return the empty folder in which this process makes the result of `folder`."""
    own = folder / SCRATCH / f"attempt-{attempt()}"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    return own


@contextmanager
def unless_finished(folder: Path) -> Iterator[None]:
    """Let an attempt at the result of `folder` fail where another finished it meanwhile, and swept its files away."""
    try:
        yield
    except (OSError, ServiceError) as error:
        swept = isinstance(error, FileNotFoundError) or isinstance(error.__cause__, FileNotFoundError)
        if not swept or not (folder / CARD).exists():
            raise


def settle(folder: Path, files: Sequence[str], *, own: Path | None = None) -> bool:
    """Give `folder` the files and the card of the attempt that claimed it first; say whether it has a card now.

    `own` is an attempt that is whole, card and all, and claims the result if none has; without one, only what a killed
    process claimed is brought to its end. Scratch of a result that has its card goes.
    """
    try:
        return _settle(folder, files, own=own)
    except OSError as error:
        raise ServiceError(f"{folder}: cannot be written ({error.strerror or error}). {write_advice(error)}") from error


def _settle(folder: Path, files: Sequence[str], *, own: Path | None) -> bool:
    scratch = folder / SCRATCH
    for number in range(TRIES):  # where what was claimed is gone, as somebody removed it, the next claim counts
        claim = scratch / f"{WINNER}-{number}"
        if own is not None and not (folder / CARD).exists():
            try:
                sync_folder(own)
                claim.symlink_to(own.name)
                sync_folder(scratch)
            except (FileExistsError, FileNotFoundError):
                pass  # claimed, or finished and swept
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                _move(own, folder, files)  # on such a file system there are no other machines
        try:
            winner = scratch / claim.readlink()
        except FileNotFoundError:
            break
        if (folder / CARD).exists():  # asked after the claim was read: one made since the card came counts no more
            break
        _move(winner, folder, files)
    finished = (folder / CARD).exists()
    if finished:
        shutil.rmtree(scratch, ignore_errors=True)
    elif own is not None:
        raise ServiceError(f"{folder}: was removed while it was written. Run again.")
    return finished


def _move(winner: Path, folder: Path, files: Sequence[str]) -> None:
    """Move what is left of an attempt to where it belongs; another may be at it too."""
    for name in files:
        with suppress(FileNotFoundError):
            os.replace(winner / name, folder / name)
    sync_folder(folder)
    with suppress(FileNotFoundError):
        os.replace(winner / CARD, folder / CARD)
        sync_folder(folder)
