"""Batches that are sent: at half the price, each once, below the cap, whatever the server answers or does not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude.client import ClaudeClient
from pipeline.core.errors import BudgetError, PendingError, ServiceError
from tests.batch_server import Creation, Refusal
from tests.claude_server import claude_server
from tests.pipeline.core.claude.asking import KEY, requests_for
from tests.pipeline.core.claude.batching import FAST, foreign, outcomes, rows, states


def test_requests_are_bought_in_batches_at_half_the_price(tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        answers = buy(server, 20)

    full = (server.input_tokens * 0.10 + server.output_tokens * 0.50) / 1e6
    assert {answer.status for answer in answers} == {"parsed"}
    assert [len(batch.requests) for batch in server.batches.batches] == [8, 8, 4]
    assert not server.arrivals and set(server.bill.values()) == {1}
    assert sum(answer.cost_usd for answer in answers) == pytest.approx(full / 2, rel=1e-3)
    assert states(tmp_path) == ["ENDED"] * 3 and outcomes(tmp_path) == {"answered": 20}


def test_what_is_sent_in_a_batch_is_what_a_single_request_sends(buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        buy(server, 1)

    (sent,) = server.batches.batches[0].requests
    assert sent["params"] == requests_for(1)[0].body() and len(sent["custom_id"]) == 2 + 40


def test_answers_of_batches_are_those_of_single_requests(buy: Callable[..., Any], tmp_path: Path) -> None:
    with claude_server() as server:
        in_batches = buy(server, 5)
        (tmp_path / "ledger.sqlite").rename(tmp_path / "other.sqlite")
        singly = buy(server, 5, batches=False)

    assert [answer.data for answer in in_batches] == [answer.data for answer in singly]


def test_a_batch_that_no_one_waited_for_is_collected_by_the_next_run(tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError, match="20 requests in 3 batches are on their way") as pending:
            buy(server, 20, wait=False)
        with pytest.raises(PendingError):
            buy(server, 20, wait=False)
        server.batches.forward(1001)
        answers = buy(server, 20, wait=False)

    assert pending.value.exit_code == 0
    assert len(server.batches.batches) == 3 and set(server.bill.values()) == {1}
    assert {answer.status for answer in answers} == {"parsed"}


def test_a_run_without_batches_collects_those_that_are_on_their_way(buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, 6, wait=False)
        server.batches.forward(1001)
        answers = buy(server, 8, batches=False)

    assert {answer.status for answer in answers} == {"parsed"}
    assert len(server.arrivals) == 2 and set(server.bill.values()) == {1}


@pytest.mark.parametrize(
    "creation",
    [
        Creation("reset after"), Creation("reset before"), Creation("500 after"), Creation("garbage after"),
        Refusal(500), Refusal(502), Refusal(529, "overloaded_error"),
    ],
)  # fmt: skip
def test_a_creation_whose_answer_is_lost_is_looked_for_and_nothing_is_bought_twice(
    creation: Creation | Refusal, tmp_path: Path, buy: Callable[..., Any]
) -> None:
    with claude_server() as server:
        server.batches.creations = [Creation(), creation]
        answers = buy(server, 20)

    taken = isinstance(creation, Creation) and "after" in creation.way
    assert {answer.status for answer in answers} == {"parsed"}
    assert len(server.bill) == 20 and set(server.bill.values()) == {1}
    assert states(tmp_path) == (["ENDED"] * 3 if taken else ["ENDED", "ABSENT", "ENDED", "ENDED"])


def test_a_creation_that_times_out_is_looked_for(tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.creations = [Creation("slow after", delay_seconds=1.5)]
        answers = buy(server, 8, timeout_seconds=0.5)

    assert {answer.status for answer in answers} == {"parsed"}
    assert set(server.bill.values()) == {1} and states(tmp_path) == ["ENDED"]


@pytest.mark.parametrize("taken", [True, False])
def test_batches_of_others_are_told_apart_by_their_results(
    taken: bool, tmp_path: Path, buy: Callable[..., Any]
) -> None:
    with claude_server() as server:
        server.batches.add(foreign(8))
        server.batches.creations = [Creation("reset after" if taken else "reset before")]
        server.batches.add(foreign(8))
        answers = buy(server, 8)

    assert {answer.status for answer in answers} == {"parsed"}
    ours = {key for key in server.bill if server.bill[key]}
    assert set(server.bill.values()) <= {1, 2} and len(ours) == 8 + 8
    assert states(tmp_path) == (["ENDED"] if taken else ["ABSENT", "ENDED"])


def test_a_foreign_batch_that_is_not_over_is_waited_for_before_anything_is_sent_again(
    tmp_path: Path, buy: Callable[..., Any]
) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        server.batches.add(foreign(8))
        server.batches.takes_seconds = 0
        server.batches.creations = [Creation("reset before")]
        with pytest.raises(PendingError):
            buy(server, 8, wait=False)
        num_created = len(server.batches.batches)
        server.batches.forward(1001)
        answers = buy(server, 8)

    assert num_created == 1 and {answer.status for answer in answers} == {"parsed"}
    assert states(tmp_path) == ["ABSENT", "ENDED"]


def test_a_lost_batch_is_found_on_a_later_page_of_the_list(
    buy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.core.claude.batches.wire.PAGE", 2)
    with claude_server() as server:
        server.batches.creations = [Creation("reset after")]
        with pytest.raises(PendingError):
            server.batches.takes_seconds = 1000
            buy(server, 8, wait=False)
        for _ in range(5):
            server.batches.add(foreign(3))
        server.batches.forward(1001)
        answers = buy(server, 8)

    assert {answer.status for answer in answers} == {"parsed"}
    assert sum(len(batch.requests) == 8 for batch in server.batches.batches) == 1


def test_results_that_may_be_those_of_a_lost_batch_and_are_gone_leave_it_in_doubt(
    tmp_path: Path, buy: Callable[..., Any]
) -> None:
    with claude_server() as server:
        server.batches.creations = [Creation("reset after")]
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, 8, wait=False)
        server.batches.forward(1001)
        server.batches.batches[0].archived = True
        with pytest.raises(ServiceError, match="8 of 8 requests have no answer"):
            buy(server, 8)
        server.batches.takes_seconds = 0
        answers = buy(server, 8)

    assert outcomes(tmp_path) == {"in_doubt": 8, "answered": 8}
    assert {answer.status for answer in answers} == {"parsed"}


def test_a_batch_that_is_too_large_is_cut_in_half(tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.creations = [Refusal(413, "request_too_large"), Refusal(413, "request_too_large")]
        answers = buy(server, 8)

    assert {answer.status for answer in answers} == {"parsed"}
    assert [len(batch.requests) for batch in server.batches.batches] == [2, 2, 2, 2]


def test_429_waits_as_long_as_the_server_asks(tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.creations = [Refusal(429, "rate_limit_error", headers={"retry-after": "0.2"})]
        answers = buy(server, 8)

    assert {answer.status for answer in answers} == {"parsed"}
    assert states(tmp_path) == ["REFUSED", "ENDED"] and set(server.bill.values()) == {1}


def test_creations_that_never_succeed_end_the_run_with_nothing_in_doubt(
    tmp_path: Path, buy: Callable[..., Any]
) -> None:
    with claude_server() as server:
        server.batches.default = Refusal(400, "invalid_request_error")
        with pytest.raises(ServiceError, match=r"no batch can be created.*HTTP 400.*after 4 tries"):
            buy(server, 8)

    assert states(tmp_path) == ["REFUSED"] * 4 and outcomes(tmp_path) == {"rejected": 32}


def test_the_cap_holds_and_batches_shrink_to_what_is_left(tmp_path: Path, buy: Callable[..., Any]) -> None:
    cap = 0.001
    with claude_server() as server:
        with pytest.raises(BudgetError, match=r"max_usd is 0\.001"):
            buy(server, 200, max_usd=cap)
        billed = (server.input_tokens * 0.10 + server.output_tokens * 0.50) / 2e6
        answers = buy(server, 200)

    assert 0 < billed <= cap and len(server.bill) == 200
    assert set(server.bill.values()) == {1} and {answer.status for answer in answers} == {"parsed"}


def test_open_batches_of_earlier_runs_are_reserved_below_the_cap(tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, 8, wait=False)
        ((reserved,),) = rows(tmp_path, "SELECT sum(reserved_nano) FROM attempts")
        with pytest.raises(PendingError, match=r"8 requests in 1 batches.*; 8 more wait for money"):
            buy(server, 16, wait=False, max_usd=reserved / 1e9 * 1.05)

    assert len(server.batches.batches) == 1


@pytest.mark.parametrize("routes", [{"list"}, {"create"}, {"create", "list"}])
def test_a_server_without_batches_is_asked_one_by_one_and_that_is_said(
    routes: set[str], tmp_path: Path, buy: Callable[..., Any]
) -> None:
    said: list[str] = []
    with claude_server() as server:
        server.batches.missing_routes = routes
        answers = buy(server, 8, say=said.append)

    assert {answer.status for answer in answers} == {"parsed"}
    assert len(server.arrivals) == 8 and set(server.bill.values()) == {1}
    assert [line for line in said if "has no Message Batches (HTTP 404)" in line]


def test_a_batch_that_the_key_does_not_know_stops_the_run_with_a_way_out(
    tmp_path: Path, buy: Callable[..., Any]
) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, 8, wait=False)
        server.batches.batches.clear()
        with pytest.raises(ServiceError, match=r"not known to this key's workspace.*cancel --forget msgbatch_0000"):
            buy(server, 8)

    assert outcomes(tmp_path) == {"open": 8}


def test_a_ledger_of_the_time_before_batches_is_taken_over(tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        buy(server, 3, batches=False)
        database = sqlite3.connect(tmp_path / "ledger.sqlite")
        database.executescript(
            "DROP TABLE batches; DROP INDEX attempts_of_batch; PRAGMA user_version=1;"
            "ALTER TABLE attempts DROP COLUMN recipe; ALTER TABLE attempts DROP COLUMN step;"
            "ALTER TABLE attempts DROP COLUMN keep;"
        )
        database.close()
        answers = buy(server, 6)

    assert [answer.from_ledger for answer in answers] == [True] * 3 + [False] * 3
    assert set(server.bill.values()) == {1}


def test_a_client_can_be_used_again_after_a_run_that_was_pending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        server.batches.takes_seconds = 1000
        with ClaudeClient(tmp_path / "l.sqlite", max_usd=1, batches=True, wait=False, pacing=FAST) as client:
            with pytest.raises(PendingError):
                client.ask(requests_for(8))
            server.batches.forward(1001)
            answers = client.ask(requests_for(8))
            spent = client.spent_usd

    assert spent == pytest.approx(sum(answer.cost_usd for answer in answers))


def test_two_servers_may_number_their_batches_alike(tmp_path: Path, buy: Callable[..., Any]) -> None:
    """Also where the creation at the second one is not answered: its batch is not taken for the first one's."""
    with claude_server() as first:
        buy(first, 8)
    with claude_server() as second:
        second.batches.creations = [Creation("reset after")]
        answers = buy(second, 8)

    assert first.batches.batches[0].id == second.batches.batches[0].id
    assert {answer.status for answer in answers} == {"parsed"}
    assert len(second.bill) == 8 and set(second.bill.values()) == {1} and states(tmp_path) == ["ENDED"] * 2
