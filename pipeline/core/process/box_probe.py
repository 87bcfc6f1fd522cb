"""The doors of a box, tried from inside of it: the first code that every box runs, and the only one of ours.

It is read as text and sent into the box; nothing here runs outside.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path


def open_doors(parent: int, outside: str) -> list[str]:
    """Return what could be done that must not be, empty in a box that holds; `outside` is a file that is there."""
    doors: dict[str, Callable[[], object]] = {
        "files": lambda: Path(outside).exists() or Path("/etc/passwd").exists(),
        "proc": lambda: Path("/proc/self").exists() or Path("/sys/kernel").exists(),
        "writing": lambda: os.open("/written", os.O_CREAT | os.O_WRONLY) >= 0,
        "writing to Python": lambda: os.open(Path(os.__file__).with_name("written"), os.O_CREAT | os.O_WRONLY) >= 0,
        "environment": lambda: len(os.environ) > 0,
        "root": lambda: 0 in (os.getuid(), os.geteuid()) or os.getpid() != 1,
        "network": lambda: _call(41, 2, 1, 0) >= 0 if os.uname().machine == "x86_64" else _call(198, 2, 1, 0) >= 0,
        "processes": lambda: os.fork() >= 0,
        "signals": partial(os.kill, parent, 0),
        "namespaces": lambda: ctypes.CDLL(None).unshare(0x10000000) == 0,
        "memory": lambda: resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY,
        "more limits": partial(resource.setrlimit, resource.RLIMIT_NOFILE, (4096, 4096)),
        "open files": lambda: len([number for number in range(64) if _is_open(number)]) > 4,
    }
    return [name for name, door in doors.items() if _goes(door)]


def _goes(door: Callable[[], object]) -> bool:
    try:
        return door() in (True, None)
    except (OSError, ValueError):
        return False


def _call(number: int, *arguments: int) -> int:
    return int(ctypes.CDLL(None).syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
