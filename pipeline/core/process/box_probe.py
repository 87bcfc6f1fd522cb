"""The doors of a box, tried from inside of it: the first code that every box runs, and the only one of ours.

It is read as text and sent into the box; nothing here runs outside.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable

INSIDE = {"dev", "lib", "lib64", "tmp", "usr"}  # of the root, beside the folders above Python


def open_doors(parent: int, outside: str) -> list[str]:
    """Return what could be done that must not be, empty in a box that holds; `outside` is a file that is there."""
    doors: dict[str, Callable[[], bool]] = {
        "files": lambda: os.path.exists(outside) or os.path.exists("/etc/passwd"),
        "proc": lambda: os.path.exists("/proc/self") or os.path.exists("/sys/kernel"),
        "writing": lambda: os.open("/written", os.O_CREAT | os.O_WRONLY) >= 0,
        "writing to Python": lambda: os.open(f"{os.path.dirname(os.__file__)}/written", os.O_CREAT | os.O_WRONLY) >= 0,
        "environment": lambda: len(set(os.environ) - {"LANG", "LC_CTYPE", "PWD"}) > 0,
        "root": lambda: 0 in (os.getuid(), os.geteuid()) or os.getpid() != 1,
        "network": lambda: _call(41, 2, 1, 0) >= 0 if os.uname().machine == "x86_64" else _call(198, 2, 1, 0) >= 0,
        "processes": lambda: os.fork() >= 0,
        "signals": lambda: os.kill(parent, 0) is None,
        "namespaces": lambda: ctypes.CDLL(None).unshare(0x10000000) == 0,
        "memory": lambda: resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY,
        "more limits": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)) is None,
        "open files": lambda: len([number for number in range(64) if _is_open(number)]) > 4,
    }
    return [name for name, door in doors.items() if _goes(door)]


def _goes(door: Callable[[], bool]) -> bool:
    try:
        return door()
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
