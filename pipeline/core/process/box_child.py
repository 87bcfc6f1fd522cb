"""The inside of a box for code that nobody trusts: a keeper that waits there, and one process for each run of code.

    stdin   frames: first the plan of the box, then jobs {"code", "function", "calls"}
    stdout  frames: {"built": ...} or {"failed": ...}; then for each job pieces of what it said, nothing, how it ended

Run as a script by `box.py`, or by bubblewrap for it. The keeper forks a process that is the first of its own world,
reads the job, gives up all rights, says READY, and answers; whatever that process started ends with it. What it says is
its claim: no expected value is ever in the box. Neither jobs nor answers pass through the keeper's memory, of which
every later process has a copy: a cheat would find there what the reference answered.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import importlib.util
import json
import os
import resource
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

OFTEN_IMPORTED = (
    "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "heapq",
    "itertools", "math", "operator", "re", "statistics", "string", "typing",
)  # fmt: skip
FOLDER = "/tmp"
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
MOST_CHARACTERS = 200  # of an error
SCALARS = (str, int, float, bool, type(None))
READY = b"!"
REFUSALS = {  # errors of the system that mean here: a refused call, a limit, or nothing that can be written
    errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS, errno.ENOSPC, errno.EFBIG, errno.EMFILE, errno.EDQUOT,
}  # fmt: skip


def main() -> None:
    """Build the box, or find it built by bubblewrap, and keep it."""
    plan = json.loads(take_frame(0) or b"{}")
    spaces, calls = beside("namespaces"), beside("system_calls")
    try:
        spaces.call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if plan["build"]:
            spaces.enter_own_user()
            spaces.enter_own_world(machine=plan["machine"], bound=plan["bound"], hidden=plan["hidden"], writable=FOLDER)
            keeper = os.fork()
            if keeper:
                os.close(0)
                os.close(1)
                os._exit(os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1]) & 0xFF)
            spaces.become_nobody()
            spaces.call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # forgotten where the user changed
        spaces.keep_rights(1 << spaces.SYS_ADMIN)
        keep = Keeper(spaces, calls, plan["limits"])
    except (OSError, KeyError) as error:
        give_frame(1, json.dumps({"failed": str(error)}).encode())
        return
    give_frame(1, json.dumps({"built": True}).encode())
    while keep.waits():
        keep.run()


def beside(name: str) -> ModuleType:
    """Import a module that lies beside this one, without the packages around it."""
    spec = importlib.util.spec_from_file_location(f"box_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def take_frame(source: int) -> bytes | None:
    """Read one frame; None where there is no more."""
    head = _take(source, 4)
    return None if head is None else _take(source, struct.unpack(">I", head)[0])


def _take(source: int, length: int) -> bytes | None:
    pieces = []
    while length and (piece := os.read(source, min(length, 1 << 20))):
        pieces.append(piece)
        length -= len(piece)
    return None if length else b"".join(pieces)


def give_frame(sink: int, content: bytes) -> None:
    """Write one frame."""
    give(sink, struct.pack(">I", len(content)) + content)


def give(sink: int, content: bytes) -> None:
    """Write all of it."""
    left = memoryview(content)
    while left:
        left = left[os.write(sink, left) :]


class Keeper:
    """Waits in the box and forks a process for each job."""

    def __init__(self, spaces: ModuleType, calls: ModuleType, limits: Mapping[str, Any]) -> None:
        self.spaces, self.calls, self.limits = spaces, calls, limits
        program = calls.program_for(1, calls.REFUSED | calls.REFUSED_IN_A_BOX, asking=calls.REFUSED_ASKING_IN_A_BOX)
        if program is None:
            raise OSError(38, "no filter of system calls for this processor")
        self.program = program
        self.home = spaces.own_processes()
        self._mount_folder()
        for name in OFTEN_IMPORTED:
            importlib.import_module(name)
        os.environ.clear()
        gc.collect()
        gc.freeze()

    def waits(self) -> bool:
        """Wait for a job; say whether one comes."""
        watched = select.poll()
        watched.register(0, select.POLLIN)
        return any(events & select.POLLIN for _, events in watched.poll())

    def run(self) -> None:
        """Run the next job in a process of its own; pass on what it says, then how it ended."""
        spaces, began = self.spaces, time.monotonic()
        hears, says = os.pipe()
        child = spaces.fork_into_new_world(self.home)
        if not child:
            self._become_inmate(says)
        os.close(says)
        kind = self._pass_on(hears, until=began + self.limits["wall_seconds"])
        os.close(hears)
        os.kill(child, signal.SIGKILL)  # and with it all that is left of its world
        _, status, used = os.wait4(child, 0)
        if any(Path(FOLDER).iterdir()) or Path(FOLDER).stat().st_ctime_ns != self.made:
            # rarely; mounting for every run would halve their number
            spaces.call("umount2", FOLDER.encode(), spaces.DETACH)
            self._mount_folder()
        told = {
            "kind": kind, "status": os.waitstatus_to_exitcode(status), "wall_seconds": time.monotonic() - began,
            "cpu_seconds": used.ru_utime + used.ru_stime,
        }  # fmt: skip
        give_frame(1, b"")
        give_frame(1, json.dumps(told).encode())

    def _mount_folder(self) -> None:
        options = f"mode=700,size={self.limits['folder_bytes']},nr_inodes={self.limits['folder_files']}"
        flags = self.spaces.NO_SETUID | self.spaces.NO_DEVICES | self.spaces.NO_ACCESS_TIMES
        self.spaces.mount("tmpfs", FOLDER, "tmpfs", flags, options)
        self.made = Path(FOLDER).stat().st_ctime_ns  # a file that came and went would be told by it

    def _pass_on(self, hears: int, *, until: float) -> str:
        """Pass on what is said until nobody can say more, or it is too late or too long; end with the parent.

        End too where the process does not get ready: the rest of its job would be taken for the next one.
        """
        left, ready = self.limits["answer_bytes"], False
        watched = select.poll()
        watched.register(hears, select.POLLIN)
        watched.register(1, 0)  # fails when the parent is gone
        while (seconds := until - time.monotonic()) > 0:
            found = dict(watched.poll(max(1, round(1000 * seconds))))
            if 1 in found:
                os._exit(1)
            if hears in found and not ready:
                if os.read(hears, 1) != READY:
                    os._exit(1)
                ready = True
            elif hears in found:
                there = struct.unpack("i", fcntl.ioctl(hears, termios.FIONREAD, b"1234"))[0]
                if not there:
                    return "ended"
                if there > left:
                    return "too_long"
                left -= there
                give(1, struct.pack(">I", there))
                while there:
                    there -= os.splice(hears, 1, there)
        if not ready:
            os._exit(1)
        return "timed_out"

    def _become_inmate(self, says: int) -> None:
        """Read the job, give up everything, then answer; never returns."""
        try:
            job = take_frame(0)
            os.setsid()  # signals to its group would reach the keeper
            nothing = os.open(os.devnull, os.O_RDWR)  # opened anew: flags and locks of an open file outlive a process
            for place in (0, 1, 2):
                os.dup2(nothing, place)
            says = 3 if says == 3 else os.dup2(says, 3)
            os.closerange(4, 256)
            os.chdir(FOLDER)
            self.spaces.keep_rights(0)
            limit(self.limits)
            self.spaces.call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            if job is None or not self.calls.install(self.program):
                os._exit(1)
            give(says, READY)
            answer(job, lambda line: give(says, line))
        finally:
            os._exit(0)


def limit(limits: Mapping[str, Any]) -> None:
    """Set limits of this process that it cannot raise again."""
    for what, most in (
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["folder_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_NPROC, 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        resource.setrlimit(what, (most, most))


def answer(job: bytes, say: Callable[[bytes], None]) -> None:
    """Run the code of a job, then each call of its function; say a line of JSON for each.

    A line is {"value": ...} or {"failed": reason, "told": error}; the only one, of reason "start", where nothing was
    called.
    """
    task = json.loads(job)
    dumps = json.dumps
    try:
        space: dict[str, Any] = {"__name__": "solution"}
        exec(compile(task["code"], "solution.py", "exec"), space)  # that is what the box is for
        function = space[task["function"]]
    except BaseException as error:  # noqa: BLE001 - also SystemExit: what the code raises is its answer
        say(_failed(error, "start"))
        return
    for arguments in task["calls"]:
        try:
            value = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - as above
            say(_failed(error))
            continue
        try:
            line = dumps({"value": plain(value)}, allow_nan=False).encode() + b"\n"
        except BaseException as error:  # noqa: BLE001 - as above
            line = _failed(error, "memory" if isinstance(error, MemoryError) else "form")
        say(line)


def plain(value: Any) -> Any:
    """Return a value that JSON holds as it is; raise TypeError for any other, subclasses and tuples too."""
    kind = type(value)
    if kind is list:
        return [plain(each) for each in value]
    if kind is dict:
        if any(type(key) is not str for key in value):
            raise TypeError("a key is no text")
        return {key: plain(each) for key, each in value.items()}
    if kind not in SCALARS:
        raise TypeError(f"{kind.__name__} is no value of JSON")
    return value


def _failed(error: BaseException, reason: str = "") -> bytes:
    if not reason:
        refused = isinstance(error, OSError) and error.errno in REFUSALS
        reason = "refused" if refused else "memory" if isinstance(error, MemoryError) else "raised"
    try:
        text = f"{type(error).__name__}: {error}"[:MOST_CHARACTERS]
    except BaseException:  # noqa: BLE001 - an error that cannot even be shown
        text = "an error that cannot be shown"
    return json.dumps({"failed": reason, "told": text}).encode() + b"\n"


if __name__ == "__main__":
    main()
