"""The door, through the real SDK and a real socket: what is bought, what is kept, and what happens when it fails."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude import Answer, ClaudeDoor
from pipeline.core.errors import BudgetError, BusyError, RecipeError, ServiceError
from pipeline.core.request import Request
from tests.claude_server import Garbage, HangUp, Reply, Server, Status, claude_server, fingerprint

KEY = "sk-ant-CANARY-0123456789"
ROOT = Path(__file__).resolve().parents[2]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["evidence", "clear"],
    "properties": {"evidence": {"type": "string"}, "clear": {"type": "boolean"}},
}


@pytest.fixture(autouse=True)
def a_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def requests_for(count: int) -> list[Request]:
    return [
        Request(
            "claude-haiku-5-5", system="Grade.", prompt=f"document {n}", schema=SCHEMA, max_tokens=100, purpose="test"
        )
        for n in range(count)
    ]


def ask(
    folder: Path, server: Server, requests: list[Request], *, monkeypatch: pytest.MonkeyPatch, max_usd: float = 1.0,
    **how: Any,
) -> list[Answer]:  # fmt: skip
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
    with ClaudeDoor(folder / "ledger.sqlite", max_usd=max_usd, backoff_seconds=0.02, **how) as door:
        return door.ask(requests)


def attempts(folder: Path) -> list[tuple[str, str]]:
    """Return (outcome, error) of every attempt in the ledger."""
    database = sqlite3.connect(folder / "ledger.sqlite")
    try:
        return database.execute("SELECT outcome, error FROM attempts ORDER BY attempt").fetchall()
    finally:
        database.close()


def states(folder: Path) -> set[str]:
    database = sqlite3.connect(folder / "ledger.sqlite")
    try:
        return {state for (state,) in database.execute("SELECT DISTINCT state FROM requests")}
    finally:
        database.close()


def test_answers_come_back_in_the_order_of_the_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_when_even(body: Any) -> Reply:
        number = int(body["messages"][0]["content"].split()[1])
        return Reply(text=f'{{"evidence": "{number}", "clear": true}}', delay_seconds=0.05 * (number % 2 == 0))

    with claude_server(default=slow_when_even) as server:
        answers = ask(tmp_path, server, requests_for(12), monkeypatch=monkeypatch, workers=4)

    assert [answer.data and answer.data["evidence"] for answer in answers] == [str(n) for n in range(12)]
    assert {answer.status for answer in answers} == {"parsed"}
    assert 1 < server.most_at_once <= 4
    assert states(tmp_path) == {"PARSED"}


def test_a_request_is_sent_as_the_messages_api_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        ask(tmp_path, server, requests_for(1), monkeypatch=monkeypatch)

    (body,) = server.arrivals
    assert body == requests_for(1)[0].body()
    assert body["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}
    assert body["thinking"] == {"type": "disabled"}
    assert server.headers[0]["x-stainless-retry-count"] == "0"


def test_a_second_run_buys_nothing_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        first = ask(tmp_path, server, requests_for(5), monkeypatch=monkeypatch)
        second = ask(tmp_path, server, requests_for(5), monkeypatch=monkeypatch)

    assert sum(server.bill.values()) == 5
    assert [answer.data for answer in first] == [answer.data for answer in second]
    assert not any(answer.from_ledger for answer in first) and all(answer.from_ledger for answer in second)


def test_the_same_request_twice_in_one_call_is_bought_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        answers = ask(tmp_path, server, requests_for(3) + requests_for(3), monkeypatch=monkeypatch)

    assert sum(server.bill.values()) == 3
    assert answers[:3] == answers[3:]


def test_the_ledger_costs_what_the_server_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        answers = ask(tmp_path, server, requests_for(7), monkeypatch=monkeypatch)

    expected = (server.input_tokens * 0.10 + server.output_tokens * 0.50) / 1e6
    assert sum(answer.cost_usd for answer in answers) == pytest.approx(expected, abs=1e-12)


def test_recorded_mode_answers_from_the_ledger_and_refuses_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server() as server:
        bought = ask(tmp_path, server, requests_for(3), monkeypatch=monkeypatch)
        replayed = ask(tmp_path, server, requests_for(3), monkeypatch=monkeypatch, mode="recorded", max_usd=0.0)
        with pytest.raises(ServiceError, match="1 of 4 answers are not in the ledger"):
            ask(tmp_path, server, requests_for(4), monkeypatch=monkeypatch, mode="recorded")

    assert [answer.raw for answer in replayed] == [answer.raw for answer in bought]
    assert sum(server.bill.values()) == 3


def test_429_waits_as_long_as_the_server_asks_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Status(429, "rate_limit_error", headers={"retry-after": "0.5"})
    with claude_server(script=[busy, busy]) as server:
        answers = ask(tmp_path, server, requests_for(1), monkeypatch=monkeypatch)

    assert answers[0].status == "parsed"
    assert all(later - earlier >= 0.5 for earlier, later in zip(server.times, server.times[1:], strict=False))
    assert sum(server.bill.values()) == 1


def test_529_is_tried_again_and_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(script=[Status(529, "overloaded_error")] * 3) as server:
        answers = ask(tmp_path, server, requests_for(1), monkeypatch=monkeypatch)

    assert answers[0].status == "parsed"
    assert [outcome for outcome, _ in attempts(tmp_path)] == ["rejected"] * 3 + ["answered"]


def test_500_forever_stops_the_run_after_a_counted_number_of_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = r"HTTP 500 api_error.*given up after 4 tries"
    with claude_server(default=Status(500)) as server, pytest.raises(ServiceError, match=failure):
        ask(tmp_path, server, requests_for(40), monkeypatch=monkeypatch, workers=2)

    assert len(server.arrivals) <= 7 * 4
    assert states(tmp_path) <= {"PLANNED", "SENT"}


def test_a_run_that_the_service_stopped_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(script=[Reply()] * 4, default=Status(503)) as server:
        with pytest.raises(ServiceError):
            ask(tmp_path, server, requests_for(20), monkeypatch=monkeypatch, workers=2)
        server.default = Reply()
        answers = ask(tmp_path, server, requests_for(20), monkeypatch=monkeypatch)

    assert {answer.status for answer in answers} == {"parsed"}
    assert set(server.bill.values()) == {1}
    assert len(server.bill) == 20


@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        (Reply(text='{"evidence": "cut', stop_reason="max_tokens"), "truncated", "max_tokens"),
        (Reply(stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"}), "refused", "bio"),
        (Reply(text="Sure! Here is the grade."), "invalid", "not JSON"),
        (Reply(text='{"evidence": "x", "clear": 1}'), "invalid", "answer.clear is int, not boolean"),
    ],
)
def test_a_bad_answer_is_an_outcome_that_is_kept_and_never_asked_for_again(
    reply: Reply, status: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=reply) as server:
        (first,) = ask(tmp_path, server, requests_for(1), monkeypatch=monkeypatch)
        (second,) = ask(tmp_path, server, requests_for(1), monkeypatch=monkeypatch)

    assert (first.status, second.status) == (status, status)
    assert reason in first.reason and first.data is None
    assert first.cost_usd > 0 and first.raw == second.raw
    assert sum(server.bill.values()) == 1
    assert states(tmp_path) == {status.upper()}


def test_a_rejected_request_is_quarantined_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_is_bad(body: Any) -> Reply | Status:
        return Status(400, "invalid_request_error") if body["messages"][0]["content"] == "document 3" else Reply()

    with claude_server(default=one_is_bad) as server:
        answers = ask(tmp_path, server, requests_for(6), monkeypatch=monkeypatch)

    assert [answer.status for answer in answers] == ["parsed"] * 3 + ["errored"] + ["parsed"] * 2
    assert "HTTP 400" in answers[3].reason and answers[3].cost_usd == 0


def test_when_every_request_is_rejected_the_run_stops_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rejection = Status(400, "invalid_request_error")
    with claude_server(default=rejection) as server, pytest.raises(ServiceError, match="HTTP 400"):
        ask(tmp_path, server, requests_for(50), monkeypatch=monkeypatch, workers=2)

    assert len(server.arrivals) <= 7


@pytest.mark.parametrize("code", ["enforced_spend_limit_reached", "contract_spend_limit_reached"])
def test_a_spend_limit_stops_at_once_and_is_resumable(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=Status(429, "rate_limit_error", error_code=code)) as server:
        with pytest.raises(BudgetError, match=code):
            ask(tmp_path, server, requests_for(20), monkeypatch=monkeypatch, workers=1)

        assert len(server.arrivals) == 1


def test_a_wrong_key_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=Status(401, "authentication_error")) as server:
        with pytest.raises(ServiceError, match="ANTHROPIC_API_KEY"):
            ask(tmp_path, server, requests_for(20), monkeypatch=monkeypatch, workers=1)

        assert len(server.arrivals) == 1


@pytest.mark.parametrize("lost", [HangUp(), Garbage()])
def test_a_lost_answer_is_in_doubt_and_sent_once_more(
    lost: HangUp | Garbage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(script=[lost]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        with ClaudeDoor(tmp_path / "ledger.sqlite", max_usd=1, backoff_seconds=0.02) as door:
            (answer,) = door.ask(requests_for(1))
            in_doubt, spent_usd = door.num_in_doubt, door.spent_usd

    assert answer.status == "parsed"
    assert in_doubt == 1
    assert spent_usd > answer.cost_usd  # the doubtful attempt counts at its upper bound
    assert sum(server.bill.values()) == 2


def test_a_request_that_is_lost_twice_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_is_lost(body: Any) -> Reply | HangUp:
        return HangUp() if body["messages"][0]["content"] == "document 0" else Reply()

    with claude_server(default=one_is_lost) as server:
        answers = ask(tmp_path, server, requests_for(4), monkeypatch=monkeypatch)

    assert [answer.status for answer in answers] == ["errored", "parsed", "parsed", "parsed"]
    assert sum(server.bill.values()) == 5


def test_a_server_that_nobody_runs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")

    with ClaudeDoor(tmp_path / "ledger.sqlite", max_usd=1, backoff_seconds=0.01) as door:
        with pytest.raises(ServiceError, match="ConnectError"):
            door.ask(requests_for(2))
        assert (door.num_in_doubt, door.spent_usd) == (0, 0.0)


def test_the_cap_stops_before_it_is_crossed_and_a_higher_cap_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cap = 0.001
    with claude_server() as server:
        with pytest.raises(BudgetError, match=r"max_usd is 0\.001"):
            ask(tmp_path, server, requests_for(60), monkeypatch=monkeypatch, max_usd=cap)
        billed = (server.input_tokens * 0.10 + server.output_tokens * 0.50) / 1e6
        bought = sum(server.bill.values())
        with pytest.raises(BudgetError):
            ask(tmp_path, server, requests_for(60), monkeypatch=monkeypatch, max_usd=cap)
        bought_again = sum(server.bill.values()) - bought
        answers = ask(tmp_path, server, requests_for(60), monkeypatch=monkeypatch, max_usd=1.0)

    assert 0 < billed <= cap
    assert bought > 5
    assert bought_again == 0  # what earlier runs spent on these requests counts
    assert {answer.status for answer in answers} == {"parsed"}
    assert set(server.bill.values()) == {1}


def test_a_model_without_a_price_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request("claude-haiku-9", system="s", prompt="p", max_tokens=10)
    with claude_server() as server, pytest.raises(RecipeError, match="no price for model 'claude-haiku-9'"):
        ask(tmp_path, server, [request], monkeypatch=monkeypatch)

    assert not server.arrivals


def test_a_price_file_of_ones_own_makes_a_local_model_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prices.toml").write_text(
        '[[price]]\nmodel = "qwen-local"\neffective_from = 2026-01-01\ninput = 0\noutput = 0\ncache_write_5m = 0\n'
        'cache_write_1h = 0\ncache_read = 0\nsource = "our own machine"\nchecked_on = 2026-01-01\n'
    )
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    request = Request("qwen-local", system="s", prompt="p", max_tokens=10)
    with claude_server(default=Reply(text="plain words")) as server:
        (answer,) = ask(
            tmp_path, server, [request], monkeypatch=monkeypatch, max_usd=0.0, prices=tmp_path / "prices.toml"
        )

    assert (answer.status, answer.text, answer.cost_usd) == ("parsed", "plain words", 0.0)


def test_without_a_key_and_an_address_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))

    with (
        ClaudeDoor(tmp_path / "ledger.sqlite", max_usd=1) as door,
        pytest.raises(RecipeError, match="ANTHROPIC_API_KEY"),
    ):
        door.ask(requests_for(1))


def test_two_processes_cannot_buy_at_once(tmp_path: Path) -> None:
    with ClaudeDoor(tmp_path / "ledger.sqlite", max_usd=1), pytest.raises(BusyError):
        ClaudeDoor(tmp_path / "ledger.sqlite", max_usd=1)


CHILD = """
import sys
from pathlib import Path
from pipeline.core.claude import ClaudeDoor
from tests.core.test_claude import requests_for
with ClaudeDoor(Path(sys.argv[1]), max_usd=1, workers=4) as door:
    door.ask(requests_for(24))
