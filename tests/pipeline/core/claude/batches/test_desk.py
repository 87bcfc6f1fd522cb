"""Batches that are collected: whatever their results are like, each has a place in the ledger and is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude.batches.desk import Pacing
from pipeline.core.errors import PendingError, ServiceError
from tests.batch_server import Item
from tests.claude_server import claude_server
from tests.pipeline.core.claude.asking import KEY
from tests.pipeline.core.claude.batching import number_of, only, outcomes, states


def test_a_request_that_the_service_rejects_costs_itself(tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.item = only(3, Item("errored"))
        answers = buy(server, 20)

    assert [answer.status for answer in answers if answer.status != "parsed"] == ["errored"]
    assert "invalid_request_error" in answers[3].reason and answers[3].cost_usd == 0
    assert len(server.bill) == 19 and not server.arrivals


def test_where_all_are_rejected_the_run_stops_and_blames_no_document(buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.item = lambda body, custom_id: Item("errored")
        with pytest.raises(ServiceError, match="requests failed, the last with rejected"):
            buy(server, 20)


def test_what_failed_on_the_servers_side_is_asked_again(tmp_path: Path, buy: Callable[..., Any]) -> None:
    failed: set[int] = set()

    def once(body: Mapping[str, Any], custom_id: str) -> Item:
        number = number_of(body)
        if number % 5 == 0 and number not in failed:
            failed.add(number)
            return Item("errored", error="overloaded_error")
        return Item()

    with claude_server() as server:
        server.batches.item = once
        answers = buy(server, 20)

    assert {answer.status for answer in answers} == {"parsed"}
    assert set(server.bill.values()) == {1}
    assert outcomes(tmp_path) == {"answered": 20, "rejected": 4}


@pytest.mark.parametrize("kind", ["canceled", "expired"])
def test_what_ended_unbilled_is_asked_for_by_the_next_run(kind: Any, tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.item = only(3, Item(kind))
        with pytest.raises(ServiceError, match=f"1 of 8 requests have no answer: 1 x {kind} in its batch"):
            buy(server, 8)
        server.batches.item = only(-1, Item())
        answers = buy(server, 8)

    assert {answer.status for answer in answers} == {"parsed"}
    assert set(server.bill.values()) == {1} and outcomes(tmp_path) == {"answered": 8, "rejected": 1}


def test_a_batch_that_expired_since_is_sent_again_by_the_run_that_finds_it(buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1e6
        with pytest.raises(PendingError):
            buy(server, 8, wait=False)
        server.batches.forward(86_400)
        server.batches.takes_seconds = 0
        answers = buy(server, 8)

    assert {answer.status for answer in answers} == {"parsed"} and set(server.bill.values()) == {1}


def test_shuffled_doubled_unknown_and_unreadable_lines_do_no_harm(tmp_path: Path, buy: Callable[..., Any]) -> None:
    said: list[str] = []
    with claude_server() as server:
        server.batches.item = lambda body, custom_id: Item(twice=number_of(body) % 3 == 0)
        server.batches.results.shuffled, server.batches.results.unknown = True, 2
        server.batches.results.garbage = 1
        answers = buy(server, 8, say=said.append)

    assert {answer.status for answer in answers} == {"parsed"}
    assert outcomes(tmp_path) == {"answered": 8}
    assert [line for line in said if "2 results were for requests that are not in it" in line]


def test_a_missing_result_is_in_doubt_and_told(tmp_path: Path, buy: Callable[..., Any]) -> None:
    said: list[str] = []
    with claude_server() as server:
        server.batches.item = only(3, Item("missing"))
        with pytest.raises(ServiceError, match="1 of 8 requests have no answer"):
            buy(server, 8, say=said.append)
        server.batches.item = only(-1, Item())
        answers = buy(server, 8)

    assert {answer.status for answer in answers} == {"parsed"}
    assert outcomes(tmp_path) == {"answered": 8, "in_doubt": 1}
    assert [line for line in said if "LOST: 1 requests have no result" in line]


@pytest.mark.parametrize("share", [0.0, 0.31, 0.77, 0.999])
def test_results_that_are_cut_are_downloaded_again(share: float, tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.results.cut_at = [share, share / 2]
        answers = buy(server, 8)

    assert {answer.status for answer in answers} == {"parsed"} and outcomes(tmp_path) == {"answered": 8}


def test_archived_results_are_paid_and_lost_and_that_is_said(tmp_path: Path, buy: Callable[..., Any]) -> None:
    said: list[str] = []
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, 8, wait=False)
        server.batches.forward(1001)
        server.batches.batches[0].archived = True
        with pytest.raises(ServiceError, match="results are archived"):
            buy(server, 8, say=said.append)

    assert outcomes(tmp_path) == {"in_doubt": 8} and states(tmp_path) == ["LOST"]
    assert [line for line in said if "LOST: 8 requests" in line and "in doubt" in line]


def test_useless_answers_stop_further_batches(buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.item = lambda body, custom_id: Item(text="no JSON")
        with pytest.raises(ServiceError, match="answers are useless"):
            buy(server, 16, max_useless=0.5, pacing=Pacing(12, 0.01, 0.02, 0.05))


def test_the_key_is_in_no_file_of_a_run_with_batches(tmp_path: Path, buy: Callable[..., Any]) -> None:
    with claude_server() as server:
        server.batches.item = lambda body, custom_id: Item(text=f'{{"evidence": "{KEY}", "clear": true}}')
        answers = buy(server, 4)

    assert {answer.status for answer in answers} == {"parsed"}
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
