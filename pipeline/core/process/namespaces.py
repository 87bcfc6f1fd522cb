"""A process -> the same process in a world of its own: Linux's namespaces, and a root that holds only what is named.

Needs no root and no program: a user namespace gives the rights to build the others. What is bound there is read-only;
there is no /proc and no /sys. Building takes 4 ms. Where the kernel does not allow it, `OSError` says which call
failed; Ubuntu 24.04 and Docker's usual filter are such places.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

NEW_FILES, NEW_CGROUP, NEW_HOST, NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
MOUNT_SETATTR, PIDFD_OPEN = 442, 434  # the same everywhere
READ_ONLY, NO_SETUID, NO_DEVICES, NO_ACCESS_TIMES = 1, 2, 4, 0x400
BIND, WHOLE_TREE, PRIVATE = 0x1000, 0x4000, 0x40000
HERE, RECURSIVE, DETACH = -100, 0x8000, 2
CAPABILITIES_VERSION, SYS_ADMIN = 0x20080522, 21
PR_SET_KEEPCAPS = 8
NOBODY = 65534
STAGE = "/tmp"  # hidden while the root is built, for this process alone
SMALL = "mode=755,size=1m,nr_inodes=4k"  # folders and files on which others are mounted


def call(name: str, *arguments: int | bytes | None) -> int:
    """Call a function of C's library; raise OSError, which names it, where it fails."""
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    found = int(getattr(_c(), name)(*given))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return found


@cache
def _c() -> ctypes.CDLL:
    """Return C's library, kept: to find it costs as much as a tenth of a run."""
    return ctypes.CDLL(None, use_errno=True)


def enter_own_user() -> None:
    """Become the only user of a new user namespace, with every right in it and none outside of it.

    Root stays able to read what only root can until `become_nobody`; any other user is nobody from now on.
    """
    me, group, root = os.geteuid(), os.getegid(), os.geteuid() == 0
    if root:
        os.setgroups([])
    maps = [f"0 0 1\n{NOBODY} {NOBODY} 1"] * 2 if root else [f"{NOBODY} {me} 1", f"{NOBODY} {group} 1"]
    hears, asks = os.pipe()
    parent, helper = os.getpid(), os.fork()
    if helper == 0:  # from outside, since root's two users cannot be named from inside
        code = 1
        try:
            os.close(asks)
            if os.read(hears, 1):
                place = Path(f"/proc/{parent}")
                if not root:
                    (place / "setgroups").write_text("deny")
                for name, text in zip(("uid_map", "gid_map"), maps, strict=True):
                    (place / name).write_text(text)
                code = 0
        finally:
            os._exit(code)
    os.close(hears)
    try:
        call("unshare", NEW_USER)
        os.write(asks, b"1")
    finally:
        os.close(asks)
        _, status = os.waitpid(helper, 0)
    if status:
        raise OSError(1, "the users of a user namespace cannot be named")


def enter_own_world(*, machine: str, bound: Sequence[str], hidden: Sequence[str], writable: str) -> None:
    """Leave the machine's files, network, names and shared memory; see `bound`, read-only, without what is `hidden`.

    `writable` is an empty folder for a later mount. Processes that start afterwards are the first of
    their own world too.
    """
    call("unshare", NEW_FILES | NEW_IPC | NEW_NETWORK | NEW_HOST | NEW_CGROUP | NEW_PROCESSES)
    call("sethostname", b"box", 3)
    mount(None, "/", None, WHOLE_TREE | PRIVATE)
    mount("tmpfs", STAGE, "tmpfs", NO_SETUID | NO_DEVICES, SMALL)
    new, old = f"{STAGE}/new", f"{STAGE}/old"
    Path(new).mkdir()
    Path(old).mkdir()
    os.chdir(STAGE)
    pivot(machine, ".", "old")
    os.chdir("/")
    mount("tmpfs", "/new", "tmpfs", NO_SETUID | NO_DEVICES, SMALL)
    for path in bound:
        _bind(f"/old{path}", f"/new{path}")
    for path in hidden:
        mount("tmpfs", f"/new{path}", "tmpfs", NO_SETUID | NO_DEVICES | READ_ONLY, SMALL)
    Path(f"/new{writable}").mkdir(parents=True)
    os.chdir("/new")
    pivot(machine, ".", ".")
    call("umount2", b".", DETACH)  # the old root, with all that was mounted in it
    os.chdir("/")
    _set_attributes("/", READ_ONLY | NO_SETUID | NO_DEVICES)


def become_nobody() -> None:
    """Be nobody, with no right but to make further worlds inside of this one."""
    if os.geteuid() == 0:
        call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    keep_rights(1 << SYS_ADMIN)


def keep_rights(kept: int) -> None:
    """Give up every capability whose bit is not in `kept`."""
    head = struct.pack("Ii", CAPABILITIES_VERSION, 0)
    call("capset", head, struct.pack("6I", kept, kept, 0, 0, 0, 0))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount as `man 2 mount` says; raise OSError with the place where it fails."""
    given = [None if each is None else each.encode() for each in (source, target, kind, options)]
    try:
        call("mount", *given[:3], flags, given[3])
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({target})") from None


def pivot(machine: str, new: str, old: str) -> None:
    """Make a mounted folder the root, and put the old root into another."""
    call("syscall", PIVOT_ROOT[machine], new.encode(), old.encode())


def _bind(source: str, target: str) -> None:
    if Path(source).is_dir():
        Path(target).mkdir(parents=True, exist_ok=True)
    else:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).touch()
    mount(source, target, None, BIND | WHOLE_TREE)
    _set_attributes(target, READ_ONLY | NO_SETUID | (0 if target.startswith("/new/dev/") else NO_DEVICES), RECURSIVE)


def _set_attributes(path: str, attributes: int, how: int = 0) -> None:
    """Set attributes of a mount: the same bits as for `mount`, since Linux 5.12."""
    call("syscall", MOUNT_SETATTR, HERE, path.encode(), how, struct.pack("QQQQ", attributes, 0, 0, 0), 32)


def own_processes() -> int:
    """Return a handle on this process's own world of processes, to come back to."""
    return call("syscall", PIDFD_OPEN, os.getpid(), 0)


def fork_into_new_world(home: int) -> int:
    """Fork; the child is the first of a new world of processes, all of which end with it. Return as `os.fork` does."""
    call("unshare", NEW_PROCESSES)
    child = os.fork()
    if child:
        call("setns", home, NEW_PROCESSES)
    return child
