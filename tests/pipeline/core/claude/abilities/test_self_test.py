"""What a server other than Anthropic's can do is found out by few tiny questions, each bought once, and kept."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from pipeline.core.claude.abilities.self_test import forget_abilities, known_abilities
from pipeline.core.claude.accounting.bill import bill_of
from pipeline.core.claude.buying.bought import Answer
from pipeline.core.claude.client import ClaudeClient
from pipeline.core.claude.messages.request import Demand, Request
from pipeline.core.claude.prices import load_prices
from pipeline.core.errors import BudgetError, DataError, RecipeError, ServiceError
from tests.claude_requests import asked_by
from tests.claude_server import Garbage, HangUp, Reply, Server, Status, claude_server
from tests.conftest import ROOT
from tests.pipeline.core.claude.asking import KEY, requests_for
from tests.pipeline.core.claude.batching import FAST, outcomes

MODEL = "claude-haiku-5-5"


@pytest.fixture(autouse=True)
def a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Callable[..., list[Answer]]:
    """Return what asks a server in the way that it can be asked, with the ledger in `tmp_path`."""

    def fitted(
        server: Server, requests: Sequence[Request] = (), *, demand: Demand = "best", max_usd: float = 1.0, **how: Any
    ) -> list[Answer]:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        how = {"max_usd": max_usd, "backoff_seconds": 0.02, "pacing": FAST, "say": said.append} | how
        with ClaudeClient(tmp_path / "ledger.sqlite", **how) as client:
            return client.ask(client.fitted(requests or requests_for(3), demand=demand))

    return fitted


def known(folder: Path) -> dict[str, bool | None]:
    return {name: found.works for name, found in known_abilities(folder / "ledger.sqlite", model=MODEL).found.items()}


def ability_set(server: Server, *can: str, lacks: Literal["ignores", "rejects"], batches: bool = True) -> None:
    server.can, server.lacks = frozenset(can), lacks
    server.batches.missing_routes = set() if batches else {"create", "list"}


@pytest.mark.parametrize("lacks", ["rejects", "ignores"])
@pytest.mark.parametrize(
    ("can", "way", "num_asked"),
    [
        (("schema", "tool", "prompt"), "schema", 1),
        (("tool", "prompt"), "tool", 2),
        (("tool",), "tool", 2),
        (("prompt",), "prompt", 3),
    ],
)
def test_the_best_way_that_works_is_found_in_three_tiny_requests_at_most(
    can: tuple[str, ...],
    way: str,
    num_asked: int,
    lacks: Literal["ignores", "rejects"],
    ask: Any,
    tmp_path: Path,
    said: list[str],
) -> None:
    with claude_server() as server:
        ability_set(server, *can, lacks=lacks)
        answers = ask(server)
        again = ask(server)

    assert [answer.status for answer in answers + again] == ["parsed"] * 6
    assert all(isinstance(answer.data["clear"], bool) for answer in answers)
    assert len(server.tests) == num_asked and all(body["max_tokens"] <= 1024 for body in server.tests)
    assert max(server.test_bill.values()) == 1 and set(server.bill.values()) == {1} and len(server.bill) == 3
    assert [name for name, works in known(tmp_path).items() if works] == sorted({"batches", way})
    (told,) = said
    fallen_back = "so it is asked for JSON" in told
    assert "it has Message Batches" in told and fallen_back == (way != "schema")


def test_a_server_without_batches_is_asked_one_by_one_and_that_is_said_before(
    ask: Any, tmp_path: Path, said: list[str]
) -> None:
    with claude_server() as server:
        ability_set(server, "schema", lacks="rejects", batches=False)
        answers = ask(server, batches=True)

    assert [answer.status for answer in answers] == ["parsed"] * 3 and not server.batches.batches
    assert said[0].endswith("it has no Message Batches, so requests are sent one by one, at the full price")
    assert known(tmp_path) == {"batches": False, "schema": True}


def test_batches_that_are_gone_are_noted(ask: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        ask(server)
        server.batches.missing_routes = {"create", "list"}
        ask(server, requests_for(6), batches=True)

    assert known(tmp_path) == {"batches": False, "schema": True} and len(server.tests) == 1


@pytest.mark.parametrize("lacks", ["rejects", "ignores"])
def test_batches_carry_the_way_that_was_found(lacks: Literal["ignores", "rejects"], ask: Any) -> None:
    with claude_server() as server:
        ability_set(server, "tool", lacks=lacks)
        answers = ask(server, batches=True)

    assert [answer.status for answer in answers] == ["parsed"] * 3
    (batch,) = server.batches.batches
    assert all(request["params"]["tool_choice"]["type"] == "tool" for request in batch.requests)


def test_a_server_that_gives_no_json_is_told_with_reasons_and_asked_nothing_else_until_the_next_run(
    ask: Any, tmp_path: Path
) -> None:
    with claude_server() as server:
        ability_set(server, lacks="rejects")
        for _ in range(2):
            with pytest.raises(ServiceError, match="gives no JSON, however it is asked") as end:
                ask(server)
        assert "schema: HTTP 400" in str(end.value) and "prompt: invalid (no object" in str(end.value)
        assert len(server.tests) == 6 and not server.bill
        assert "the next run tests it anew" in known_abilities(tmp_path / "ledger.sqlite", model=MODEL).told()
        ability_set(server, "schema", lacks="rejects")  # mended
        answers = ask(server)

    assert [answer.status for answer in answers] == ["parsed"] * 3


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
@pytest.mark.parametrize(("num_useless", "way"), [(1, "tool"), (3, "prompt")])
def test_an_answer_that_was_cut_off_or_refused_shows_nothing_of_a_server(
    num_useless: int, way: str, stop: str, ask: Any, tmp_path: Path, said: list[str]
) -> None:
    with claude_server() as server:
        server.test_script = [Reply(text="{}", stop_reason=stop)] * num_useless
        answers = ask(server) + ask(server, requests_for(4))

    assert {answer.status for answer in answers} == {"parsed"} and len(server.tests) == min(num_useless + 1, 3)
    assert known(tmp_path)["schema"] is None and asked_by(server.arrivals[-1]) == way
    assert len(said) == 1 and "was not seen to give JSON by a schema" in said[0]


def test_what_a_recipe_demands_and_the_server_lacks_is_refused_and_the_rest_of_it_untried(ask: Any) -> None:
    with claude_server() as server:
        ability_set(server, "prompt", lacks="ignores")
        with pytest.raises(RecipeError, match=r"ask_by is tool, and .* does not give JSON by a strict tool"):
            ask(server, demand="tool")
        assert len(server.tests) == 1 and not server.bill
        answers = ask(server, demand="prompt")

    assert [answer.status for answer in answers] == ["parsed"] * 3
    assert len(server.tests) == 2


def test_answers_got_in_one_way_are_never_used_for_another(ask: Any) -> None:
    with claude_server() as server:
        ask(server, demand="schema")
        ask(server, demand="tool")
        ask(server, demand="schema")

    assert len(server.bill) == 6 and set(server.bill.values()) == {1}
    one, other = (replace(requests_for(1)[0], way=way) for way in ("schema", "tool"))
    assert one.id == requests_for(1)[0].id != other.id


def test_a_test_whose_answer_was_lost_is_in_doubt_and_asked_once_by_the_next_run(ask: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        server.test_script = [HangUp()]
        with pytest.raises(ServiceError, match="the self-test of a server has no answer"):
            ask(server)
        assert outcomes(tmp_path) == {"in_doubt": 1} and not server.bill
        ask(server)

    assert outcomes(tmp_path) == {"in_doubt": 1, "answered": 4}
    assert list(server.test_bill.values()) == [2]  # as with any request: one lost and counted, one answered


def test_a_run_killed_in_the_test_leaves_it_in_doubt_and_asks_it_once_more(ask: Any, tmp_path: Path) -> None:
    child = f"""