"""


def wait_for(condition: Any, *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the child never got there"
        time.sleep(0.01)


def start_child(folder: Path, server: Server) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ANTHROPIC_BASE_URL": server.base_url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(folder / "ledger.sqlite")]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)


@pytest.fixture
def killed_run(tmp_path: Path) -> Iterator[Server]:
    """Kill -9 a run in another process while four of its requests are accepted, billed and not yet answered."""
    with claude_server(default=Reply(delay_seconds=0.25)) as server:
        child = start_child(tmp_path, server)
        wait_for(lambda: len(server.arrivals) >= 10)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        yield server


def test_after_kill_9_nothing_is_billed_twice_but_what_is_counted_as_in_doubt(
    tmp_path: Path, killed_run: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_run.default = Reply()
    monkeypatch.setenv("ANTHROPIC_BASE_URL", killed_run.base_url)
    with ClaudeDoor(tmp_path / "ledger.sqlite", max_usd=1) as door:
        answers = door.ask(requests_for(24))
        in_doubt = door.num_in_doubt

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
    with claude_server(default=Reply(delay_seconds=0.25)) as server:
        child = start_child(tmp_path, server)
        wait_for(lambda: len(server.arrivals) >= 6)
        child.send_signal(signal.SIGINT)
        child.wait()
        asked = len(server.arrivals)
        server.default = Reply()
        answers = ask(tmp_path, server, requests_for(24), monkeypatch=monkeypatch)

    assert child.returncode != 0 and asked < 24
    assert sum(answer.from_ledger for answer in answers) == asked
    assert set(server.bill.values()) == {1}


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
