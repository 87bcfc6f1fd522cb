"""Texts that a model writes from documents: what is kept and refused, who wrote it, and that none is paid twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.core.errors import BudgetError, DataError, RecipeError
from synth.writing.faithful import unfounded
from synth.writing.prompt import FOLDER
from tests.claude_server import Reply, claude_server
from tests.pipeline.house import House
from tests.synth.writing.room import made_details, room
from tests.synth.writing.server import document, shown, written

ORDERS = {
    "REFUSE": "refused", "CUT": "truncated", "EMPTY": "invalid", "NOTHING": "nothing to write",
    "ASSIST": "assistant's voice", "SORRY": "assistant's voice", "NUMBER": "number made up", "QUOTE": "quote made up",
    "NAMES": "name made up", "LOSE": "numbers lost", "SHORT": "too short", "LONG": "too long",
    "CIRCLE": "goes in circles", "PROMPT": "words of the prompt", "MARK": "marks of the prompt",
    "SCRIPT": "another script",
}  # fmt: skip


def test_faithful_texts_are_kept_and_every_fault_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [document(number) for number in range(6)] + [
        document(number, order=word) for number, word in enumerate(ORDERS, 6)
    ]
    with claude_server(default=written) as server:
        house = room(
            tmp_path, server, monkeypatch, texts, documents=100, styles=["plain", "tutorial"], min_chars=60,
            max_useless=1,
        )  # fmt: skip
        house.run()
        first = {row["id"]: row for row in house.documents("new")}
        arrived = len(server.arrivals)
        again = House(tmp_path)
        again.run()

    details = made_details(house)
    expected = {reason: list(ORDERS.values()).count(reason) for reason in ORDERS.values()}
    assert details["refused"] == dict(sorted(expected.items()))
    assert details["kept"] == len(first) == 6 and details["asked"] == len(texts)
    assert details["short"] == "there are no more documents to write from"
    assert len(server.arrivals) == arrived  # the second run asks nobody
    row = next(iter(first.values()))
    maker = json.loads(row["lineage"])[-1]
    assert row["origin"] == "claude" and maker["depth"] == 1 and maker["model"] == "claude-haiku-5-5"
    assert maker["sources"] == [json.loads(row["metadata"])["written_from"]] and maker["request"].startswith("r_")
    assert {json.loads(each["metadata"])["style"] for each in first.values()} == {"plain", "tutorial"}


def test_exactly_as_many_are_made_as_were_asked_for_whatever_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [document(number, order="" if number % 3 else "NUMBER") for number in range(60)]
    with claude_server(default=written) as server:
        house = room(tmp_path, server, monkeypatch, texts, documents=25, styles=["plain"])
        house.run()

    details = made_details(house)
    assert len(house.documents("new")) == 25 == details["kept"]
    assert details["asked"] == 25 + sum(details["refused"].values()) == len(server.arrivals)
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    (node,) = (node for node in house.plan().nodes if not node.complete)
    assert node.reason == f"because ANTHROPIC_BASE_URL names another server: {server.base_url} -> Anthropic's"


def test_a_text_that_a_model_wrote_is_never_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=written) as server:
        house = room(tmp_path, server, monkeypatch, [document(number) for number in range(4)], documents=4)
        recipe = house.recipe.read_text()
        house.recipe.write_text(recipe + "  twice: {from: new, make: {rephrase: {documents: 4}}}\n")

        with pytest.raises(DataError, match=r"made 0 of 4 rows.*'written by a model already': 4"):
            house.run()

    assert len(server.arrivals) == 4


def test_an_open_model_is_named_as_what_it_is_and_money_ends_a_run_that_a_richer_one_takes_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(
        '[[price]]\nmodel = "small-open"\neffective_from = 2026-01-01\ninput = 1\noutput = 2\ncache_write_5m = 1\n'
        'cache_write_1h = 1\ncache_read = 1\nbatch_multiplier = 1\nsource = "the test"\nchecked_on = 2026-11-01\n'
    )
    texts = [document(number) for number in range(40)]
    with claude_server(default=written) as server:
        how = {"documents": 30, "model": "small-open", "prices": str(prices), "concurrency": 1}
        house = room(tmp_path / "house", server, monkeypatch, texts, **how, max_usd=0.012)
        with pytest.raises(BudgetError):
            house.run()
        poor = len(server.arrivals)
        house = room(tmp_path / "house", server, monkeypatch, texts, **how, max_usd=5)
        house.run()

    assert 0 < poor < 30 and sum(server.bill.values()) == 30  # none was paid for twice
    assert {row["origin"] for row in house.documents("new")} == {"open_model"}


def test_a_model_that_writes_nothing_of_use_is_left_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [document(number) for number in range(700)]
    with claude_server(default=lambda body: Reply(text=f"Sure, here you are. {shown(body)}")) as server:
        house = room(tmp_path, server, monkeypatch, texts, documents=300)

        with pytest.raises(DataError, match="nearly no answer of the last could be kept"):
            house.run()

    assert len(server.arrivals) == 200


def test_documents_that_show_the_same_are_written_anew_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=written) as server:
        house = room(tmp_path, server, monkeypatch, [document(1)] * 3 + [document(2)], documents=4, styles=["plain"])
        house.run()

    assert len({row["id"] for row in house.documents("new")}) == len(house.documents("new")) == 2
    assert made_details(house)["passed_over"] == {"shows the same as an earlier one": 2}


@pytest.mark.parametrize(
    ("shown", "new", "fault"),
    [
        ("a rate of 3.5 percent", "a rate of 35 percent", "number made up"),
        ("0.5 litres", "5 litres", "number made up"),
        ("in 3 4 5", "in 345", "number made up"),
        ("1,250 and 20 300 and 1.5", "1250, 20, 300 and 1,5; 20,300", ""),
        ("from 1990-2000, on 12.05.2021", "from 1990 to 2000, on 12 May 2021", ""),
        ("gains of 95.5 and 7", "95.5 was gained\n\n1. 7", ""),
        ('she said "yes" at last', 'she said "yes", at last and after all of this, and "yes" it was', ""),
        ('she said "yes"', 'she said "yes" and "the moon is made of green cheese"', "quote made up"),
    ],
)
def test_numbers_and_quotes_are_those_of_the_document_however_they_are_set(shown: str, new: str, fault: str) -> None:
    assert unfounded(shown, new) == fault


def test_mistakes_in_prompts_name_file_line_and_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "mine.md"
    own.write_text("---\nname: mine\nversion: one\npurpos: x\nstop: never\nmin_ratio: 0.5\nmax_ratio: 2\n---\nWrite.\n")
    with claude_server(default=written) as server:
        house = room(tmp_path, server, monkeypatch, [document(1)], documents=1, prompts=[str(own)])
        with pytest.raises(RecipeError) as told:
            house.run()
        with pytest.raises(RecipeError, match=r"tutorail: is no prompt.*tutorial"):
            room(tmp_path, server, monkeypatch, [document(1)], styles=["tutorail"]).run()
        with pytest.raises(RecipeError, match="`styles` and `prompts` are both empty"):
            room(tmp_path, server, monkeypatch, [document(1)], styles=[]).run()
        plain = FOLDER.joinpath("plain.md").read_text()
        own.write_text(plain.replace("keep_numbers: 0.6", "keep_numbers: 60"))
        with pytest.raises(RecipeError, match="keep_numbers is 60; it is a share, 0 to 1"):
            room(tmp_path, server, monkeypatch, [document(1)], prompts=[str(own)]).run()
        own.write_text(plain.replace("Short sentences", "Brief sentences"))
        with pytest.raises(DataError, match="two prompts have one name"):
            room(tmp_path, server, monkeypatch, [document(1)], styles=["plain"], prompts=[str(own)]).run()
    assert server.arrivals == []

    assert f"{own}:3: version is 'one'; it must be a whole number" in str(told.value)
    assert f"{own}:4: `purpos` is no key" in str(told.value) and "lacks `keep_numbers`" in str(told.value)
