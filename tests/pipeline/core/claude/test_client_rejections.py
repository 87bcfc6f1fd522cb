"""What a rejection costs: itself where the request is at fault, the run where the service is, and never a label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import BudgetError, BusyError, ServiceError
from tests.claude_server import Reply, Server, Status, claude_server
from tests.pipeline.core.claude.asking import KEY, ask, requests_for

SPENT = Status(
    400,
    "invalid_request_error",
    text="You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
)


@pytest.fixture(autouse=True)
def a_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def number_of(body: Any) -> int:
    return int(body["messages"][0]["content"].split()[1])


def asked(server: Server) -> list[int]:
    return [number_of(body) for body in server.arrivals]


def test_a_spend_limit_said_with_400_stops_the_run_and_the_rest_is_bought_once_it_is_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(script=[Reply()] * 10, default=SPENT) as server:
        with pytest.raises(BudgetError, match="API usage limits") as end:
            ask(tmp_path, server, requests_for(24), monkeypatch=monkeypatch, workers=2)
        server.default = Reply()
        answers = ask(tmp_path, server, requests_for(24), monkeypatch=monkeypatch)

    assert end.value.exit_code == 4
    assert {answer.status for answer in answers} == {"parsed"}
    assert len(server.bill) == 24 and set(server.bill.values()) == {1}


@pytest.mark.parametrize("status", [400, 413, 422])
def test_rejections_in_a_row_after_the_first_answers_stop_the_run_and_nothing_is_final(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(script=[Reply()] * 10, default=Status(status)) as server:
        with pytest.raises(ServiceError, match=f"HTTP {status}.*the service's fault") as end:
            ask(tmp_path, server, requests_for(60), monkeypatch=monkeypatch, workers=2)
        num_arrived, server.default = len(server.arrivals), Reply()
        answers = ask(tmp_path, server, requests_for(60), monkeypatch=monkeypatch)

    assert end.value.exit_code == 1 and num_arrived <= 10 + 7
    assert {answer.status for answer in answers} == {"parsed"}
    assert set(server.bill.values()) == {1}


def test_rejections_between_answers_stop_the_run_when_they_are_more_than_a_fifth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def every_third(body: Any) -> Reply | Status:
        return Status(400, "invalid_request_error") if number_of(body) % 3 == 0 else Reply()

    with claude_server(default=every_third) as server, pytest.raises(ServiceError, match=r"5 of 1[35] requests failed"):
        ask(tmp_path, server, requests_for(60), monkeypatch=monkeypatch, workers=1)

    assert len(server.arrivals) <= 15


def test_rejections_at_the_very_end_are_not_believed_of_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of them are too few to say that the service is at fault, and no answer says that it is not."""
    with claude_server(script=[Reply()] * 21, default=Status(413, "request_too_large")) as server:
        with pytest.raises(ServiceError, match=r"3 of 24 requests have no answer: 3 x HTTP 413.*cannot be told"):
            ask(tmp_path, server, requests_for(24), monkeypatch=monkeypatch, workers=1)
        num_before, server.default = len(server.arrivals), Reply()
        answers = ask(tmp_path, server, requests_for(24), monkeypatch=monkeypatch)

    assert sorted(asked(server)[num_before:]) == [21, 22, 23]
    assert {answer.status for answer in answers} == {"parsed"}


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("odd", [0, 5, 22])
def test_one_document_that_is_too_large_costs_itself(
    odd: int, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(body: Any) -> Reply | Status:
        return Status(413, "request_too_large") if number_of(body) == odd else Reply()

    with claude_server(default=too_large) as server:
        answers = ask(tmp_path, server, requests_for(24), monkeypatch=monkeypatch, workers=workers)

    assert [answer.status for answer in answers if answer.status != "parsed"] == ["errored"]
    assert answers[odd].status == "errored" and answers[odd].cost_usd == 0
    assert asked(server)[-2:] == [23, odd]  # the last one is kept back: its answer says that the service works
    assert set(server.bill.values()) == {1}


def test_what_is_known_of_a_document_stands_in_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(body: Any) -> Reply | Status:
        return Status(413, "request_too_large") if number_of(body) == 3 else Reply()

    with claude_server(default=too_large) as server:
        ask(tmp_path, server, requests_for(6), monkeypatch=monkeypatch)
        (alone,) = ask(tmp_path, server, requests_for(4)[3:], monkeypatch=monkeypatch)

    assert alone.status == "errored" and "HTTP 413" in alone.reason


def test_a_request_that_was_cut_on_its_way_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(script=[Reply(), Status(400, "invalid_request_error")]) as server:
        answers = ask(tmp_path, server, requests_for(5), monkeypatch=monkeypatch, workers=1)

    assert {answer.status for answer in answers} == {"parsed"}
    assert asked(server) == [0, 1, 2, 3, 4, 1]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_come_back_in_days_ends_the_run_at_once(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Status(status, "rate_limit_error", headers={"retry-after": "1000000"})
    with claude_server(script=[Reply()], default=later) as server:
        with pytest.raises(BusyError, match=r"come back in 11 d 13 h.*10 min at most.*kept") as end:
            ask(tmp_path, server, requests_for(8), monkeypatch=monkeypatch, workers=1)
        server.default = Reply()
        answers = ask(tmp_path, server, requests_for(8), monkeypatch=monkeypatch)

    assert end.value.exit_code == 75
    assert {answer.status for answer in answers} == {"parsed"}


@pytest.mark.parametrize("value", ["inf", "nan", "-3", "1e999", "soon", "Fri, 31 Dec 99999 23:59:59 GMT", "9" * 400])
def test_a_time_to_wait_that_is_none_is_as_good_as_none(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(script=[Status(429, headers={"retry-after": value})]) as server:
        (answer,) = ask(tmp_path, server, requests_for(1), monkeypatch=monkeypatch)

    assert answer.status == "parsed"


def test_a_long_wait_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("pipeline.core.claude.client.PROGRESS_SECONDS", 0.2)
    with claude_server(script=[Status(429, "rate_limit_error", headers={"retry-after": "1"})]) as server:
        ask(tmp_path, server, requests_for(1), monkeypatch=monkeypatch, say=said.append)

    assert "claude: nothing is sent for 1 s, as the server asked (HTTP 429 rate_limit_error: as the test ordered)" in (
        said
    )