from pathlib import Path
from pipeline.core.claude.client import ClaudeClient
from tests.pipeline.core.claude.asking import requests_for
with ClaudeClient(Path({str(tmp_path)!r}) / "ledger.sqlite", max_usd=1.0) as client:
    client.fitted(requests_for(3))
"""
    with claude_server() as server:
        server.test_script = [Reply(held=threading.Event())]
        environment = {**os.environ, "ANTHROPIC_BASE_URL": server.base_url, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen([sys.executable, "-c", child], env=environment)
        while not server.tests:
            time.sleep(0.01)
        process.kill()
        process.wait()
        ask(server)

    assert outcomes(tmp_path) == {"in_doubt": 1, "answered": 4}
    assert list(server.test_bill.values()) == [2] and set(server.bill.values()) == {1}


def test_a_server_that_is_busy_at_first_is_waited_for(ask: Any) -> None:
    with claude_server() as server:
        server.test_script = [Status(529), Status(429), Status(503)]
        answers = ask(server)

    assert answers[0].status == "parsed" and len(server.tests) == 4
    assert list(server.test_bill.values()) == [1]


def test_a_server_that_breaks_twice_at_a_schema_is_asked_in_the_next_way(ask: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        server.test_script = [Status(500, billed=True)] * 2
        answers = ask(server)

    assert answers[0].status == "parsed" and known(tmp_path) == {"batches": True, "schema": False, "tool": True}
    assert outcomes(tmp_path) == {"in_doubt": 2, "answered": 4}


def test_a_fault_of_the_moment_is_not_believed(ask: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        server.test_script = [Status(500)]
        ask(server)

    assert known(tmp_path) == {"batches": True, "schema": True} and outcomes(tmp_path) == {"in_doubt": 1, "answered": 4}


def test_a_server_that_gave_answers_in_a_way_keeps_it_until_it_rejects_it(ask: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        ask(server)
        forget_abilities(tmp_path / "ledger.sqlite")
        server.test_script = [Status(500)] * 2
        ask(server, requests_for(4))
        assert known(tmp_path) == {"batches": True, "schema": True} and set(server.bill.values()) == {1}
        forget_abilities(tmp_path / "ledger.sqlite")
        server.test_script = [Status(400, "invalid_request_error")]
        ask(server, requests_for(5))

    assert known(tmp_path) == {"batches": True, "schema": False, "tool": True}


def test_the_cap_holds_for_the_test_and_counts_it_in_later_runs(ask: Any, tmp_path: Path) -> None:
    long = [replace(request, max_tokens=2000) for request in requests_for(3)]
    with claude_server() as server:
        with pytest.raises(BudgetError, match=r"max_usd is 1e-06; \$0 are spent"):
            ask(server, max_usd=1e-6)
        assert not server.tests
        for _ in range(2):
            with pytest.raises(BudgetError, match=r"\$0.0000\d+ are spent or in doubt"):
                ask(server, long, max_usd=0.0009)  # room for the test
        spent = bill_of(tmp_path / "ledger.sqlite", prices=load_prices()).total.spent_usd

    assert len(server.tests) == 1 and spent > 0


def test_the_test_stands_on_the_bill_by_itself(ask: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        ask(server)

    bill = bill_of(tmp_path / "ledger.sqlite", prices=load_prices())
    assert {line.step: line.answers for line in bill.lines} == {"self-test": 1, "test": 3}


def test_a_server_that_answers_unlike_the_test_is_tested_anew_by_the_next_run(ask: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        ask(server, requests_for(2))
        ability_set(server, "prompt", lacks="rejects")  # another server at the same address
        with pytest.raises(ServiceError, match="the service's fault or that of all requests alike") as end:
            ask(server, requests_for(30))
        assert "the next run tests it anew" in end.value.__notes__[-1] and known(tmp_path)["schema"] is None
        num_tests = len(server.tests)
        answers = ask(server, requests_for(30))

    assert len(server.tests) == num_tests + 3 and max(server.test_bill.values()) == 1
    assert {answer.status for answer in answers} == {"parsed"}
    assert not any(answer.from_ledger for answer in answers)  # not even the two that were asked by a schema


def test_useless_answers_have_a_server_tested_anew(ask: Any, tmp_path: Path) -> None:
    with claude_server(default=Reply(text="no JSON")) as server, pytest.raises(ServiceError, match="useless"):
        ask(server, requests_for(30), max_useless=0.5)

    assert set(known(tmp_path).values()) == {None}


def test_a_run_can_be_told_to_test_anew(ask: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        ask(server)
        forget_abilities(tmp_path / "ledger.sqlite")
        ask(server, requests_for(4))

    assert len(server.tests) == 2 and list(server.test_bill.values()) == [2]  # the same question, asked anew
    assert set(server.bill.values()) == {1}


def test_what_is_all_in_the_ledger_needs_no_test(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1.0) as client:
            client.ask(requests_for(3))  # as before there was a test
        answers = ask(server)

    assert not server.tests and all(answer.from_ledger for answer in answers)


def test_what_is_all_in_the_ledger_is_not_bought_again_in_a_better_way(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1.0) as client:
            client.ask([replace(request, way="prompt") for request in requests_for(3)])
        ask(server, requests_for(4)[3:])  # which finds that a schema works
        num_arrived = len(server.arrivals)
        answers = ask(server)

    assert all(answer.from_ledger for answer in answers) and len(server.arrivals) == num_arrived


def test_what_comes_later_is_asked_as_what_the_ledger_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1.0) as client:
            client.ask([replace(request, way="tool") for request in requests_for(3)])
        with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1.0) as client:
            ways = [request.way for some in (3, 4) for request in client.fitted(requests_for(some))]

    assert set(ways) == {"tool"} and len(server.tests) == 1


@pytest.mark.parametrize("trouble", [Status(401), Status(429), Status(500), Status(503), HangUp()])
def test_a_run_that_needs_no_batches_goes_on_where_their_list_cannot_be_had(
    trouble: Status | HangUp, ask: Any, tmp_path: Path, said: list[str]
) -> None:
    with claude_server() as server:
        server.listing = trouble
        answers = ask(server)

    assert {answer.status for answer in answers} == {"parsed"} and known(tmp_path) == {"batches": None, "schema": True}
    assert "whether it has Message Batches is not known (" in said[0]


@pytest.mark.parametrize("batches", [False, True])
def test_a_server_that_answers_everything_with_a_page_has_no_batches(batches: bool, ask: Any, tmp_path: Path) -> None:
    with claude_server() as server:
        server.listing = Garbage()
        answers = ask(server, batches=batches)

    assert {answer.status for answer in answers} == {"parsed"} and known(tmp_path) == {"batches": False, "schema": True}
    assert not server.batches.batches


def test_a_damaged_ledger_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 1000)

    with pytest.raises(DataError, match="cannot be read as a ledger"):
        known_abilities(tmp_path / "ledger.sqlite", model=MODEL)


def test_there_is_nothing_to_test_at_anthropics_own_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)

    with pytest.raises(RecipeError, match="ANTHROPIC_BASE_URL names no server but Anthropic's own"):
        forget_abilities(tmp_path / "ledger.sqlite")
