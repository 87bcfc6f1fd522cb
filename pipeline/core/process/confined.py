"""A question -> the answer of a function that is not trusted, in a process that reaches nothing but the question.

It sees an environment of its own, an empty folder, Python, the installed packages and our code. It writes nothing, has
no network, no second process or thread, no signal for others, and limits of time, memory and output. What a platform
does not enforce (all of it is on Linux 6.2 and later, x86_64 and aarch64; elsewhere only limits) is told with the
outcome, so that nobody believes more than is so. A start costs 0.1 s. The lock is the kernel's: whoever runs as the
same user *outside* of this process, a person or an agent with a shell, is not held by it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

CHILD = Path(__file__).with_name("confined_child.py")
HOUSE = ("pipeline", "filters", "synth", "eval")
SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
    "/dev/urandom",
)  # fmt: skip
ENVIRONMENT = {
    "LANG": "C.UTF-8", "PATH": "", "PYDANTIC_DISABLE_PLUGINS": "__all__", "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
}  # fmt: skip
LINE_BYTES = 4096  # most of the line about the confinement
END_SECONDS = 2.0  # for a child that said all to end by itself
MOST_CHARACTERS = 300  # of what is told

Kind = Literal["answer", "refused", "timed_out", "too_long", "died"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What an answer may cost."""

    wall_seconds: float = 60.0
    cpu_seconds: int = 30
    memory_bytes: int = 4 << 30  # of address space: libraries map more than they use
    answer_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Confinement:
    """What the kernel holds a confined process to on this machine; whatever is False, it could do."""

    files: bool = False  # reads only Python, packages and our code; writes nothing
    emptying: bool = False  # empties no files, which early versions of Landlock let pass
    metadata: bool = False  # changes no permissions or times of files
    network: bool = False  # no sockets at all
    tcp: bool = False  # no TCP
    signals: bool = False  # none to other processes
    processes: bool = False  # no second one, and no look into others
    unprivileged: bool = False  # is not root
    memory: bool = False  # address space is limited

    @property
    def open_doors(self) -> tuple[str, ...]:
        """What this machine lets a confined process do."""
        return tuple(DOORS[field.name] for field in fields(self) if not getattr(self, field.name))

    @property
    def sentence(self) -> str:
        """One line on what holds here, for people."""
        if not self.open_doors:
            return "Proposers are confined: no files but Python and our code, no writing, network or other processes."
        return (
            f"This machine does not keep a proposer from {', '.join(self.open_doors)}; what it changed would be seen "
            "by hashes afterwards, and what it read would not. Linux 6.2 or later keeps it from all of that."
        )


DOORS = {
    "files": "reading and writing files",
    "emptying": "emptying files",
    "metadata": "changing permissions of files",
    "network": "using the network",
    "tcp": "TCP",
    "signals": "ending other processes",
    "processes": "starting processes and looking into others",
    "unprivileged": "acting as root",
    "memory": "taking all memory",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a question: an answer, or in one line why there is none."""

    kind: Kind
    answer: Any  # a JSON object; None without one
    told: str
    wall_seconds: float
    confinement: Confinement


def ask_confined(
    function: str,
    question: Any,
    *,
    limits: Limits = Limits(),
    files: Mapping[str, Path] = MappingProxyType({}),
    hidden: Sequence[Path] = (),
) -> Outcome:
    """Call `module:function` with one value of plain JSON, confined; whatever it does, an outcome is returned.

    The module is one that can be imported here, or one of `files` by its name, which is all that can be read around it.
    `hidden` is what must not be readable, such as workspace and recipe: where it lies inside of what Python needs, the
    outcome says that files are not kept.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tamis-") as folder, tempfile.TemporaryFile() as given:
        Path(folder).chmod(0o755)  # for the user that it will be
        task = _task(function, question, folder=folder, limits=limits, files=files, hidden=hidden)
        given.write(json.dumps(task, allow_nan=False).encode())
        given.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(CHILD)],
            stdin=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder, start_new_session=True,
            env=ENVIRONMENT | {"HOME": folder, "TMPDIR": folder},
        )  # fmt: skip
        heard = _hear(child, limits=limits, deadline=began + limits.wall_seconds)
    return _outcome(heard, limits=limits, wall_seconds=time.monotonic() - began)


