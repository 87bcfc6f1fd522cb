"""A published dataset's card back into parts, links and rules, from files alone."""

from __future__ import annotations

import shutil

import pytest

from pipeline import catalog
from pipeline.core.errors import DataError, RecipeError
from pipeline.recipe import names
from pipeline.store.evidence import all_evidence, evidence_of, find_rule
from tests.pipeline.house import House, texts


@pytest.fixture
def built(house: House) -> House:
    house.lines("a.jsonl", ["ab", *texts(6)])
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/a.jsonl}}\ndatasets:\n"
        "  a_child: {from: parent, steps: [{length: {max_length: 80}}]}\n"
        "  parent: {from: docs, steps: [{length: {min_length: 12}}, shout, {count: {min_rank: 1}}]}\n"
        "  tasks: {make: write}\n"
    )
    house.run()
    return house


def test_rules_come_back_with_their_thresholds(built: House):
    links = evidence_of(built.workspace, "parent").chain.links

    assert [link.label for link in links] == ["length", "shout", "count"]
    assert (links[0].rules[0].name, links[0].rules[0].op, links[0].rules[0].threshold) == ("too_short", ">=", 12.0)
    assert [link.edits for link in links] == [False, True, False]


def test_a_dataset_answers_for_itself_without_recipe_or_steps(built: House, monkeypatch):
    monkeypatch.setattr(catalog, "STEPS", {})
    monkeypatch.setattr(names, "STEPS", {})
    built.recipe.unlink()
    shutil.rmtree(built.folder / "workspace" / "made")

    evidence = evidence_of(built.workspace, "parent")

    (part,) = evidence.chain.base
    assert evidence.verdicts(part).column("reason").to_pylist()[:2] == ["length.too_short", "count.low_rank"]
    assert evidence.signals(evidence.chain.links[0], part).column("length").to_pylist()[0] == 2.0


def test_parents_come_before_children(built: House):
    assert [evidence.name for evidence in all_evidence(built.workspace)] == ["parent", "a_child"]


def test_what_was_made_or_read_has_no_decisions_to_show(built: House):
    with pytest.raises(RecipeError, match="`tasks` is a made"):
        evidence_of(built.workspace, "tasks")


def test_signals_that_are_gone_are_named(built: House):
    evidence = evidence_of(built.workspace, "parent")
    shutil.rmtree(evidence.chain.links[0].folder)

    with pytest.raises(DataError, match="the signals of length are gone"):
        evidence.signals(evidence.chain.links[0], evidence.chain.base[0])


@pytest.mark.parametrize(
    ("word", "meant"), [("length.too_short", "length.too_short"), ("low_rank", "count.low_rank"), ("shout", "shout")]
)
def test_a_rule_is_found_by_its_full_name_its_own_name_or_its_step(built: House, word: str, meant: str):
    assert find_rule(evidence_of(built.workspace, "parent"), word) == meant


def test_an_unknown_rule_is_answered_with_the_nearest(built: House):
    with pytest.raises(RecipeError, match=r"--rule to_short: .* Did you mean length\.too_short"):
        find_rule(evidence_of(built.workspace, "parent"), "to_short")
