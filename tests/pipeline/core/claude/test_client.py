"""The client, through the real SDK and a real socket: what is bought, what is kept, and what happens when it fails."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude.client import ClaudeClient
from pipeline.core.claude.messages.request import Request
from pipeline.core.errors import BudgetError, BusyError, RecipeError, ServiceError
from tests.claude_server import Garbage, HangUp, Reply, Status, claude_server
from tests.pipeline.core.claude.asking import KEY, SCHEMA, ask, requests_for


@pytest.fixture(autouse=True)
def a_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


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
    asked, all_there = [], threading.Event()

    def slow_when_even(body: Any) -> Reply:
        number = int(body["messages"][0]["content"].split()[1])
        asked.append(number)
        if len(asked) == 4:
            all_there.set()
        text = f'{{"evidence": "{number}", "clear": true}}'
        return Reply(text=text, delay_seconds=0.05 * (number % 2 == 0), held=all_there)

    with claude_server(default=slow_when_even) as server:
        answers = ask(tmp_path, server, requests_for(12), monkeypatch=monkeypatch, workers=4)

    assert [answer.data and answer.data["evidence"] for answer in answers] == [str(n) for n in range(12)]
    assert {answer.status for answer in answers} == {"parsed"}
    assert server.most_at_once == 4
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


def test_503_forever_stops_the_run_after_a_counted_number_of_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = r"HTTP 503 api_error.*given up after 4 tries"
    with claude_server(default=Status(503)) as server, pytest.raises(ServiceError, match=failure):
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
        with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1, backoff_seconds=0.02) as client:
            (answer,) = client.ask(requests_for(1))
            in_doubt, spent_usd = client.num_in_doubt, client.spent_usd

    assert answer.status == "parsed"
    assert in_doubt == 1
    assert spent_usd > answer.cost_usd  # the doubtful attempt counts at its upper bound
    assert sum(server.bill.values()) == 2


@pytest.mark.parametrize(
    ("failing", "reason"),
    [(HangUp(), r"1 x APIConnectionError .*given up after 2 tries"), (Status(529), r"1 x HTTP 529 .*after 4 tries")],
)
def test_a_request_without_an_answer_ends_the_run_and_the_next_one_asks_for_it_alone(
    failing: HangUp | Status, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_fails(body: Any) -> Reply | HangUp | Status:
        return failing if body["messages"][0]["content"] == "document 0" else Reply()

    with claude_server(default=one_fails) as server:
        with pytest.raises(ServiceError, match=rf"1 of 4 requests have no answer: {reason}.*ask for these only") as end:
            ask(tmp_path, server, requests_for(4), monkeypatch=monkeypatch)
        server.default, num_before = Reply(), len(server.arrivals)
        answers = ask(tmp_path, server, requests_for(4), monkeypatch=monkeypatch)

    assert end.value.exit_code == 1
    assert end.value.__notes__ == ["3 of 4 requests were answered in this run and are kept"]
    assert [body["messages"][0]["content"] for body in server.arrivals[num_before:]] == ["document 0"]
    assert [answer.status for answer in answers] == ["parsed"] * 4
    assert [answer.from_ledger for answer in answers] == [False, True, True, True]


def test_a_server_that_nobody_runs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")

    with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1, backoff_seconds=0.01) as client:
        with pytest.raises(ServiceError, match="ConnectError"):
            client.ask(requests_for(2))
        assert (client.num_in_doubt, client.spent_usd) == (0, 0.0)


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
        ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1) as client,
        pytest.raises(RecipeError, match="ANTHROPIC_API_KEY"),
    ):
        client.ask(requests_for(1))


def test_an_address_that_only_the_sdk_knows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK prefers the environment; where it changed under an open client nothing is stored as the old one's."""
    with claude_server() as server, ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1) as client:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        with pytest.raises(RecipeError, match="Set ANTHROPIC_BASE_URL to that address"):
            client.ask(requests_for(1))

    assert not server.arrivals


def test_two_processes_cannot_buy_at_once(tmp_path: Path) -> None:
    with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1), pytest.raises(BusyError):
        ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1)
