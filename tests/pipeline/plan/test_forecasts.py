"""What a plan says that paid steps will cost, against what a run of them does cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.texts import plan_rows, plan_text
from pipeline.core.claude.forecast import Forecast
from pipeline.plan.forecasts import forecasts_of
from pipeline.queries.status import status_of
from tests.claude_server import Reply, claude_server
from tests.pipeline.house import House, texts


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    house = House(tmp_path)
    house.lines("docs.jsonl", [text * (1 + number % 7) for number, text in enumerate(texts(300))])
    return house


def label(house: House, **params: Any) -> None:
    told = ", ".join(f"{key}: {value}" for key, value in {"teacher": "claude", **params}.items())
    house.clean([f"label: {{{told}}}"])


def forecast(house: House) -> Forecast:
    (found,) = forecasts_of(house.plan()).values()
    return found


def varied(body: Any) -> Reply:
    return Reply(output_tokens=40 + len(body["messages"][0]["content"]) % 60)


def test_before_anything_is_built_a_pilot_tells_an_interval_that_holds_the_cost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    label(house, documents=60)
    with claude_server(default=varied) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        found, told = forecast(house), plan_text(house.plan())
        assert list(house.workspace.root.glob("*")) == []
        house.run()

    assert found.low_usd < status_of(house.workspace)["cost_usd"] < found.high_usd
    assert found.basis == "a pilot of 200 documents of docs, 3.2 bytes a token assumed"
    assert found.requests >= 60  # and what is asked beside
    assert re.search(
        r"at most \$0\.\d\d, probably \$0\.0\d+ \(\$0\.0\d+ to \$0\.\d+\)\.\nclean\.label: \d+ requests", told
    )


def test_answers_to_the_same_rubric_tell_the_cost_of_more_within_a_few_percent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=varied) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        label(house, documents=50)
        house.run()
        label(house, documents=300)
        found = forecast(house)
        house.run()

    cost = status_of(house.workspace)["cost_usd"]
    assert re.match(r"the tokens of 5\d answers to the same rubric and model", found.basis)
    assert found.low_usd < cost < found.high_usd and found.high_usd < 1.15 * found.low_usd
    assert found.usd == pytest.approx(cost, rel=0.05)


def test_shorter_excerpts_than_those_of_known_answers_are_told_by_their_size(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.lines("docs.jsonl", [text * 30 for text in texts(120)])
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        label(house, documents=50)
        house.run()
        before = status_of(house.workspace)["cost_usd"]
        label(house, documents=100, excerpt_chars=300)
        found = forecast(house)
        house.run()

    assert found.usd == pytest.approx(status_of(house.workspace)["cost_usd"] - before, rel=0.05)
    assert "for the size of 120 documents of docs" in found.basis


def test_batches_halve_the_forecast_and_not_the_most_that_may_be_spent(house: House) -> None:
    label(house, documents=60)
    single, most = forecast(house), plan_rows(house.plan())["max_cost_usd"]
    label(house, documents=60, batches="true")
    batched = forecast(house)

    assert batched.usd == pytest.approx(single.usd / 2, rel=1e-3)
    assert batched.basis.endswith("at the price of batches")
    assert plan_rows(house.plan())["max_cost_usd"] == most


def test_answers_of_another_server_or_rubric_tell_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        label(house, documents=50)
        house.run()
    monkeypatch.delenv("ANTHROPIC_BASE_URL")

    assert forecast(house).basis.startswith("a pilot")


def test_a_cap_below_the_forecast_is_said_to_stop_the_run(house: House) -> None:
    label(house, documents=250, max_usd=0.001)

    assert "at most $0.0010, probably $0.0" in plan_text(house.plan())
    assert "The cap stops it before." in plan_text(house.plan())


def test_what_costs_nothing_has_no_forecast(house: House) -> None:
    house.clean(["label"])

    assert forecasts_of(house.plan()) == {}
    assert plan_text(house.plan()).endswith("3 of 3 to build, no paid requests.")


def test_a_source_that_cannot_be_read_leaves_the_forecast_out_of_the_plan(house: House) -> None:
    (house.folder / "docs.jsonl").write_bytes(b"\x1f\x8b no gzip at all\n")
    label(house, documents=60)

    assert forecasts_of(house.plan()) == {}
    assert "to build, at most $0." in plan_text(house.plan())
