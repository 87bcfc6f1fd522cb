"""`diff`: every document that only one of two datasets keeps, with the rule of the other, and sums that add up."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from pipeline.commands.texts import diff_text
from pipeline.core.errors import RecipeError
from pipeline.queries.diff import diff
from tests.pipeline.house import House, texts
from tests.pipeline.steps import POISON


@pytest.fixture
def twice(house: House) -> tuple[House, str, str]:
    """One recipe run, edited and run again: both datasets are there."""
    house.lines("a.jsonl", texts(40))
    house.lines("b.jsonl", [*texts(20, start=40), POISON + " in a text", *texts(2)])
    house.clean(["length: {min_length: 60}", "poisoned", "exact_dedup"])
    house.run()
    first = house.workspace.dataset("clean")[0].name
    house.clean(["length: {min_length: 20, max_length: 150}", "poisoned", "exact_dedup"])
    house.run()
    return house, first, house.workspace.dataset("clean")[0].name


def test_gained_and_lost_are_the_differences_of_the_documents(twice):
    house, first, second = twice
    before = {row["id"]: row["text"] for row in house.documents(first)}
    after = {row["id"]: row["text"] for row in house.documents(second)}

    found = diff(house.workspace, first, second)

    gained, lost = set(after) - set(before), set(before) - set(after)
    assert gained and lost
    assert (found["gained"]["documents"], found["lost"]["documents"]) == (len(gained), len(lost))
    assert found["gained"]["bytes"] == sum(len(after[name].encode()) for name in gained)
    assert {row["id"] for row in found["gained"]["examples"]} <= gained
    assert all(row["text"] == before[row["id"]] for row in found["lost"]["examples"])
    assert found["both"] == len(set(before) & set(after))


def test_each_side_names_the_rule_of_the_other(twice):
    house, first, second = twice

    found = diff(house.workspace, first, second)

    rules = {side: Counter({row["rule"]: row["documents"] for row in found[side]["by"]}) for side in ("gained", "lost")}
    assert set(rules["gained"]) == {"length.too_short"} and set(rules["lost"]) == {"length.too_long"}
    assert rules["gained"].total() == found["gained"]["documents"]


def test_the_other_way_round_is_the_mirror_image(twice):
    house, first, second = twice
    there, back = diff(house.workspace, first, second), diff(house.workspace, second, first)

    assert (there["gained"]["by"], there["lost"]["by"]) == (back["lost"]["by"], back["gained"]["by"])
    assert there["a"] == back["b"]


def test_bytes_add_up_where_texts_were_edited(house: House):
    house.lines("a.jsonl", [*texts(5), "this is loud", "so is loud this one, and longer"])
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/a.jsonl}}\ndatasets:\n"
        "  plain: {from: docs, steps: [length]}\n  shouted: {from: docs, steps: [shout, {length: {min_length: 14}}]}\n"
    )
    house.run()

    found = diff(house.workspace, "plain", "shouted")

    assert found["resized"] == {"documents": 1, "bytes": 1}
    moved = found["gained"]["bytes"] - found["lost"]["bytes"] + found["resized"]["bytes"]
    assert found["b"]["bytes"] - found["a"]["bytes"] == moved


def test_a_rule_of_an_earlier_dataset_is_responsible_too(house: House):
    house.lines("a.jsonl", [*texts(20), POISON + " and more", ""])
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/a.jsonl}}\ndatasets:\n"
        "  clean: {from: docs, steps: [{length: {min_length: 60}}, poisoned]}\n"
        "  best: {from: clean, steps: [{count: {min_rank: 3}}]}\n  other: {make: {write: {documents: 3}}}\n"
    )
    house.run()

    against_source = diff(house.workspace, "docs", "best")["lost"]["by"]
    against_made = diff(house.workspace, "other", "best")

    dropped = house.card().dropped["length.too_short"]
    assert {row["rule"]: row["documents"] for row in against_source} == {
        "clean: length.too_short": dropped, "count.low_rank": 3,
    }  # fmt: skip
    assert [row["rule"] for row in against_made["gained"]["by"]] == ["not in its input"]
    assert against_made["lost"]["documents"] == 3


def test_a_dataset_and_itself_differ_in_nothing(twice):
    house, _, second = twice
    found = diff(house.workspace, "clean", second)

    assert (found["gained"]["documents"], found["lost"]["documents"], found["resized"]["documents"]) == (0, 0, 0)


def test_the_answer_is_plain_json_and_reads_well(twice):
    house, first, second = twice
    found = diff(house.workspace, first, second)

    json.dumps(found, allow_nan=False)
    assert f"dropped in {first} by length.too_short" in diff_text(found)


def test_an_unknown_dataset_is_told_the_nearest(twice):
    with pytest.raises(RecipeError, match="Did you mean clean"):
        diff(twice[0].workspace, "clean", "claen")
