"""`why` and `look`: the whole story of one document, and samples of those kept and dropped."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pipeline.commands.texts import look_text, stats_text, why_text
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.parquet.shards import read_rows
from pipeline.queries.documents import look, why
from pipeline.queries.stats import stats
from pipeline.store import evidence
from pipeline.store.dataset import chain
from tests.pipeline.house import House, texts
from tests.pipeline.steps import POISON


@pytest.fixture
def built(house: House) -> House:
    house.lines("a.jsonl", ["ab", *texts(9), POISON, "this one is loud", "", *texts(1)])
    house.lines("b.jsonl", texts(5, start=9))
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/*.jsonl}}\ndatasets:\n"
        "  clean: {from: docs, steps: [{length: {min_length: 12, max_length: 200}}, poisoned, shout, exact_dedup]}\n"
        "  best: {from: clean, steps: [{count: {min_rank: 3}}]}\n"
        "  tasks: {make: {write: {documents: 3}}}\n"
    )
    house.run()
    return house


def test_why_tells_every_signal_rule_threshold_verdict_and_margin(built: House):
    story = why(built.workspace, "docs/a:0")["datasets"][0]

    assert (story["dataset"], story["kept"], story["reason"]) == ("clean", False, "length.too_short")
    assert story["failed"] == ["length.too_short", "poisoned.too_short"]
    assert [step["step"] for step in story["steps"]] == ["length", "poisoned", "shout", "exact_dedup"]
    length = story["steps"][0]
    assert length["signals"] == {"length": 2.0, "shared": None}
    assert length["rules"][0] == {
        "rule": "too_short", "signal": "length", "value": 2.0, "op": ">=", "threshold": 12.0, "verdict": "drop",
        "margin": -10.0, "parameter": "min_length",
    }  # fmt: skip
    unmeasured = length["rules"][2]
    assert (unmeasured["value"], unmeasured["verdict"], unmeasured["margin"]) == (None, "keep", None)


def test_why_follows_a_document_through_every_dataset_that_saw_it(built: House):
    story = why(built.workspace, "docs/a:1")

    assert [(told["dataset"], told["reason"]) for told in story["datasets"]] == [
        ("clean", None), ("best", "count.low_rank"),
    ]  # fmt: skip


def test_why_shows_the_text_as_it_was_edited(built: House):
    assert why(built.workspace, "docs/a:11")["datasets"][0]["document"]["text"] == "THIS ONE IS LOUD!"


def test_why_names_what_was_kept_instead_and_the_error(built: House):
    twin = why(built.workspace, "docs/a:13")["datasets"][0]
    broken = why(built.workspace, "docs/a:10")["datasets"][0]

    assert twin["reason"] == "exact_dedup.exact_duplicate"
    assert twin["steps"][3]["signals"]["duplicate_of"] == "docs/a:1"
    assert broken["reason"] == "length.too_short" and broken["steps"][1]["error"].startswith("ValueError: cannot")


def test_why_tells_of_a_row_that_never_became_a_document(built: House):
    story = why(built.workspace, "docs/a:12")

    assert story["datasets"] == []
    assert [(row["place"], row["reason"]) for row in story["quarantined"]] == [("a line 13", "empty_text")]
    assert "quarantined at a line 13: empty_text" in why_text(story)


def test_why_of_a_made_document_says_how_it_came_to_be(built: House):
    story = why(built.workspace, "made-1")

    assert [(told["dataset"], told["kept"], told["steps"]) for told in story["datasets"]] == [("tasks", True, [])]
    assert "the number" in why_text(story)


def test_an_id_that_nobody_saw_is_said_to_be_so(built: House):
    with pytest.raises(DataError, match=r"nobody-7: none of the latest results in .* saw this id; older ones"):
        why(built.workspace, "nobody-7")


def test_an_id_that_only_an_older_result_saw_is_not_said_to_be_new(built: House):
    assert why(built.workspace, "docs/b:4")["datasets"]
    built.lines("b.jsonl", texts(2, start=9))
    built.run()

    with pytest.raises(DataError, match=r"docs/b:4: none of the latest results in .* saw this id; older ones are not"):
        why(built.workspace, "docs/b:4")


def test_look_shows_kept_documents_and_how_many_there_are(built: House):
    found = look(built.workspace, "clean", dropped=False, rule=None, count=4)

    assert (found["total"], len(found["documents"])) == (built.card().rows_out, 4)
    assert all(document["kept"] and document["id"] in built.ids() for document in found["documents"])
    assert found == look(built.workspace, "clean", dropped=False, rule=None, count=4)


def test_look_at_a_source_shows_its_quarantined_rows_with_place_and_reason(built: House):
    found = look(built.workspace, "docs", dropped=True, rule=None, count=9)

    assert found["total"] == 1
    assert [(row["id"], row["reason"], row["why"]) for row in found["documents"]] == [
        ("docs/a:12", "empty_text", "a line 13")
    ]
    assert "[empty_text: a line 13]" in look_text(found) and "1 of 1 quarantined rows of docs" in look_text(found)
    assert look(built.workspace, "docs", dropped=True, rule="empty_text", count=9) == found
    with pytest.raises(RecipeError, match=r"--rule not_json: no row was quarantined for it.*empty_text"):
        look(built.workspace, "docs", dropped=True, rule="not_json", count=9)


def test_nothing_was_dropped_from_what_a_step_made(built: House):
    with pytest.raises(DataError, match="tasks: nothing was dropped from it; it is a made"):
        look(built.workspace, "tasks", dropped=True, rule=None, count=9)


def test_look_at_a_source_without_quarantined_rows_says_so(house: House):
    house.lines("a.jsonl", texts(3))
    house.clean([])
    house.run()

    found = look(house.workspace, "docs", dropped=True, rule=None, count=9)

    assert look_text(found) == "No row of docs was quarantined."


def test_look_at_an_empty_dataset_says_why_it_is_empty(house: House):
    house.lines("a.jsonl", texts(3))
    house.clean(["length: {min_length: 5000}"])
    house.run()

    found = look(house.workspace, "clean", dropped=False, rule=None, count=9)

    told = "clean holds no documents: of 3 documents none was kept, 3 went by length.too_short."
    assert look_text(found) == told
    assert stats_text(stats(house.workspace, "clean", signal=None, by=None, fate="all")).endswith(told)


def test_look_at_one_rule_shows_only_what_it_dropped_with_value_and_threshold(built: House):
    found = look(built.workspace, "clean", dropped=True, rule="too_short", count=20)

    assert {document["id"] for document in found["documents"]} == {"docs/a:0", "docs/a:10"}
    assert {document["reason"] for document in found["documents"]} == {"length.too_short"}
    assert found["documents"][0]["why"] == "length is 2; kept if >= 12"
    assert "[length.too_short: length is 2; kept if >= 12]" in look_text(found)


def test_look_at_all_dropped_holds_every_reason(built: House):
    found = look(built.workspace, "clean", dropped=True, rule=None, count=99)

    assert found["total"] == built.card().rows_in - built.card().rows_out == len(found["documents"])
    assert all(not document["kept"] and document["reason"] for document in found["documents"])


def test_look_at_a_step_shows_documents_that_broke_it(house: House):
    house.lines("a.jsonl", [POISON + " and more", *texts(3)])
    house.clean(["poisoned"])
    house.run()

    found = look(house.workspace, "clean", dropped=True, rule="poisoned", count=9)

    assert [(document["id"], document["reason"]) for document in found["documents"]] == [("docs/a:0", "poisoned")]


def test_look_at_sources_and_made_documents_needs_no_decisions(built: House):
    assert look(built.workspace, "docs", dropped=False, rule=None, count=3)["total"] == 19 - 1
    assert len(look(built.workspace, "tasks", dropped=False, rule=None, count=2)["documents"]) == 2
    with pytest.raises(DataError, match="nothing was dropped from it"):
        look(built.workspace, "tasks", dropped=True, rule=None, count=2)


def test_answers_are_plain_json(built: House):
    for answer in (why(built.workspace, "docs/a:0"), look(built.workspace, "clean", dropped=True, rule=None, count=9)):
        json.dumps(answer, allow_nan=False)


def test_control_characters_of_a_text_do_not_reach_the_terminal(house: House):
    house.lines("a.jsonl", ["\x1b[31mred\x07 and bidi \u202e text, long enough"])
    house.clean(["length"])
    house.run()

    shown = why_text(why(house.workspace, "docs/a:0")) + look_text(
        look(house.workspace, "clean", dropped=False, rule=None, count=1)
    )

    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_each_part_is_read_once_however_many_of_its_documents_are_shown(built: House, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    for module in (chain, evidence):
        monkeypatch.setattr(
            module, "read_rows", lambda path, *rest, **more: opened.append(path) or read_rows(path, *rest, **more)
        )

    shown = look(built.workspace, "clean", dropped=False, rule=None, count=20)["documents"]

    assert len(shown) == 15
    assert len(opened) == len(set(opened)) == 2 * 2  # documents and verdicts of two parts


def test_a_look_does_not_import_what_it_does_not_need(built: House):
    code = (
        "from pipeline.core.process.start import start; start();"
        "import sys; from pathlib import Path; from pipeline.queries.documents import look;"
        "from pipeline.store.workspace import Workspace;"
        f"look(Workspace(Path({str(built.workspace.root)!r})), 'clean', dropped=True, rule=None, count=9);"
        "print({'pandas', 'polars', 'numba', 'torch'} & set(sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("asked", "near"),
    [("a:1", "docs/a:1, docs/a:10 or docs/a:11"), ("DOCS/A:3", "docs/a:3"), ("dosc/a:7", "docs/a:7"), ("zz/zz:zz", "")],
)
def test_a_part_of_an_id_is_answered_with_the_nearest(house: House, asked: str, near: str):
    house.lines("a.jsonl", texts(12))
    house.clean(["length"])
    house.run()

    with pytest.raises(DataError) as caught:
        why(house.workspace, asked)

    way_out = f"Did you mean {near}?" if near else "`tamis look DATASET` shows ids."
    assert str(caught.value).endswith(way_out)
