"""The client when its process dies or is told to stop: what was paid for is kept, the rest is counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude.client import ClaudeClient
from pipeline.core.errors import ServiceError
from tests.claude_requests import fingerprint
from tests.claude_server import Garbage, HangUp, Reply, Server, Status, claude_server
from tests.pipeline.core.claude.asking import KEY, ask, requests_for
from tests.pipeline.house import House, texts

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def a_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


CHILD = """
import sys
from pathlib import Path
from pipeline.core.claude.buying import crew
from pipeline.core.claude.client import ClaudeClient
from tests.pipeline.core.claude.asking import requests_for
crew.GRACE_SECONDS = 100.0  # on a machine with too much to do, five seconds may pass before an answer is read
def say(line):
    print(line, flush=True)
with ClaudeClient(Path(sys.argv[1]), max_usd=1, workers=4, say=say) as client:
    client.ask(requests_for(24))
"""


def wait_for(condition: Any, *, seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the child never got there"
        time.sleep(0.01)


def start_child(folder: Path, server: Server) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ANTHROPIC_BASE_URL": server.base_url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(folder / "ledger.sqlite")]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


@pytest.fixture
def killed_run(tmp_path: Path) -> Iterator[Server]:
    """Kill -9 a run in another process while four of its requests are accepted, billed and not yet answered."""
    never = threading.Event()
    with claude_server(script=[Reply()] * 6, default=Reply(held=never)) as server:
        child = start_child(tmp_path, server)
        wait_for(lambda: len(server.arrivals) == 6 + 4)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        yield server
        never.set()


def test_after_kill_9_nothing_is_billed_twice_but_what_is_counted_as_in_doubt(
    tmp_path: Path, killed_run: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_run.default = Reply()
    monkeypatch.setenv("ANTHROPIC_BASE_URL", killed_run.base_url)
    with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1) as client:
        answers = client.ask(requests_for(24))
        in_doubt = client.num_in_doubt

    twice = {key for key, times in killed_run.bill.items() if times > 1}
    assert {answer.status for answer in answers} == {"parsed"}
    assert len(killed_run.bill) == 24 and max(killed_run.bill.values()) <= 2
    assert 0 < len(twice) <= in_doubt <= 4  # one per worker
    kept = {
        fingerprint(request.body())
        for request, answer in zip(requests_for(24), answers, strict=True)
        if answer.from_ledger
    }
    assert kept and not kept & twice


def test_ctrl_c_waits_for_the_answers_in_flight_and_leaves_nothing_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pressed = threading.Event()
    with claude_server(script=[Reply()] * 2, default=Reply(held=pressed)) as server:
        child = start_child(tmp_path, server)
        wait_for(lambda: len(server.arrivals) == 2 + 4)
        child.send_signal(signal.SIGINT)
        assert child.stdout is not None
        assert any(b"stopping" in line for line in child.stdout)  # it hears of the signal before the answers
        pressed.set()
        child.communicate()
        asked = len(server.arrivals)
        server.default = Reply()
        answers = ask(tmp_path, server, requests_for(24), monkeypatch=monkeypatch)

    assert child.returncode != 0 and asked < 24
    assert sum(answer.from_ledger for answer in answers) == asked
    assert set(server.bill.values()) == {1}


def test_ctrl_c_against_a_hung_server_ends_at_the_first_press(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    House(tmp_path).lines("docs.jsonl", texts(60))
    House(tmp_path).clean(["label: {teacher: claude}"])
    never = threading.Event()
    with claude_server(script=[Reply()] * 5, default=Reply(held=never)) as server:
        environment = {**os.environ, "ANTHROPIC_BASE_URL": server.base_url, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pipeline.cli", "run", "recipe.yaml", "--workers", "1"]
        child = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE)
        wait_for(lambda: len(server.arrivals) >= 5 + 8)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=100)
        server.default = Reply()
        with ClaudeClient(tmp_path / "workspace" / "ledger.sqlite", max_usd=1) as client:
            num_doubted = client._ledger.num_doubted_at_start
        never.set()

    assert child.returncode == 130
    assert b"Traceback" not in said and b"run the same command again" in said
    assert num_doubted == 8  # they may be billed yet


def test_the_key_is_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(script=[Reply(), Status(400), Status(529), HangUp(), Garbage()]) as server:
        ask(tmp_path, server, requests_for(6), monkeypatch=monkeypatch)
        server.default = Status(401, "authentication_error")
        with pytest.raises(ServiceError) as caught:
            ask(tmp_path, server, requests_for(9), monkeypatch=monkeypatch)

        assert KEY in server.headers[0].get("x-api-key", "") + server.headers[0].get("authorization", "")
    assert KEY not in repr(caught.value) + str(caught.value)
    for path in tmp_path.rglob("*"):
        assert KEY.encode() not in path.read_bytes(), path
