"""The process in which a stranger's function answers; run as a script by `confined.py`, which nobody else does.

    stdin   one JSON object: the function, what it is asked, its limits, what it may read
    stdout  one line: what the kernel holds this process to; then {"answer": ...} or {"raised": "..."}

The first line is written before the function's module is imported. Whatever comes after it may be the function's own
doing and is believed to be no more than its answer. Until the process is confined, only ours and Python's own runs.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 8, 24, 38
CAPABILITIES_VERSION, READ_ANYTHING, LAST_CAPABILITY = 0x20080522, 2, 63
MOST_OPEN_FILES = 128
MOST_CHARACTERS = 300  # of an error


def main() -> None:
    """Confine this process, then answer."""
    task = json.load(sys.stdin.buffer)
    sink = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for place in (0, 1, 2):
        os.dup2(nothing, place)
    os.close(nothing)
    sys.path.extend(task["libraries"])
    sys.meta_path.insert(0, Packages(task["packages"]))
    held = _confine(task)
    os.write(sink, json.dumps(held).encode() + b"\n")

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _send(sink, {"raised": f"{kind.__name__}: {error}"[:MOST_CHARACTERS]})

    sys.excepthook = tell
    module, _, name = task["function"].partition(":")
    answer = getattr(import_module(module), name)(task["question"])
    _send(sink, {"answer": answer})


def _send(sink: int, content: Mapping[str, Any]) -> None:
    left = memoryview(json.dumps(content, allow_nan=False).encode())
    while left:
        left = left[os.write(sink, left) :]
    os._exit(0)  # nothing that was registered for the end runs


class Packages(MetaPathFinder):
    """Finds packages by their folders, since the folder around them, which may hold recipes, cannot be listed."""

    def __init__(self, packages: Mapping[str, str]) -> None:
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a package of ours is, None for all others."""
        place = Path(self.packages.get(fullname, ""))
        if fullname not in self.packages or not place.is_dir():
            return spec_from_file_location(fullname, place) if fullname in self.packages else None
        return spec_from_file_location(fullname, place / "__init__.py", submodule_search_locations=[str(place)])


def _confine(task: Mapping[str, Any]) -> dict[str, bool]:
    """Give up all that can be given up; return what the kernel holds this process to."""
    from pipeline.core.process import landlock, system_calls

    memory = _limit(task["limits"])
    c = ctypes.CDLL(None)
    control = getattr(c, "prctl", None)
    private = control is not None and control(PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))) == 0
    can_read_all = private and landlock.version() > 0
    unprivileged = _become_nobody(c, closed=task["closed"], can_read_all=can_read_all)
    if control is not None:
        control(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))  # after the user changed, which forgets it
    if os.getppid() != task["parent"]:
        os._exit(1)
    locked = landlock.restrict(task["readable"]) if private else 0
    filtered = private and system_calls.refuse()
    return {
        "files": locked > 0 and task["hides"],
        "emptying": locked >= 3,
        "metadata": filtered,
        "network": filtered,
        "tcp": filtered or locked >= 4,
        "signals": filtered or locked >= 6,
        "processes": filtered,
        "unprivileged": unprivileged,
        "memory": memory,
    }


def _limit(limits: Mapping[str, int]) -> bool:
    """Set limits that cannot be raised again; return whether memory is among them."""
    seconds = limits["cpu_seconds"]
    for what, most, hardest in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),  # SIGXCPU, and whoever ignores it is killed
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, MOST_OPEN_FILES, MOST_OPEN_FILES),
        (resource.RLIMIT_NPROC, 0, 0),  # counts threads too; does not bind root
    ):
        resource.setrlimit(what, (most, hardest))
    with suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"], limits["memory_bytes"]))
        return True
    return False


def _become_nobody(c: ctypes.CDLL, *, closed: bool, can_read_all: bool) -> bool:
    """Give up being root; return whether this process is another user.

    Where other users cannot read Python (`closed`), the right to read anything is kept if Landlock will narrow it down;
    without Landlock the user stays root, who owns Python, and only loses every right to others' files and processes.
    """
    if os.geteuid() != 0:
        return True
    if not hasattr(c, "capset"):
        return False
    for capability in range(LAST_CAPABILITY):
        c.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), *map(ctypes.c_ulong, (0, 0, 0)))
    kept = 1 << READ_ANYTHING if closed and can_read_all else 0
    leaves = can_read_all or not closed
    if leaves:
        c.prctl(PR_SET_KEEPCAPS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    head = struct.pack("Ii", CAPABILITIES_VERSION, 0)
    c.capset(head, struct.pack("6I", kept, kept, 0, 0, 0, 0))
    return leaves


if __name__ == "__main__":
    main()
