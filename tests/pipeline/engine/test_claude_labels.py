"""A recipe that asks Claude, from the plan to the card: whose answers they are, and what they cost in all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from filters.labels.label import Label
from filters.labels.rubrics.rubric import FOLDER
from pipeline.commands.run.run_recipe import run_recipe
from pipeline.commands.texts import plan_text
from pipeline.core.claude.prices import dollars
from pipeline.core.errors import BudgetError, DataError, RecipeError
from pipeline.core.files.card import read_card
from pipeline.engine.progress import Silent
from pipeline.queries.export.export import export_named
from pipeline.queries.status import status_of
from tests.claude_server import Reply, Server, claude_server
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
    test = (server.test_tokens["input"] * 0.10 + server.test_tokens["output"] * 0.50) / 1e6  # of the server itself
    assert told_first == pytest.approx(paid_first + test)
    assert card.cost_usd == pytest.approx(bill_usd(server))
    assert card.details["paid_now_usd"] == pytest.approx(bill_usd(server) - paid_first)
    assert status_of(house.workspace)["cost_usd"] == pytest.approx(bill_usd(server) + test)
    assert f"Paid requests: {dollars(card.cost_usd)}" in Path(exported.folder, "README.md").read_text(encoding="utf-8")


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


def test_useless_answers_are_asked_for_again_for_the_price_that_the_plan_says(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def three_are_useless(body: Mapping[str, Any]) -> Reply:
        text = body["messages"][0]["content"]
        return Reply(text="no") if any(f"text{number} " in text for number in (3, 7, 11)) else Reply()

    house.lines("docs.jsonl", texts(40))
    with claude_server(default=three_are_useless) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        house.clean(["label: {teacher: claude}"])
        house.run()
        server.default = Reply()
        house.clean(["label: {teacher: claude, ask_again: {invalid: 1}}"])
        plan = house.plan()
        told, before = plan_text(plan), bill_usd(server)
        house.run()

    label = next(node for node in plan.to_build if node.name == "label")
    one, two = (Label(params=Label.Params.parse({"teacher": "claude"})).estimate_usd(count) for count in (1, 2))
    assert label.cost_usd == pytest.approx(one + 2 * (two - one))
    assert 0 < bill_usd(server) - before < label.cost_usd
    assert re.search(r"2 of 3 to build, at most \$0\.0\d+, probably \$0\.000\d+ ", told)
    assert [row["status"] for row in house.signals("label")] == ["graded"] * 40


def test_grades_that_a_later_step_cannot_use_are_not_bought(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.lines("docs.jsonl", texts(40))
    house.clean(["label: {teacher: claude}", "quality: {keep_fraction: 0.5}"])
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        with pytest.raises(DataError, match="40 documents can be graded; a later step needs 50 grades"):
            house.run()

    assert not server.arrivals


def test_a_rubric_of_ones_own_is_known_by_its_content_and_another_scale_buys_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = (FOLDER / "template.md").read_text(encoding="utf-8")
    mine = house.folder / "mine.md"
    house.lines("docs.jsonl", texts(8))
    house.clean(["label: {teacher: claude, rubric: DIR/mine.md, second_reading: 0, twins: 0}"])

    def run(text: str) -> list[float | None]:
        mine.write_text(text, encoding="utf-8")
        house.run()
        return [row["grade"] for row in house.signals("label")]

    with claude_server(default=useful) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        first, bought = run(template), len(server.arrivals)
        rescaled = run(template.replace("useful: 2\n    audience: {experts: 1, everybody: 2}", "useful: 4"))
        unchanged = len(server.arrivals)
        run(template.replace("Say when the answer is yes", "Say when it is yes"))

    assert (first, rescaled) == ([3.0] * 8, [5.0] * 8)
    assert {row["reach"] for row in house.signals("label")} == {0.0}
    assert (bought, unchanged, len(server.arrivals)) == (8, 8, 16)


def useful(body: Mapping[str, Any]) -> Reply:
    """Answer the template's questions: useful, with a quote, and the rest as what needs none."""
    quote = " ".join(body["messages"][0]["content"].split("\n")[1].split()[:3])
    first = {"useful": (True, quote), "audience": ("nobody", ""), "dated": (False, "")}
    return Reply(text=json.dumps({key: {"quote": quote, "answer": answer} for key, (answer, quote) in first.items()}))


def test_a_rubric_that_is_not_there_or_that_the_teacher_does_not_know_is_told_with_its_line(house: House) -> None:
    house.lines("docs.jsonl", texts(4))

    house.clean(["label: {teacher: claude, rubric: rubrics/mine.md}"])
    with pytest.raises(RecipeError, match=r"yaml:7: .*label\.rubric_file: `rubrics/mine.md` is neither a dataset nor"):
        house.plan()
    house.clean(["label: {rubric: spam}"])
    with pytest.raises(
        RecipeError, match=r"yaml:7: .*\.label: the offline teacher knows the rubric `educational` only"
    ):
        house.plan()


def bill_usd(server: Server) -> float:
    """Return what the server has counted, at the price of the default model."""
    return (server.input_tokens * 0.10 + server.output_tokens * 0.50) / 1e6
