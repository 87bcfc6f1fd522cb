"""Code that nobody trusts -> what it says its functions return, from a box that it cannot leave. Linux only.

A box has no network, no environment, no /proc, read-only Python without packages, an empty folder in memory, and limits
of processor, wall time, memory, files and processes. It is built by bubblewrap, or by namespaces of its own, and stays
warm: each run is a fresh process, torn down with everything it started (see tests/benchmarks). A box proves itself
before it takes code. Where none can be built, `RecipeError` says what to install; code never runs without one.

What comes out is a claim of the code, as bytes. Compare it here with what only you know (`synth/sandbox`).
"""

from __future__ import annotations

import json
import os
import platform
import select
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pipeline.core.errors import RecipeError, ServiceError
from pipeline.core.process import box_probe

CHILD = Path(__file__).with_name("box_child.py")
PARTS = (CHILD, CHILD.with_name("namespaces.py"), CHILD.with_name("system_calls.py"))
DEVICES = ("/dev/null",)
LOADER = ("/lib64", "/lib/ld-linux-aarch64.so.1")  # of programs, for bubblewrap, which starts one
START_SECONDS, GRACE_SECONDS = 20.0, 10.0
LONGEST_JOB = 16 << 20
LINE_BYTES, MOST_CHARACTERS = 4096, 200
WAY_OUT = (
    "Install bubblewrap (apt install bubblewrap), or let users make namespaces (sysctl -w "
    "user.max_user_namespaces=10000; on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0; in Docker a "
    "seccomp profile that allows unshare and mount). Linux 5.12 or later on x86_64 or aarch64 is needed."
)

Kind = Literal["ended", "timed_out", "too_long"]
Builder = Literal["bubblewrap", "namespaces"]


@dataclass(frozen=True, slots=True)
class BoxLimits:
    """What one run of code may take."""

    wall_seconds: float = 5.0
    cpu_seconds: int = 4
    memory_bytes: int = 256 << 20  # of address space
    answer_bytes: int = 1 << 20
    folder_bytes: int = 16 << 20  # of its folder, and of any file
    folder_files: int = 256
    open_files: int = 64


USUAL = BoxLimits()


@dataclass(frozen=True, slots=True)
class Ran:
    """How one run ended, and the bytes that the code claims: a line of JSON for each call, if it is honest."""

    kind: Kind
    said: bytes
    status: int  # exit code, or minus the signal that ended it
    wall_seconds: float
    cpu_seconds: float


