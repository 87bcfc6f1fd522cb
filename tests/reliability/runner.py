"""Runs that buy and die at a chosen moment, then others that buy the same until one ends well.

    python -m tests.reliability.runner FOLDER     (cases as JSON lines on stdin, outcomes on stdout)

One process imports the client and forks a child for each case and each run of it, so that neither costs a start. A
run buys over a real socket; at the chosen moment it kills itself with SIGKILL.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import json
import os
import signal
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.claude.batches.desk import BatchDesk, Pacing
from pipeline.core.claude.batches.log import BatchLog
from pipeline.core.claude.batches.wire import BatchWire
from pipeline.core.claude.client import ClaudeClient
from pipeline.core.claude.ledger.ledger import Ledger
from pipeline.core.errors import TamisError
from tests.pipeline.core.claude.asking import requests_for

COUNT = 12
PACING = Pacing(most_requests=5, poll_seconds=0.005, longest_poll_seconds=0.02, grace_seconds=0.2)
MOST_RUNS = 6

# Where a run dies: before or after which call, and at which time that it is made.
SINGLE_KILLS: dict[str, tuple[type, str, str, int]] = {
    "planned": (Ledger, "plan", "after", 1),
    "before the intent": (Ledger, "record_intent", "before", 1),
    "intent in the ledger": (Ledger, "record_intent", "after", 1),
    "later intent in the ledger": (Ledger, "record_intent", "after", 5),
    "answered, not stored": (Ledger, "record_answer", "before", 1),
    "answer stored": (Ledger, "record_answer", "after", 1),
    "later answer not stored": (Ledger, "record_answer", "before", 6),
    "failed, not stored": (Ledger, "record_failure", "before", 1),
    "failure stored": (Ledger, "record_failure", "after", 1),
    "concluding": (Ledger, "conclude", "before", 1),
}
BATCH_KILLS: dict[str, tuple[type, str, str, int]] = {
    "planned": (Ledger, "plan", "after", 1),
    "before the intent": (BatchLog, "record_intent", "before", 1),
    "intent in the ledger": (BatchLog, "record_intent", "after", 1),
    "second intent in the ledger": (BatchLog, "record_intent", "after", 2),
    "created, not recorded": (BatchWire, "create", "after", 1),
    "second created, not recorded": (BatchWire, "create", "after", 2),
    "created and recorded": (BatchLog, "record_created", "after", 1),
    "all are on their way": (BatchLog, "record_created", "after", 3),
    "looked up": (BatchWire, "look_up", "after", 1),
    "listed": (BatchDesk, "find_doubted", "after", 2),
    "first lines not stored": (BatchLog, "record_landed", "before", 1),
    "first lines stored": (BatchLog, "record_landed", "after", 1),
    "later lines stored": (BatchLog, "record_landed", "after", 3),
    "not closed": (BatchLog, "close", "before", 1),
    "closed": (BatchLog, "close", "after", 1),
    "concluding": (Ledger, "conclude", "before", 1),
}


def arm(kill: str, *, batches: bool) -> None:
    """Make this process kill itself at a moment."""
    owner, name, when, times = (BATCH_KILLS if batches else SINGLE_KILLS)[kill]
    real: Callable[..., Any] = getattr(owner, name)
    calls = itertools.count(1)

    def dying(*given: Any, **named: Any) -> Any:
        call = next(calls)  # of several threads
        if when == "before" and call == times:
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(*given, **named)
        if when == "after" and call == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, dying)


def forked(work: Callable[[], str]) -> tuple[int, str]:
    """Do work in a child process; return its signal or 0, and what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        said = "our bug"
        try:
            said = work()
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0), said


def buy(
    ledger: Path, *, max_usd: float, batches: bool, kill: str | None, workers: int = 2, clock: Sequence[int] = ()
) -> str:
    """Buy all requests; return `done` or what the error says. With a `clock`, it jumps by the shim of faults."""
    import pipeline.core.claude.batches.desk as desk

    desk.PORTION = 2
    if kill is not None:
        arm(kill, batches=batches)
    if clock:
        ctypes.CDLL(None).faults_clock(*map(ctypes.c_long, clock))
    how: dict[str, Any] = {"batches": batches, "pacing": PACING, "workers": workers}
    how |= {"timeout_seconds": 0.4, "backoff_seconds": 0.01}
    try:
        with ClaudeClient(ledger, max_usd=max_usd, **how) as client:
            answers = client.ask(requests_for(COUNT))
    except TamisError as error:
        return f"{type(error).__name__}: {error}"
    return "done" if {answer.status for answer in answers} <= {"parsed", "errored"} else "an answer is missing"


def run_case(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Die once, then buy until all is there."""
    os.environ["ANTHROPIC_BASE_URL"] = case["base_url"]
    ledger = folder / f"{case['number']}.sqlite"
    how = {key: case[key] for key in ("max_usd", "batches", "workers", "clock") if key in case}
    died, first = forked(lambda: buy(ledger, kill=case["kill"], **how))
    said = [first]
    while said[-1] != "done" and len(said) < MOST_RUNS:
        said.append(forked(lambda: buy(ledger, kill=None, **how))[1])
    return {"number": case["number"], "died": died, "said": said, "ledger": str(ledger)}


def warm_up(folder: Path) -> None:
    """Do once, before any fork, what the SDK does when it is first used: imports, models of answers, certificates."""
    from tests.claude_server import claude_server

    vars(ssl)["create_default_context"] = functools.cache(ssl.create_default_context)
    with claude_server() as server:
        os.environ["ANTHROPIC_BASE_URL"] = server.base_url
        for batches in (False, True):
            buy(folder / f"warm-{os.getpid()}-{batches}.sqlite", max_usd=1.0, batches=batches, kill=None)


def serve(folder: Path) -> None:
    """Play every case that is read in a child of its own, several at once; each outcome is written when it is known."""
    children = []
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                os.write(sys.stdout.fileno(), json.dumps(run_case(json.loads(line), folder)).encode() + b"\n")
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    warm_up(Path(sys.argv[1]))
    serve(Path(sys.argv[1]))
