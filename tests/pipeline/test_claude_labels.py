"""A recipe that asks Claude, from the plan to the card: whose answers they are, and what they cost in all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.card import read_card
from pipeline.core.errors import BudgetError, RecipeError
from pipeline.export import export_named
from pipeline.outcome import run_recipe
from pipeline.progress import Silent
from pipeline.status import status_of
from tests.claude_server import Server, claude_server
from tests.pipeline.house import House, texts


@pytest.fixture(autouse=True)
def a_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_labels_of_another_server_are_labelled_anew_by_claude(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.lines("docs.jsonl", texts(6))
    house.clean(["label: {teacher: claude}"])
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        house.run()
        assert house.plan().to_build == []

    monkeypatch.delenv("ANTHROPIC_BASE_URL")

    label, dataset = house.plan().to_build
    assert (label.name, dataset.name) == ("label", "clean")
    assert label.reason.startswith("because extras ")


def test_money_paid_before_the_cap_is_told_during_the_pause_and_after_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.lines("docs.jsonl", texts(40))
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        house.clean(["label: {teacher: claude, max_usd: 0.003}"])
        with pytest.raises(BudgetError):
            house.run()
        paid_first, told_first = bill_usd(server), status_of(house.workspace)["cost_usd"]
        house.clean(["label: {teacher: claude, max_usd: 1.0}"])
        label = house.run().datasets["clean"].steps[0].node
        exported = export_named(house.workspace, "clean", to=house.folder / "out")

    card = read_card(label.folder)
    assert 0 < paid_first < bill_usd(server)
    assert told_first == pytest.approx(paid_first)
    assert card.cost_usd == pytest.approx(bill_usd(server))
    assert card.details["paid_now_usd"] == pytest.approx(bill_usd(server) - paid_first)
    assert status_of(house.workspace)["cost_usd"] == pytest.approx(bill_usd(server))
    assert f"Paid requests: {card.cost_usd:.2f} USD" in Path(exported.folder, "README.md").read_text(encoding="utf-8")


def test_a_missing_key_stops_before_any_work_and_is_needed_by_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("HOME", str(house.folder))
    house.lines("docs.jsonl", texts(4))
    house.clean(["length", "label: {teacher: claude}"])

    with pytest.raises(RecipeError, match="ANTHROPIC_API_KEY is not set"):
        run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent())

    assert len(house.plan().to_build) == len(house.plan().nodes) > 0


def bill_usd(server: Server) -> float:
    """Return what the server has counted, at the price of the default model."""
    return (server.input_tokens * 0.10 + server.output_tokens * 0.50) / 1e6