def _task(
    function: str, question: Any, *, folder: str, limits: Limits, files: Mapping[str, Path], hidden: Sequence[Path]
) -> dict[str, Any]:
    """Return what the child is told."""
    own = function.partition(":")[0].partition(".")[0]
    packages = {name: str(place) for name in {*HOUSE, own} - files.keys() if (place := _place(name)) is not None}
    packages |= {name: str(path.resolve()) for name, path in files.items()}
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    python = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), str(sysconfig.get_config_var("LIBDIR"))]
    needed = (*packages.values(), *libraries, *python, folder)
    readable = sorted({os.path.realpath(path) for path in needed} | {*SYSTEM})
    return {
        "function": function, "question": question, "limits": asdict(limits), "packages": packages,
        "libraries": libraries, "readable": readable, "parent": os.getpid(),
        "hides": not any(place.resolve().is_relative_to(path) for path in readable for place in hidden),
        "closed": not all(map(_is_open_to_all, readable)),
    }  # fmt: skip


def confinement() -> Confinement:
    """Return what this machine holds a confined process to, by confining one."""
    return ask_confined("builtins:dict", {}).confinement


def _place(package: str) -> Path | None:
    """Return the folder of a top-level package, or the file of a module; None where there is none."""
    with suppress(ImportError, ValueError):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None and Path(spec.origin).exists():
            return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
    return None


def _is_open_to_all(path: str) -> bool:
    """Say whether any user may go down to a path and read there."""
    folders = [folder for folder in (Path(path), *Path(path).parents) if folder.is_dir()]
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in folders)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a child wrote, whether it was ended for its time or its length, and how it ended."""

    said: bytes
    late: bool
    long: bool
    status: int


def _hear(child: subprocess.Popen[bytes], *, limits: Limits, deadline: float) -> _Heard:
    """Read until the child ends or goes too far; it has ended when this returns, with all that it started."""
    assert child.stdout is not None
    pieces: list[bytes] = []
    left = LINE_BYTES + limits.answer_bytes
    late = False
    try:
        while left > 0 and not late:
            ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(child.stdout.fileno(), min(left, 1 << 16)) if ready else b""
            late = not ready
            if ready and not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        if not late and left > 0:  # all was said
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=max(0.0, min(END_SECONDS, deadline - time.monotonic())))
    finally:
        with suppress(ProcessLookupError, PermissionError):  # itself, or what it left where it can start processes
            os.killpg(child.pid, signal.SIGKILL)
        child.stdout.close()
        child.wait()
    return _Heard(b"".join(pieces), late=late, long=left <= 0, status=child.returncode)


def _outcome(heard: _Heard, *, limits: Limits, wall_seconds: float) -> Outcome:
    """Judge what was heard: first how it ended, then whether it is an answer."""
    line, _, said = heard.said.partition(b"\n")
    try:
        held = Confinement(**json.loads(line))
    except (ValueError, TypeError):  # it ended before it could say so
        held = Confinement()
    none = partial(Outcome, answer=None, wall_seconds=wall_seconds, confinement=held)
    if heard.late:
        return none("timed_out", told=f"gave no answer within {limits.wall_seconds:g} s")
    if heard.status == -signal.SIGXCPU:
        return none("timed_out", told=f"gave no answer within {limits.cpu_seconds} s of processor time")
    if heard.long:
        return none("too_long", told=f"wrote more than the {limits.answer_bytes:,} bytes that an answer may have")
    try:
        frame = json.loads(said)
        json.dumps(frame, ensure_ascii=False, allow_nan=False).encode()  # infinities and halves of characters
    except (ValueError, RecursionError):
        return none("died", told=f"ended without an answer that can be read ({_ending(heard.status)})")
    if not isinstance(frame, dict) or "raised" in frame:
        return none("died", told=_cut(str(frame["raised"]) if isinstance(frame, dict) else "answered out of turn"))
    answer = frame.get("answer")
    if not isinstance(answer, dict):
        return none("refused", told=f"answered in prose: {_cut(json.dumps(answer, ensure_ascii=False))}")
    return Outcome("answer", answer, "", wall_seconds=wall_seconds, confinement=held)


def _ending(status: int) -> str:
    return f"exit {status}" if status >= 0 else signal.Signals(-status).name


def _cut(text: str) -> str:
    return " ".join(text.split())[:MOST_CHARACTERS]