class Box:
    """A warm box; a context manager, for one thread at a time. It ends with the thread that built it."""

    def __init__(self, limits: BoxLimits = USUAL, *, hash_seed: int = 0, builders: Sequence[Builder] = ()) -> None:
        """Build a box by the first builder that can, and let it prove itself; raise RecipeError where none can.

        `hash_seed` settles the order of sets of texts: code that gives other values under another seed depends on it.
        """
        self.limits, self.hash_seed = limits, hash_seed
        self._child: subprocess.Popen[bytes] | None = None
        refusals = []
        for builder in builders or _order():
            try:
                self._start(builder)
                return
            except (OSError, ServiceError) as error:
                self.close()
                refusals.append(f"{builder}: {getattr(error, 'strerror', None) or error}")
        raise RecipeError(
            f"the box for generated code cannot be built on this machine ({'; '.join(refusals)}); code that a model "
            f"wrote runs in a box or not at all. {WAY_OUT}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, code: str, *, function: str, calls: Sequence[Sequence[Any]]) -> Ran:
        """Run code, then its function once for each list of arguments (plain JSON), all in one fresh process.

        Raises ServiceError where the box itself is lost, for instance to a machine out of memory, TypeError or
        ValueError where the arguments are not of JSON or the job is too long.
        """
        job = json.dumps({"code": code, "function": function, "calls": calls}, allow_nan=False).encode()
        if len(job) > LONGEST_JOB:
            raise ValueError(f"a job has {len(job):,} bytes; a box takes at most {LONGEST_JOB:,}")
        try:
            self._give(job)
            until = time.monotonic() + self.limits.wall_seconds + GRACE_SECONDS
            pieces = list(iter(lambda: self._take(until, longest=self.limits.answer_bytes), b""))
            told = json.loads(self._take(until, longest=LINE_BYTES))
        except (OSError, ValueError) as error:
            self.close()
            raise ServiceError(
                f"the box ({self.builder}) was lost while code ran in it: {error}. Run again; if it happens twice, "
                "look whether the machine runs out of memory."
            ) from error
        except BaseException:  # whoever is interrupted would find this answer at the next question
            self.close()
            raise
        return Ran(said=b"".join(pieces), **told)

    @property
    def is_open(self) -> bool:
        """Say whether the box takes code."""
        return self._child is not None

    def close(self) -> None:
        """End the box and all in it."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        child.wait()

    def _start(self, builder: Builder) -> None:
        if platform.system() != "Linux":
            raise OSError(38, f"needs Linux, this is {platform.system()}")
        bound, hidden = _python()
        plan = {
            "build": builder == "namespaces", "machine": platform.machine(), "limits": asdict(self.limits),
            "bound": [*bound, *DEVICES], "hidden": hidden,
        }  # fmt: skip
        python = [os.path.realpath(sys.executable), "-P", "-s", "-S", "-B", str(CHILD)]
        command = python if plan["build"] else _bubblewrap(python, bound=bound, hidden=hidden)
        self.builder = builder
        with tempfile.TemporaryFile() as complaints:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, cwd="/",
                env={"LANG": "C.UTF-8", "PYTHONHASHSEED": str(self.hash_seed)}, start_new_session=True, bufsize=0,
            )  # fmt: skip
            try:
                self._give(json.dumps(plan).encode())
                heard = json.loads(self._take(time.monotonic() + START_SECONDS, longest=LINE_BYTES))
            except OSError as error:
                self.close()
                complaints.seek(0)
                told = complaints.read(LINE_BYTES).decode("utf-8", "replace").strip().rpartition("\n")[2]
                raise OSError(error.errno, told[:MOST_CHARACTERS] or error.strerror) from error
        if "failed" in heard:
            raise OSError(1, heard["failed"])
        self._prove()

    def _prove(self) -> None:
        """Try every door from inside; raise OSError where one is open."""
        source = Path(box_probe.__file__).read_text(encoding="utf-8")
        said = self.run(source, function="open_doors", calls=[[os.getpid(), str(Path(__file__))]]).said
        if said != b'{"value": []}\n':
            raise OSError(1, f"a box was built and does not hold: {said[:MOST_CHARACTERS]!r}")

    def _give(self, content: bytes) -> None:
        assert self._child is not None and self._child.stdin is not None, "the box is closed"
        left = memoryview(struct.pack(">I", len(content)) + content)
        while left:
            left = left[os.write(self._child.stdin.fileno(), left) :]

    def _take(self, until: float, *, longest: int) -> bytes:
        length = struct.unpack(">I", self._take_bytes(4, until))[0]
        if length > longest:
            raise OSError(90, "it said too much")
        return self._take_bytes(length, until)

    def _take_bytes(self, length: int, until: float) -> bytes:
        assert self._child is not None and self._child.stdout is not None, "the box is closed"
        source, pieces = self._child.stdout.fileno(), []
        while length:
            ready, _, _ = select.select([source], [], [], max(0.0, until - time.monotonic()))
            piece = os.read(source, min(length, 1 << 20)) if ready else b""
            if not piece:
                raise OSError(32, "it ended" if ready else "it does not answer")
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)


def _order() -> tuple[Builder, ...]:
    """Return who builds first: for root our own, which gives root up; bubblewrap would only hide it."""
    return ("namespaces", "bubblewrap") if os.geteuid() == 0 else ("bubblewrap", "namespaces")


def _python() -> tuple[list[str], list[str]]:
    """Return what Python needs to run code, and what of it stays empty: packages."""
    base: Mapping[str, str] = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    standard = {os.path.realpath(sysconfig.get_path(name, vars=dict(base))) for name in ("stdlib", "platstdlib")}
    mapped = {line.split(maxsplit=5)[-1].strip() for line in Path("/proc/self/maps").read_text().splitlines()}
    roots = (os.path.realpath(sys.base_prefix), "/usr/lib", "/lib")
    shared = {str(Path(path).parent) for path in mapped if ".so" in path and path.startswith(roots)}
    shared = {path for path in shared if "-packages" not in path}
    linked = {path.removeprefix("/usr") for path in shared if path.startswith("/usr/")}
    folders = standard | shared | {path for path in linked if Path(path).is_dir()}
    bound = [path for path in sorted(folders) if not any(Path(other) in Path(path).parents for other in folders)]
    hidden = [f"{folder}/{name}" for folder in sorted(standard) for name in ("site-packages", "dist-packages")]
    return bound, [path for path in hidden if Path(path).is_dir()]


def _bubblewrap(python: Sequence[str], *, bound: Sequence[str], hidden: Sequence[str]) -> list[str]:
    program = shutil.which("bwrap")
    if program is None:
        raise OSError(2, "not installed")
    command = [program, "--unshare-user", "--uid", "65534", "--gid", "65534", "--unshare-ipc", "--unshare-pid"]
    command += [
        "--unshare-net",
        "--unshare-uts",
        "--hostname",
        "box",
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
    ]
    command += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
    for path in (*bound, python[0], *map(str, PARTS), *filter(os.path.exists, LOADER)):
        command += ["--ro-bind", path, path]
    for path in hidden:
        command += ["--tmpfs", path, "--remount-ro", path]
    for path in DEVICES:
        command += ["--dev-bind", path, path]
    return [*command, "--dir", "/tmp", "--remount-ro", "/", "--chdir", "/", "--", *python]
