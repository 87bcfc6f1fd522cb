"""A folder -> whether results can be kept there: room, and fsync, rename, hard links, exclusive creation and locks.

All is tried in a folder of its own, which is removed again. What is promised to survive `kill -9` and a lost power
rests on the file system doing what it says.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.queries.machine.finding import Level, MachineFinding, gigabytes

FULL_BYTES, LITTLE_BYTES = 500e6, 5e9
FEW_FILES = 10_000  # that may still be made
SLOW_SECONDS = 0.1  # of an fsync
SHARED = ("nfs", "cifs", "smb", "9p", "fuse", "lustre", "gpfs", "beegfs", "ceph")  # whose locks depend on the server
MOST_APART_SECONDS = 2.0


def look_at_disk(name: str, folder: Path) -> Iterator[MachineFinding]:
    """Yield what can be said of the file system that holds a folder, which need not be there yet."""
    wanted = folder.expanduser().absolute()
    there = next(path for path in (wanted, *wanted.parents) if path.is_dir())
    kind = file_system_of(there)
    try:
        free = shutil.disk_usage(there).free
        files = os.statvfs(there)
    except OSError as error:
        yield MachineFinding(name, "fail", f"{wanted}: {error.strerror}", "Correct the path or its permissions.")
        return
    level: Level = "fail" if free < FULL_BYTES else "warn" if free < LITTLE_BYTES else "ok"
    few = files.f_files > 0 and files.f_favail < FEW_FILES
    level = "warn" if few and level == "ok" else level
    told = f"{wanted}: {kind}, {gigabytes(free)} free" + (f", room for {files.f_favail:,} files" if few else "")
    yield MachineFinding(name, level, told, "" if level == "ok" else "Make room, or name another --workspace.")
    yield from _tried(name, there, kind)


def _tried(name: str, there: Path, kind: str) -> Iterator[MachineFinding]:
    check = f"{name} writes"
    try:
        with tempfile.TemporaryDirectory(prefix=".tamis-doctor-", dir=there) as scratch:
            began = time.time()
            failed, seconds = _failures(Path(scratch))
            ended, written = time.time(), (Path(scratch) / "written").stat().st_mtime
    except OSError as error:
        told = f"{there}: {error.strerror}"
        yield MachineFinding(check, "fail", told, "Give this user the right to write there, or name another folder.")
        return
    if failed:
        told = f"{there}: {', '.join(failed)} {'does' if len(failed) == 1 else 'do'} not work on {kind}"
        way_out = "Keep the workspace on a local disk, or in a store (s3://...)."
        needed = {"fsync", "rename", "exclusive creation"} & {word.partition(" (")[0] for word in failed}
        yield MachineFinding(check, "fail" if needed else "warn", told, way_out)
    elif seconds > SLOW_SECONDS:
        told = f"{there}: an fsync takes {1000 * seconds:,.0f} ms"
        yield MachineFinding(check, "warn", told, "Results are right, and small steps slow. A local disk is faster.")
    else:
        told = f"fsync ({1000 * seconds:.1f} ms), rename, hard links, exclusive creation and locks work"
        yield MachineFinding(check, "ok", told)
    if kind.startswith(SHARED):
        told = f"{there} is shared ({kind}): a lock there holds only as far as its server keeps it"
        yield MachineFinding(f"{name} shared", "warn", told, "Let one machine at a time write to a workspace there.")
    apart = max(began - written, written - ended, 0.0)
    if apart > MOST_APART_SECONDS:
        told = f"{there} stamps files {apart:,.0f} s apart from this machine's clock"
        yield MachineFinding(f"{name} clock", "warn", told, "Let both keep their time by the same server (NTP).")


def _failures(scratch: Path) -> tuple[list[str], float]:
    """Return what does not work in a folder, and the seconds of an fsync."""
    seconds = 0.0
    failed = []
    written, moved, linked = scratch / "written", scratch / "moved", scratch / "linked"

    def fsync() -> None:
        nonlocal seconds
        with written.open("wb") as file:
            file.write(b"tamis")
            file.flush()
            began = time.monotonic()
            os.fsync(file.fileno())
            seconds = time.monotonic() - began
        holder = os.open(scratch, os.O_RDONLY)
        try:
            os.fsync(holder)
        finally:
            os.close(holder)

    def rename() -> None:
        moved.write_bytes(b"old")
        other = scratch / "other"
        other.write_bytes(b"new")
        os.replace(other, moved)
        if moved.read_bytes() != b"new" or other.exists():
            raise OSError(0, "the old content stayed")

    def link() -> None:
        linked.hardlink_to(written)
        if linked.stat().st_ino != written.stat().st_ino:
            raise OSError(0, "it is a copy")

    def exclusive() -> None:
        (scratch / "once").touch(exist_ok=False)
        try:
            (scratch / "once").touch(exist_ok=False)
        except FileExistsError:
            return
        raise OSError(0, "a file was made twice")

    def lock() -> None:
        with (scratch / "lock").open("w") as first, (scratch / "lock").open("w") as second:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            raise OSError(0, "two may hold it")

    tries: dict[str, Callable[[], None]] = {
        "fsync": fsync, "rename": rename, "hard links": link, "exclusive creation": exclusive, "locks": lock,
    }  # fmt: skip
    for what, attempt in tries.items():
        try:
            attempt()
        except OSError as error:
            failed.append(f"{what} ({error.strerror})")
    return failed, seconds


def file_system_of(folder: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the type of the file system that holds a folder, as Linux calls it; "unknown" elsewhere."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    best, found = -1, "unknown"
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        if folder.resolve().is_relative_to(point) and len(point) >= best:
            best, found = len(point), after.split()[0]
    return found
