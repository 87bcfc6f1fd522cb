"""Files that are whole when their name exists: written under a temporary name, fsynced and renamed.

The folder is fsynced too, unless the name may wait for another file in it that says that all are there, such as a card.
A process that is killed leaves a temporary file, which the next one takes away.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.core.errors import ServiceError, write_advice
from pipeline.core.files.writing.attempts import is_abandoned, temporary
from pipeline.core.files.writing.sums import Checked, note_sum


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], *, unfinished: bool = False, synced: bool = True
) -> None:
    """Call `write(file)` on a temporary neighbour of `path`, make it durable, then rename it to `path`.

    A file of an unfinished result gets a sum, by which a resumed run knows it (`core/sums.py`), and its name may wait
    for the card: a power cut can still lose it, whole; a killed process never does. What is not synced may be cut too.
    """
    unnamed = temporary(path)
    with explained(path, unnamed):
        with unnamed.open("wb") as file:
            checked = Checked(file, summed=unfinished)
            write(cast("BinaryIO", checked))
            checked.finish()
            if synced:
                os.fsync(file.fileno())
        if unfinished:
            note_sum(path, checked.sum())
        os.replace(unnamed, path)
        if synced and not unfinished:
            sync_folder(path.parent)


def sweep(folder: Path, *, begin: str = "") -> None:
    """Remove what killed processes of this machine were about to rename: temporary files whose process is gone."""
    for path in folder.glob(".*.tmp"):
        if is_abandoned(path, begin=begin):
            path.unlink(missing_ok=True)


@contextmanager
def explained(path: Path, unnamed: Path) -> Iterator[None]:
    """Remove the temporary file if writing `path` fails, and turn what the system raises into a ServiceError."""
    try:
        yield
    except OSError as error:
        unnamed.unlink(missing_ok=True)
        raise ServiceError(f"{path}: cannot be written ({error.strerror or error}). {write_advice(error)}") from error
    except BaseException:
        unnamed.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    sync_file(folder)


def sync_file(path: Path) -> None:
    """Make what was written to a file durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str, *, unfinished: bool = False) -> None:
    """Write UTF-8 text durably and atomically."""
    write_atomically(path, lambda file: file.write(text.encode()), unfinished=unfinished)
