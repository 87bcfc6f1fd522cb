"""Temporary names that no two attempts at a file share, on whichever machines of a shared file system they run.

Two attempts at one task may run at once: a machine that is thought lost goes on writing while another does its work
anew. Both write the same bytes, each under a name of its own, `.NAME.PID-PLACE.tmp`, and the later rename changes
nothing. PLACE stands for the machine, its boot and the processes that see each other there: by it alone a number says
which process it was.
"""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")
PROCESSES = Path("/proc/self/ns/pid")


def temporary(path: Path) -> Path:
    """Return the neighbour of `path` under which this process writes it."""
    return path.with_name(f".{path.name}.{attempt()}.tmp")


def attempt() -> str:
    """Return what names this process among all that may see its files."""
    return f"{os.getpid()}-{_place()}"


def is_abandoned(path: Path, *, begin: str = "") -> bool:
    """Say whether a temporary file, of a name that begins so, is of a process of this machine that is gone."""
    name, _, attempt = path.stem[1:].rpartition(".")
    number, _, place = attempt.partition("-")
    here = place in ("", _place())  # before there were places, names bore the number alone
    return name.startswith(begin) and here and number.isdecimal() and not _runs(int(number))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@cache
def _place() -> str:
    told = [socket.gethostname()]
    with suppress(OSError):
        told.append(BOOT.read_text(encoding="ascii"))
    with suppress(OSError):
        told.append(str(PROCESSES.readlink()))
    return hashlib.blake2b("".join(told).encode(), digest_size=4).hexdigest()
