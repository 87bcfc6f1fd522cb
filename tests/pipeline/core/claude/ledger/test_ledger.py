"""The ledger: what is durable, what a dead process leaves behind, and what is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.core.claude.ledger.ledger import Ledger, Planned
from pipeline.core.errors import BusyError, DataError, ServiceError

ROOT = Path(__file__).resolve().parents[5]


def planned(count: int) -> list[Planned]:
    return [Planned(id=f"r_{n}", model="m", purpose="test", body="{}") for n in range(count)]


def buy(ledger: Ledger, request: str, *, cost_nano: int = 7) -> None:
    attempt = ledger.record_intent(request, reserved_nano=10, endpoint="http://here")
    ledger.record_answer(
        attempt, raw=b"raw " + request.encode(), usage={"input_tokens": 1}, cost_nano=cost_nano, price="p"
    )


def test_an_answer_is_found_again_by_the_next_process(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.plan(planned(3))
        buy(ledger, "r_1")

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        answers = ledger.answers(["r_0", "r_1", "r_2"])

    assert {request: answer.raw for request, answer in answers.items()} == {"r_1": b"raw r_1"}


def test_an_answer_cannot_be_stored_twice(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.plan(planned(1))
        buy(ledger, "r_0")

        with pytest.raises(ServiceError, match="UNIQUE"):
            buy(ledger, "r_0")


def test_spending_counts_settled_and_doubted_money_of_the_named_requests_only(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.plan(planned(3))
        buy(ledger, "r_0", cost_nano=5)
        buy(ledger, "r_2", cost_nano=1000)
        attempt = ledger.record_intent("r_1", reserved_nano=10, endpoint="http://here")
        ledger.record_failure(attempt, outcome="in_doubt", error="lost")
        attempt = ledger.record_intent("r_1", reserved_nano=10, endpoint="http://here")
        ledger.record_failure(attempt, outcome="rejected", error="HTTP 529")
        spending = ledger.spending(["r_0", "r_1"])

    assert (spending.settled_nano, spending.doubted_nano, spending.num_in_doubt) == (5, 10, 1)


CHILD = """
import os, signal, sys
from pathlib import Path
from pipeline.core.claude.ledger.ledger import Ledger
from tests.pipeline.core.claude.ledger.test_ledger import planned
ledger = Ledger(Path(sys.argv[1]))
ledger.plan(planned(2))
ledger.record_intent("r_1", reserved_nano=10, endpoint="http://here")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_intent_survives_kill_9_and_is_in_doubt_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )

    with Ledger(path) as ledger:
        spending = ledger.spending(["r_0", "r_1"])

        assert child.returncode == -signal.SIGKILL
        assert ledger.num_doubted_at_start == 1
        assert (spending.doubted_nano, spending.num_in_doubt) == (10, 1)


def test_a_second_owner_is_told_to_wait_and_let_in_after_the_first_closes(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite"), pytest.raises(BusyError, match="another run"):
        Ledger(tmp_path / "ledger.sqlite")

    Ledger(tmp_path / "ledger.sqlite").close()


def test_commits_wait_for_the_disk(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        synchronous = ledger._database.execute("PRAGMA synchronous").fetchone()
        journal = ledger._database.execute("PRAGMA journal_mode").fetchone()

    assert (synchronous, journal) == ((2,), ("wal",))  # 2 is FULL


def test_a_file_that_is_no_ledger_or_a_newer_one_is_refused_and_unlocked(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"this is a text file, and a long one at that" * 100)
    for _ in range(2):
        with pytest.raises(DataError, match="cannot be opened as a ledger"):
            Ledger(path)

    path.unlink()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(DataError, match="layout 99"):
        Ledger(path)


def write_at_once(ledger: Ledger, requests: list[str]) -> list[str]:
    """Let threads store an answer each, all in one transaction; return what each was told."""
    told = dict.fromkeys(range(len(requests)), "stored")
    attempts = [ledger.record_intent(request, reserved_nano=10, endpoint="http://here") for request in requests]

    def store(number: int) -> None:
        try:
            ledger.record_answer(attempts[number], raw=b"raw", usage={"input_tokens": 1}, cost_nano=7, price="p")
        except ServiceError as error:
            told[number] = str(error)

    threads = [threading.Thread(target=store, args=(number,)) for number in told]
    with ledger._mutex:  # what waits meanwhile is done together
        for thread in threads:
            thread.start()
        while len(ledger._waiting) < len(threads):
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    return list(told.values())


def test_what_several_threads_write_at_once_is_one_transaction_and_a_failure_undoes_only_its_own(
    tmp_path: Path,
) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.plan(planned(4))
        buy(ledger, "r_2")
        commits: list[str] = []
        ledger._database.set_trace_callback(lambda line: commits.append(line) if line == "COMMIT" else None)
        told = write_at_once(ledger, ["r_0", "r_1", "r_2", "r_3"])
        answers = ledger.answers(["r_0", "r_1", "r_2", "r_3"])

    assert [line == "stored" for line in told] == [True, True, False, True]
    assert "UNIQUE" in told[2]
    assert {request: answer.raw for request, answer in answers.items()} == {
        "r_0": b"raw", "r_1": b"raw", "r_2": b"raw r_2", "r_3": b"raw",
    }  # fmt: skip
    assert len(commits) == 4 + 1 + 1  # intents, answers, the look at the end


def test_when_a_transaction_of_several_threads_fails_each_of_them_is_told(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.plan(planned(2))
        attempts = [ledger.record_intent(request, reserved_nano=10, endpoint="h") for request in ("r_0", "r_1")]
        ledger._database.execute("PRAGMA busy_timeout=20")
        told: list[str] = []

        def close(attempt: int) -> None:
            with pytest.raises(ServiceError, match="locked") as caught:
                ledger.record_failure(attempt, outcome="rejected", error="x")
            told.append(str(caught.value))

        threads = [threading.Thread(target=close, args=(attempt,)) for attempt in attempts]
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as other, ledger._mutex:
            other.execute("BEGIN IMMEDIATE")
            for thread in threads:
                thread.start()
            while len(ledger._waiting) < len(threads):
                time.sleep(0.001)
            ledger._mutex.release()
            for thread in threads:
                thread.join()
            ledger._mutex.acquire()
            other.execute("ROLLBACK")

        assert len(told) == 2 and ledger.spending(["r_0", "r_1"]).open_nano == 20
