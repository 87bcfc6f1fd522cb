"""Attacks and cheats, played in boxes and, to see that each would be noticed, without: what went well for them.

Attackers are told what no generated code is told: where a secret lies, who the parent is, which ports listen.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.process import box as box_module
from pipeline.core.process.box import Builder
from synth.sandbox.sandbox import Execution, Sandbox
from synth.sandbox.values import Failure, Value
from tests.synth.sandbox import attacks
from tests.synth.sandbox.cheats import CHEATS, HONEST, LIMITS, accepted_by_values, accepted_by_word

SECRET = "a-key-that-nobody-may-have"
MARKER = "the-answer-of-the-reference"
FRAMES = """
import fcntl, os, struct
def solve(items):
    fcntl.fcntl(3, fcntl.F_SETFL, os.O_DIRECT | os.O_NONBLOCK)  # each writing is a packet
    end = b'{"kind": "ended", "status": 0, "wall_seconds": 0, "cpu_seconds": 0}'
    parts = (b'{"value": [1, 2, 3]}', b"", end, b"", end)
    forged = b"!" + b"".join(struct.pack(">I", len(each)) + each for each in parts)
    for size in (1, 3, 4096, 7):
        for start in range(0, len(forged), size):
            os.write(3, forged[start : start + size])
    os._exit(0)
"""
MOVED = "".join(chr(ord(each) + 1) for each in MARKER)  # as attackers are told it
REMEMBER = "def remember(text):\n    return [text] * 3000\n"
CODE = inspect.getsource(attacks)
ATTACKS = [name for name, each in vars(attacks).items() if inspect.isfunction(each) and not name.startswith("_")]
BARE = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("bare", sys.argv[1])
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)
before = sys.argv[2].encode()
child.answer(sys.stdin.buffer.read(), lambda line: child.give(1, line))
os._exit(0)
"""


def escapes_from_boxes(folder: Path, *, builder: Builder, num_boxes: int = 2) -> list[str]:
    """Return the attacks that got something out of a box, and the cheats that passed; empty where it holds."""
    with Sandbox(LIMITS, boxes=num_boxes, builders=[builder]) as sandbox, _told(folder) as told:
        before = living_below(os.getpid())
        played = sandbox.execute_all(Execution(CODE, name, [[told]]) for name in ATTACKS)
        outcomes = {name: outcome[0] for name, outcome in zip(ATTACKS, played, strict=True)}
        outcomes["find_the_job_before_in_memory"] = _look_for_the_job_before(told, builder=builder)
        assert not [each for each in outcomes.values() if isinstance(each, Failure) and each.why == "start"], outcomes
        escaped = [name for name, each in outcomes.items() if isinstance(each, Value) and each.value]
        assert accepted_by_values(sandbox, HONEST), "nothing passes in the box"
        escaped += [name for name, code in CHEATS.items() if accepted_by_values(sandbox, code)]
        if _answers_for_the_next(builder):
            escaped.append("an answer to somebody else's question")
        if living_below(os.getpid()) != before:
            escaped.append("a process outlives its run")
        time.sleep(max(0.0, told["late_until"] - time.time()))
    if Path(told["victim"]).read_text() != "whole" or Path(told["late"]).exists():
        escaped.append("a file was written outside")
    return escaped


def _look_for_the_job_before(told: dict[str, Any], *, builder: Builder) -> Value | Failure:
    with Sandbox(LIMITS, boxes=1, builders=[builder]) as sandbox:
        for _ in range(4):
            answer = sandbox.execute(REMEMBER, function="remember", inputs=[[MARKER]])
            assert answer == [Value([MARKER] * 3000)], "nothing runs in the box"
        return sandbox.execute(CODE, function="find_the_job_before_in_memory", inputs=[[told]])[0]


def _answers_for_the_next(builder: Builder) -> bool:
    with Sandbox(LIMITS, boxes=1, builders=[builder]) as sandbox:
        forged = accepted_by_values(sandbox, FRAMES)
        return forged or not accepted_by_values(sandbox, HONEST)


def escapes_without_a_box(folder: Path) -> list[str]:
    """Return the attacks that got something in a plain process, and the cheats that a trusting judge believes."""
    escaped = []
    with _told(folder) as told:
        for name in ATTACKS:
            place = folder / name
            place.mkdir()
            if _goes_well_bare(name, told, place):
                escaped.append(name)
            shutil.rmtree(place)
    return escaped + [name for name, code in CHEATS.items() if accepted_by_word(code)]


def _goes_well_bare(name: str, told: Mapping[str, Any], folder: Path) -> bool:
    job = json.dumps({"code": CODE, "function": name, "calls": [[told]]}).encode()
    left_open, other = os.pipe()
    command = [sys.executable, "-I", "-S", "-c", BARE, str(box_module.CHILD), MARKER]
    try:
        said = subprocess.run(
            command, input=job, capture_output=True, cwd=folder, pass_fds=[left_open], timeout=30, check=False
        ).stdout
    finally:
        os.close(left_open)
        os.close(other)
    return bool(said) and bool(json.loads(said.partition(b"\n")[0]).get("value"))


@contextmanager
def _told(folder: Path) -> Iterator[dict[str, Any]]:
    """Everything that an attacker would like to know, and what it may find, with doors that are open to others."""
    (folder / "secret").write_text(SECRET)
    (folder / "victim").write_text("whole")
    kept, before = bytearray(SECRET.encode()), os.environ.get("SECRET")
    os.environ["SECRET"] = SECRET
    with ExitStack() as doors:
        tcp = doors.enter_context(socket.create_server(("127.0.0.1", 0)))
        for name in (str(folder / "socket"), f"\0tamis-{os.getpid()}"):
            listening = doors.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(name)
            listening.listen()
        try:
            yield {
                "secret": str(folder / "secret"), "secret_text": SECRET, "victim": str(folder / "victim"),
                "code": attacks.__file__, "parent": os.getpid(), "port": tcp.getsockname()[1],
                "host": os.uname().nodename, "socket": str(folder / "socket"), "abstract": f"tamis-{os.getpid()}",
                "address": _address(kept), "marker": MOVED, "late": str(folder / "late"),
                "packages": [sysconfig.get_path("purelib"), f"{sysconfig.get_path('stdlib')}/site-packages"],
                "late_seconds": 2.0, "late_until": time.time() + 2.5, "spin_seconds": 1.5, "sleep_seconds": 1.5,
            }  # fmt: skip
        finally:
            os.environ.pop("SECRET")
            if before is not None:
                os.environ["SECRET"] = before


def _address(kept: bytearray) -> int:
    return id(kept) & ~15


def living_below(process: int) -> set[int]:
    """Return the processes that a process started, and what those started."""
    found: set[int] = set()
    for task in Path(f"/proc/{process}/task").glob("*"):
        for child in map(int, (task / "children").read_text().split()):
            found |= {child} | living_below(child)
    return found
