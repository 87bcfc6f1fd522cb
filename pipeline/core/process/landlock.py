"""Paths -> a process that may read those and nothing else, write nothing, and use no TCP: Linux's Landlock.

The kernel keeps it for the rest of the process's life and for whatever it starts. What it does not cover: a path may
still be asked whether it is there and how large (stat), and be given other permissions or times, which the filter of
system calls refuses (`system_calls.py`). Since Linux 5.13; each version of it takes care of more, see `man landlock`.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Sequence
from contextlib import suppress

CREATE, ADD, RESTRICT = 444, 445, 446  # numbers of the system calls, the same on every architecture
ASK_VERSION = 1
PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many rights on files a version knows, the last one for later ones
TCP = 0b11  # bind and connect, since version 4
SCOPES = 0b11  # abstract sockets and signals stay inside, since version 6
WRITABLE = ("/dev/null",)


def version() -> int:
    """Return the version that this kernel has, 0 without Landlock."""
    with suppress(AttributeError, OSError):  # no such function outside of Linux
        return max(0, _call(CREATE, None, 0, ASK_VERSION))
    return 0


def restrict(readable: Sequence[str]) -> int:
    """Take everything from this process but reading these files and folders; return the version that holds it, or 0.

    The process must have given up new privileges before.
    """
    known = version()
    if not known:
        return 0
    every_right = (1 << RIGHTS.get(known, RIGHTS[5])) - 1
    asked = (every_right, TCP if known >= 4 else 0, SCOPES if known >= 6 else 0)
    attributes = struct.pack("<QQQ", *asked)[: 24 if known >= 6 else 16 if known >= 4 else 8]
    rules = _call(CREATE, attributes, len(attributes), 0)
    try:
        for path in [*readable, *WRITABLE]:
            _allow(rules, path)
        _call(RESTRICT, rules, 0)
    except OSError:
        return 0
    finally:
        os.close(rules)
    return known


def _allow(rules: int, path: str) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        rights = EXECUTE | READ_FILE
        if stat.S_ISDIR(os.fstat(place).st_mode):
            rights |= READ_DIR
        if path in WRITABLE:
            rights |= WRITE_FILE
        _call(ADD, rules, PATH_BENEATH, struct.pack("<Qi", rights, place), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call; raise OSError where it fails."""
    c = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    found = int(c.syscall(ctypes.c_long(number), *given))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found
