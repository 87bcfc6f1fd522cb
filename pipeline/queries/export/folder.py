"""A folder built beside its place and put there in one step, by one process at a time.

    .NAME.export/       plan.json: what is being built; out/: the folder to be; done/: the same, whole; scratch/
    .NAME.export.lock   held while an export to NAME runs; the kernel frees it when its process dies

Every file below `out` is whole when its name exists, so the same export goes on where a killed one ended. The place
holds the whole old folder or the whole new one at every moment: where it is free, by a rename; where an earlier export
lies, by exchanging the two (Linux, renameat2). A file system that cannot exchange (some network ones, and macOS here)
leaves a moment without the folder, between two renames; a start after a kill in that moment puts the old one back.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import BusyError, RecipeError
from pipeline.core.files.card import StoredFile, difference
from pipeline.core.files.writing.durable import sync_folder, write_text

MARKER = "tamis.json"
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
CANNOT_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


@dataclass(frozen=True, slots=True)
class Site:
    """Where one export is built; `to` is its place, without links."""

    to: Path

    @property
    def building(self) -> Path:
        return self.to.with_name(f".{self.to.name}.export")

    @property
    def out(self) -> Path:
        return self.building / "out"

    @property
    def done(self) -> Path:
        return self.building / "done"

    @property
    def scratch(self) -> Path:
        return self.building / "scratch"

    def begin(self, key: str) -> bool:
        """Make the site ready for what `key` names; say whether that is whole already and needs only its place."""
        plan = self.building / "plan.json"
        if _content_of(plan).get("key") != key:
            shutil.rmtree(self.building, ignore_errors=True)
        if self.done.exists():
            if _content_of(self.done / MARKER).get("key") == key:
                return True
            shutil.rmtree(self.done)  # what stood in the place before, if a kill came right after the exchange
        for folder in (self.out, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.rglob(".*.tmp"):  # what a killed export was about to rename
                left.unlink()
        write_text(plan, json.dumps({"key": key}) + "\n")
        return False

    def finish(self) -> None:
        """Make durable what lies in `out` and name it `done`."""
        for folder, _, _ in os.walk(self.out):
            sync_folder(Path(folder))
        self.out.rename(self.done)
        sync_folder(self.building)

    def put_in_place(self) -> None:
        """Give the place what is `done`, and take away what was built beside it."""
        if not self.to.exists() or not any(self.to.iterdir()):
            self.done.rename(self.to)  # fails, and so replaces nothing, if somebody has put something there meanwhile
        elif not exchange(self.done, self.to):
            self.to.rename(self.building / "old")
            self.done.rename(self.to)
        sync_folder(self.to.parent)
        self.clear()

    def recover(self) -> None:
        """Put back what a killed export, on a file system that cannot exchange, had just taken away."""
        old = self.building / "old"
        if old.exists() and not self.to.exists():
            old.rename(self.to)
        shutil.rmtree(old, ignore_errors=True)

    def clear(self) -> None:
        """Remove what was built beside the place."""
        shutil.rmtree(self.building, ignore_errors=True)


def site_of(to: Path) -> Site:
    """Return the site of a place: a link to a folder stands for that folder."""
    return Site(Path(os.path.realpath(to)))


@contextmanager
def held(site: Site) -> Iterator[None]:
    """Hold the place for writing; BusyError names who else does."""
    site.to.parent.mkdir(parents=True, exist_ok=True)
    path = site.building.with_name(f"{site.building.name}.lock")
    handle = _lock(path, site.to)
    try:
        site.recover()
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits at it finds that it is no longer the lock
        os.close(handle)


def _lock(path: Path, to: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), path.stat()):
                os.ftruncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
        except BlockingIOError as error:
            owner = os.read(handle, 20).decode(errors="replace")
            os.close(handle)
            raise BusyError(
                f"{to}: process {owner or 'unknown'} is exporting to it. Wait for it, or name another folder."
            ) from error
        except FileNotFoundError:  # its last holder has taken it away
            pass
        os.close(handle)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step; False, and nothing done, where the system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def refuse_occupied(to: Path, *, overwrite: bool) -> None:
    """Raise RecipeError if a place holds anything that may not be replaced."""
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return
    if not (to / MARKER).is_file():
        raise RecipeError(f"{to}: holds something that is not an export of Tamis. Name a new or empty folder.")
    if not overwrite:
        raise RecipeError(f"{to}: holds another export. Name another folder, or give --overwrite to replace it.")
    written = {MARKER, *(file.file for file in files_in(_content_of(to / MARKER)))}
    foreign = min((path for path in to.rglob("*") if _is_foreign(path, to, written)), default=None)
    if foreign is not None:
        raise RecipeError(
            f"{foreign}: was not written by an export, and --overwrite would delete it with the earlier one in {to}. "
            "Move it away, or name another folder."
        )


def _is_foreign(path: Path, to: Path, written: set[str]) -> bool:
    if path.is_symlink() or not path.is_dir():
        return path.is_symlink() or path.relative_to(to).as_posix() not in written
    return False


def is_there(to: Path, key: str) -> bool:
    """Say whether a place holds the export that `key` names, every file as it was written."""
    content = _content_of(to / MARKER)
    return content.get("key") == key and not any(
        difference(to / file.file, file, says=MARKER) for file in files_in(content)
    )


def marker_of(to: Path) -> Mapping[str, Any]:
    """Return what an export says of itself; empty where there is none."""
    return _content_of(to / MARKER)


def files_in(marker: Mapping[str, Any]) -> Sequence[StoredFile]:
    """Return the files that a marker lists, which are all that its export wrote but itself."""
    try:
        return [StoredFile(**file) for file in marker.get("files", ())]
    except TypeError:
        return []


def _content_of(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
