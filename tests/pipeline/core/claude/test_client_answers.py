"""Answers that are useless as a rule, counts of tokens that cannot be right, servers that repeat the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude.client import USELESS, ClaudeClient
from pipeline.core.errors import ServiceError
from tests.claude_server import Garbage, Reply, Status, claude_server
from tests.pipeline.core.claude.asking import KEY, ask, requests_for


@pytest.fixture(autouse=True)
def a_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def number_of(body: Any) -> int:
    return int(body["messages"][0]["content"].split()[1])


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(text="Sure! Here is the grade."), r"10 of the last 10 answers are useless: 10 x invalid \(not JSON"),
        (Reply(stop_reason="max_tokens"), r"10 x truncated \(max_tokens\)"),
        (Reply(stop_reason="refusal"), r"10 x refused \(no category\)"),
    ],
)
def test_useless_answers_stop_the_purchase_early_and_can_be_read(
    reply: Reply, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=reply) as server:
        with pytest.raises(ServiceError, match=told) as end:
            ask(tmp_path, server, requests_for(144), monkeypatch=monkeypatch, workers=2, max_useless=0.6)
        num_bought = sum(server.bill.values())
        with pytest.raises(ServiceError, match="no more are bought"):
            ask(tmp_path, server, requests_for(144), monkeypatch=monkeypatch, workers=2, max_useless=0.6)

        assert 10 <= num_bought <= 12
        assert sum(server.bill.values()) == num_bought  # a second run knows already
    lines = [json.loads(line) for line in (tmp_path / USELESS).read_text().splitlines()]
    assert len(lines) == num_bought and {line["answer"] for line in lines} <= {
        reply.text,
        *(f["answer"] for f in lines),
    }
    assert str(tmp_path / USELESS) in end.value.__notes__[-1]


def test_a_share_of_useless_answers_that_is_usual_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def every_third_is_refused(body: Any) -> Reply:
        return Reply(stop_reason="refusal") if number_of(body) % 3 == 0 else Reply()

    with claude_server(default=every_third_is_refused) as server:
        answers = ask(tmp_path, server, requests_for(90), monkeypatch=monkeypatch, max_useless=0.6)

    assert sum(answer.status == "refused" for answer in answers) == 30


def test_whoever_wants_useless_answers_gets_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=Reply(text="no")) as server:
        answers = ask(tmp_path, server, requests_for(20), monkeypatch=monkeypatch, max_useless=1.0)

    assert {answer.status for answer in answers} == {"invalid"}


@pytest.mark.parametrize(
    "usage", [{"input_tokens": -5_000_000}, {"output_tokens": "60"}, {"input_tokens": 10**30}, {"input_tokens": True}]
)
def test_counts_that_cannot_be_right_cost_what_was_reserved(
    usage: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=Reply(usage=usage)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1) as client:
            (answer,) = client.ask(requests_for(1))
            spent_usd = client.spent_usd

    assert answer.status == "parsed"
    assert 0.0001 < answer.cost_usd == spent_usd < 0.01


def test_a_500_may_have_been_billed_and_counts_as_in_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(script=[Status(500)]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1, backoff_seconds=0.02) as client:
            (answer,) = client.ask(requests_for(1))
            in_doubt, spent_usd = client.num_in_doubt, client.spent_usd

    assert answer.status == "parsed"
    assert in_doubt == 1 and spent_usd > answer.cost_usd


ESCAPED = "".join(f"\\u{ord(character):04x}" for character in KEY)


@pytest.mark.parametrize(
    "echo",
    [
        Status(400, "invalid_request_error", text="the key {key} is fine, the request is not"),
        Status(401, "authentication_error", text="invalid x-api-key: {key}"),
        Status(429, "rate_limit_error", text="{key} is too fast", headers={"retry-after": "1000000"}),
        Status(500, text="{key}", error_code="{key}"),
        Reply(text="I was called with {key}."),
        Reply(text=f'{{"evidence": "{ESCAPED}", "clear": true}}'),
        Reply(stop_reason="refusal", stop_details={"category": "{key}"}),
        Garbage(f'{{"error": "{KEY}"}}'.encode()),
    ],
)
def test_a_key_that_a_server_repeats_is_neither_shown_nor_stored(
    echo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    seen = ""
    with claude_server(default=echo) as server:
        try:
            seen = repr(ask(tmp_path, server, requests_for(12), monkeypatch=monkeypatch, say=said.append, workers=2,
                            max_useless=0.6))  # fmt: skip
        except ServiceError as error:
            seen = str(error) + repr(error.__notes__)

        assert KEY in repr(server.headers[0])
    assert KEY not in seen + repr(said)
    for path in tmp_path.rglob("*"):
        assert KEY.encode() not in path.read_bytes(), path
        assert ESCAPED.encode() not in path.read_bytes(), path
