"""Numbered files under a name and a pointer to the one that counts: how mixtures are registered and dedup stores kept.

    <home>/v00001.json   one version; created once, never changed
    <home>/current.json  which version counts, and every move so far; replaced atomically

A version is created with a hard link, which fails if the number is taken, so of two writers none is lost; the pointer
and its history are one file, so a move and its record cannot come apart. A reader sees the old or the new pointer and
whole versions, whatever is killed when. Callers hold a lock.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError, RecipeError, ServiceError
from pipeline.core.files.record import read_record, write_record
from pipeline.core.files.writing.durable import sweep, sync_folder, write_text

POINTER = "current.json"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version counts, 0 before the first, and every move: action, from, to, reason, user and time."""

    version: int = 0
    history: tuple[Mapping[str, Any], ...] = ()

    @property
    def served(self) -> list[int]:
        """The versions that ever counted, ascending."""
        return sorted({move["to"] for move in self.history})


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one name. Nothing needs to be there yet."""

    home: Path

    @classmethod
    def named(cls, folder: Path, name: str, *, place: str) -> Versions:
        """Return the versions of a name inside a folder; RecipeError if it could name another place."""
        if NAME.fullmatch(name) is None:
            raise RecipeError(f"{place}: '{name}' cannot be a name; use up to 64 letters, digits, '-' and '_'.")
        return cls(folder / name)

    def file(self, number: int) -> Path:
        return self.home / f"v{number:05d}.json"

    def files(self) -> list[Path]:
        """Return the files of all versions, the oldest first."""
        return sorted(self.home.glob("v*.json"))

    @property
    def newest(self) -> int:
        """The highest number taken, 0 before the first."""
        return max((int(path.stem[1:]) for path in self.files()), default=0)

    def create(self, text: Callable[[int], str]) -> int:
        """Write `text(number)` under the next free number, whole or not at all; return the number."""
        number = self.newest + 1
        while True:
            path = self.file(number)
            whole = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            write_text(whole, text(number))
            try:
                os.link(whole, path)
            except FileExistsError:  # only where the file system does not honour locks
                number += 1
                continue
            except OSError as error:
                raise ServiceError(
                    f"{path}: cannot be linked ({error.strerror}). Put the workspace on a file system with hard links."
                ) from error
            finally:
                whole.unlink(missing_ok=True)
            sync_folder(self.home)
            return number

    def pointer(self) -> Pointer:
        """Return which version counts; DataError if the file is not as it was written."""
        path = self.home / POINTER
        try:
            content = read_record(path)
            return Pointer(version=int(content["version"]), history=tuple(content["history"]))
        except FileNotFoundError:
            return Pointer()
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{path}: is not a pointer as it was written ({error}). Restore the file from a backup."
            ) from error

    def move(self, *, to: int, action: str, reason: str = "") -> None:
        """Let version `to` count, and record the move, in one step."""
        old = self.pointer()
        event = {"action": action, "from": old.version, "to": to, "reason": reason, "user": user(), "at": now()}
        write_record(self.home / POINTER, {"version": to, "history": [*old.history, event]})
        self.sweep()

    def sweep(self) -> None:
        """Remove what killed writers left."""
        sweep(self.home)


def homes(folder: Path) -> list[Versions]:
    """Return every name of a folder that has a pointer."""
    return [Versions(path.parent) for path in sorted(folder.glob(f"*/{POINTER}"))]


def user() -> str:
    """Return who runs this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        return "unknown"


def now() -> str:
    """Return the time as UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
