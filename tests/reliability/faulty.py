"""A server of faults: plays one command per case in a forked child whose files fail at a chosen point.

    LD_PRELOAD=faults.so python -m tests.reliability.faulty     (cases as JSON lines on stdin, outcomes on stdout)

One process imports the house once and runs each command once, so that a case costs no start and compiles nothing.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

MOST_SECONDS = 60  # of one command, after which it hangs


def play(case: dict[str, Any]) -> dict[str, Any]:
    """Run a command in a child; return its exit code, the signal that ended it, and how many points it passed."""
    with tempfile.TemporaryFile() as told:
        child = os.fork()
        if child == 0:
            _run(case, told.fileno())
        _, status = os.waitpid(child, 0)
        told.seek(0)
        said, _, points = told.read().decode("utf-8", "replace").partition("\0")
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
    return {"code": code, "signal": ended, "points": int(points or 0), "said": said[-2000:]}


def _run(case: dict[str, Any], told: int) -> None:
    """Be the child: never returns."""
    code = 70
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(MOST_SECONDS)
        os.dup2(told, 1)
        os.dup2(told, 2)
        os.chdir(case["folder"])
        sys.argv = ["tamis", *case["command"]]
        shim = ctypes.CDLL(None)
        shim.faults_arm(str(case["below"]).encode(), ctypes.c_long(case["at"]), case["kind"], int(case["lasting"]))
        if case.get("clock"):
            shim.faults_clock(*map(ctypes.c_long, case["clock"]))
        code = command()
        os.write(told, b"\0%d" % (shim.faults_clock_reads() if case.get("clock") else shim.faults_seen()))
    finally:
        os._exit(code)


def command() -> int:
    """Run the command line as it is; return its exit code."""
    from pipeline.cli import main

    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        return int(ended.code or 0)


def warm(case: dict[str, Any]) -> None:
    """Run a case's command once in this process, without a fault, in a folder of its own."""
    here = tempfile.mkdtemp()
    shutil.copytree(case["folder"], here, dirs_exist_ok=True)
    before, out = Path.cwd(), os.dup(1)
    try:
        os.chdir(here)
        os.dup2(2, 1)
        sys.argv = ["tamis", *case["command"]]
        command()
    finally:
        os.dup2(out, 1)
        os.close(out)
        os.chdir(before)
        shutil.rmtree(here)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def serve() -> None:
    """Answer cases until stdin ends; a case that is only to warm up is answered once it ran."""
    for line in sys.stdin:
        case = json.loads(line)
        answer: dict[str, Any] = {}
        if case.get("warm"):
            warm(case)
        else:
            answer = play(case)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
