"""What a plan says that paid steps will cost, against what a run of them does cost."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.commands.texts import plan_rows, plan_text
from pipeline.core.claude.accounting.forecast import Forecast
from pipeline.core.claude.ledger.ledger import total_usd
from pipeline.core.errors import BudgetError
from pipeline.engine.progress import Silent
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
        found, before = forecast(house), total_usd(house.workspace.ledger)
        house.run()

    cost = total_usd(house.workspace.ledger) - before
    assert re.match(r"the tokens of 5\d answers to the same rubric and model", found.basis)
    assert found.low_usd < cost < found.high_usd and found.high_usd < 1.15 * found.low_usd
    assert found.usd == pytest.approx(cost, rel=0.05)


def test_a_larger_sample_is_told_without_what_is_in_the_ledger(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=varied) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        label(house, documents=100)
        house.run()
        before, num_before = total_usd(house.workspace.ledger), server.bill.total()
        label(house, documents=115, max_usd=round(before, 5))
        assert "The cap stops it before.\n" in plan_text(house.plan())
        label(house, documents=115)
        found, told = forecast(house), plan_text(house.plan())
        house.run()
        paid = total_usd(house.workspace.ledger) - before

    bought = server.bill.total() - num_before
    assert (found.requests, found.there) == (124, 124 - bought)  # looked up, not guessed
    assert 0.8 * before < found.there_usd <= before
    assert found.low_usd < paid < found.high_usd and found.usd == pytest.approx(paid, rel=0.2)
    assert f"clean.label: 124 requests, {found.there} of them in the ledger, the others probably $0.00" in told
    assert "The cap" not in told


@pytest.mark.parametrize("files", ["as they were", "changed"])
def test_with_another_seed_the_interval_holds_what_the_other_sample_costs(
    house: House, monkeypatch: pytest.MonkeyPatch, files: str
) -> None:
    """Before, all that the step had bought was taken for a part of the new sample: 100 of 100, and not 36."""
    with claude_server(default=varied) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        label(house, documents=100)
        house.run()
        before, num_before = total_usd(house.workspace.ledger), server.bill.total()
        label(house, documents=110)
        house.write(f"seed: 5\n{house.recipe.read_text()}")
        if files == "changed":  # so the documents are not there before the run, and the overlap is not known
            lines = (house.folder / "docs.jsonl").read_text().splitlines()
            house.lines("docs.jsonl", [json.loads(line)["text"] for line in lines] + ["one more"])
        found = forecast(house)
        house.run()
        paid, bought = total_usd(house.workspace.ledger) - before, server.bill.total() - num_before

    assert 50 < bought < 100
    assert found.low_usd < paid < found.high_usd
    if files == "changed":
        assert found.high_usd > 2 * found.low_usd  # from all of it in the ledger to none
    else:
        assert found.requests - found.there == bought and found.high_usd < 1.2 * found.low_usd


def test_a_sample_after_a_filter_is_known_once_the_filter_has_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after(documents: int) -> None:
        house.clean(["length: {min_words: 9}", f"label: {{teacher: claude, documents: {documents}}}"])

    with claude_server(default=varied) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        after(60)
        house.run()
        num_before = server.bill.total()
        after(90)
        found = forecast(house)
        house.run()

    assert found.requests - found.there == server.bill.total() - num_before > 25


def test_a_run_that_its_cap_stopped_is_told_what_is_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=varied) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        label(house, documents=100, max_usd=0.01)
        with pytest.raises(BudgetError):
            house.run()
        before = total_usd(house.workspace.ledger)
        label(house, documents=100, max_usd=1)
        found = forecast(house)
        house.run()

    assert 20 < found.there < 100
    assert found.low_usd < total_usd(house.workspace.ledger) - before < found.high_usd


def test_answers_about_other_documents_are_not_taken_for_these(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=varied) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        label(house, documents=60)
        house.run()
        house.lines("docs.jsonl", [text.upper() for text in texts(300)])
        other = forecast(house)
        house.lines("docs.jsonl", texts(20_000, start=1000))
        of_many = forecast(house)

    assert other.there == 0
    assert of_many.high_usd > 1.5 * of_many.low_usd or of_many.there == 0  # none of 200 in 20,000 need be of 60


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
    assert "for the size of the documents to be asked for" in found.basis
    assert found.there == 0


def test_batches_halve_the_forecast_and_not_the_most_that_may_be_spent(house: House) -> None:
    label(house, documents=60, cache="never")
    single, most = forecast(house), plan_rows(house.plan())["max_cost_usd"]
    label(house, documents=60, batches="true", cache="never")
    batched = forecast(house)

    assert batched.usd == pytest.approx(single.usd / 2, rel=1e-3)
    assert batched.basis.endswith("at the price of batches")
    assert plan_rows(house.plan())["max_cost_usd"] == most


@pytest.mark.parametrize("works", [True, False])
def test_a_forecast_holds_whether_the_cache_is_read_or_not(
    works: bool, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=varied) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        for documents in (60, 200):  # by a pilot, then by answers
            label(house, documents=documents, cache="always", second_reading=0.0, twins=0.0, canaries=0.0)
            found, before = forecast(house), status_of(house.workspace)["cost_usd"]
            server.cache_works = works
            house.run()
            spent = status_of(house.workspace)["cost_usd"] - before

            assert found.low_usd <= spent <= found.high_usd, (documents, found, spent)
            assert "with what the cache saves" in found.basis


def test_a_plan_says_how_a_server_will_be_asked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        server.can = frozenset({"tool"})
        server.batches.missing_routes = {"create", "list"}
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        label(house, documents=20)
        before = plan_text(house.plan())
        house.run()
        label(house, documents=40)
        after, num_asked = plan_text(house.plan()), len(server.tests)
        run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent(), test_endpoint=True)

    assert (num_asked, len(server.tests)) == (2, 4)  # `run --test-endpoint`
    assert "can do is not known yet; the run first asks it at most 3 tiny questions." in before
    assert "does not give JSON by a schema (HTTP 400 invalid_request_error" in after
    assert after.endswith(
        "so it is asked for JSON by a strict tool; it has no Message Batches, so requests are sent one by one, at the "
        "full price."
    )


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


def test_a_few_long_documents_weigh_no_more_than_they_are(house: House) -> None:
    house.lines("docs.jsonl", texts(3000))
    house.lines("long.json", [f"{text}\n" * 100 for text in texts(30, start=5000)])

    def of(*sources: str) -> Forecast:
        named = {"docs": "docs.jsonl", "long": "long.json"}
        listed = "".join(f"  {name}: {{read: jsonl, path: DIR/{named[name]}}}\n" for name in sources)
        house.write(
            f"sources:\n{listed}datasets:\n  clean:\n    from: [{', '.join(sources)}]\n    steps:\n"
            "      - label: {teacher: claude, documents: 1000, excerpt_chars: 20000}\n"
        )
        return forecast(house)

    short, long, both = of("docs"), of("long"), of("docs", "long")

    assert both.usd == pytest.approx(0.99 * short.usd + 0.01 * long.usd, rel=0.05)


def test_a_cap_that_another_way_has_used_up_is_said_to_stop_the_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        label(house, documents=40, max_usd=1)
        house.run()
        cap = 1.2 * total_usd(house.workspace.ledger)
        label(house, documents=40, max_usd=cap, ask_by="prompt")
        told = plan_text(house.plan())
        with pytest.raises(BudgetError):
            house.run()

    assert "The cap stops it before." in told and total_usd(house.workspace.ledger) <= cap
