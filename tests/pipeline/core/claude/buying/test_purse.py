"""A cap counts what the same instructions cost before, however they were asked, and waits for no money in vain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude.accounting.bill import bill_of
from pipeline.core.claude.buying.bought import Answer
from pipeline.core.claude.client import ClaudeClient
from pipeline.core.claude.messages.request import Request, Way
from pipeline.core.claude.prices import load_prices
from pipeline.core.errors import BudgetError, PendingError
from tests.claude_server import Server, claude_server
from tests.pipeline.core.claude.asking import KEY, ask, requests_for
from tests.pipeline.core.claude.batching import FAST, outcomes

CAP = 0.0006  # three requests of a batch at their bound, and one request less one by one


@pytest.fixture
def buy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Answer]]:
    """Return what buys answers in a way, with the ledger in `tmp_path`."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def by(server: Server, way: Way, requests: Sequence[Request] = (), **how: Any) -> list[Answer]:
        asked = [replace(request, way=way) for request in requests or requests_for(3)]
        return ask(tmp_path, server, asked, monkeypatch=monkeypatch, **{"pacing": FAST} | how)

    return by


def spent(folder: Path) -> float:
    return bill_of(folder / "ledger.sqlite", prices=load_prices()).total.spent_usd


def test_money_in_batches_of_another_way_ends_a_run_at_its_cap_and_is_free_once_they_have_ended(
    buy: Any, tmp_path: Path
) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, "schema", batches=True, wait=False)
        with pytest.raises(BudgetError, match=r"held for batches that are on their way,.*`tamis cancel`"):
            buy(server, "tool", max_usd=CAP)
        server.batches.forward(1001)
        answers = buy(server, "tool", max_usd=CAP)

    assert {answer.status for answer in answers} == {"parsed"}
    assert outcomes(tmp_path) == {"answered": 6} and spent(tmp_path) <= CAP


def test_batches_that_are_not_needed_are_not_waited_for_while_there_is_money(buy: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, "schema", batches=True, wait=False)
        answers = buy(server, "tool", wait=False)

    assert {answer.status for answer in answers} == {"parsed"} and outcomes(tmp_path) == {"open": 3, "answered": 3}


def test_batches_wait_for_the_money_of_those_of_another_seed(buy: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 0.3
        with pytest.raises(PendingError):
            buy(server, "schema", batches=True, wait=False)
        answers = buy(server, "schema", requests_for(6)[3:], batches=True, max_usd=CAP)

    assert {answer.status for answer in answers} == {"parsed"} and outcomes(tmp_path) == {"answered": 6}


def test_money_in_batches_at_another_address_ends_a_run_at_its_cap(buy: Any) -> None:
    with claude_server() as server, claude_server() as other:
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, "schema", batches=True, wait=False)
        with pytest.raises(BudgetError, match="held for batches that are on their way"):
            buy(other, "schema", max_usd=CAP)

    assert not other.arrivals


@pytest.mark.parametrize(("first", "then"), [("schema", "prompt"), ("prompt", "tool")])
def test_a_cap_counts_what_another_way_cost(first: Way, then: Way, buy: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        buy(server, first, requests_for(30))
        before = spent(tmp_path)
        with pytest.raises(BudgetError):
            buy(server, then, requests_for(30), max_usd=before + 0.0005, workers=1)

    assert before < spent(tmp_path) <= before + 0.0005


def test_the_test_of_a_server_is_below_a_cap_that_counts_what_was_bought_before(
    buy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server() as server:
        buy(server, "schema", requests_for(30))  # for more than a test can cost
        with (
            ClaudeClient(tmp_path / "ledger.sqlite", max_usd=spent(tmp_path) + 1e-6) as client,
            pytest.raises(BudgetError),
        ):
            client.fitted(requests_for(3), demand="tool")

    assert not server.tests


def test_the_test_of_a_server_has_the_money_of_batches_that_have_ended(buy: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, "schema", batches=True, wait=False)
        server.batches.forward(1001)
        with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=0.0009) as client:
            (fitted, *_) = client.fitted(requests_for(3), demand="tool")

    assert fitted.way == "tool" and outcomes(tmp_path) == {"answered": 4}
