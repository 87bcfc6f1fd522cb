"""Held-out texts that are trained on stop the experiment, however they came there."""

from __future__ import annotations

import pytest

from pipeline.core.errors import DataError
from pipeline.experiment.streams.shared_texts import refuse_shared_texts
from pipeline.plan.graph import Plan
from tests.pipeline.house import House, texts

RECIPE = """
sources: {one: {read: jsonl, path: DIR/one.jsonl}, two: {read: jsonl, path: DIR/two.jsonl}}
datasets:
  held: {from: one, steps: [exact_dedup]}
  raw: {from: two, steps: RAW}
  good: {from: raw, steps: [GOOD]}
"""
EXPERIMENT = """
mixtures: {raw: {weights: {raw: 1}}, good: {weights: {good: 1}}}
proxy: {tokens: 4k}
gate: {candidate: good, baseline: raw, on: [held]}
"""


def planned(house: House, *, raw: str = "[]", good: str = "exact_dedup") -> Plan:
    """Build the datasets, then plan the experiment on them."""
    recipe = RECIPE.replace("RAW", raw).replace("GOOD", good)
    house.write(recipe)
    house.run()
    house.write(recipe + EXPERIMENT)
    return house.plan()


def test_one_text_in_two_files_is_met_whatever_its_id(house: House):
    house.lines("one.jsonl", texts(40))
    house.lines("two.jsonl", texts(40, start=38))

    with pytest.raises(
        DataError, match=r"gate\.on: 2 of 40 texts of `held` stand in `good` word for word, such as one/one:"
    ):
        refuse_shared_texts(planned(house))


def test_what_a_search_looks_at_is_compared_too(house: House):
    house.lines("one.jsonl", texts(40))
    house.lines("two.jsonl", texts(40, start=38))
    house.lines("three.jsonl", texts(40, start=100))
    with_third = "three: {read: jsonl, path: DIR/three.jsonl}, two: {read"
    recipe = (RECIPE.replace("two: {read", with_third).replace("RAW", "[]").replace("GOOD", "exact_dedup")) + (
        "  judged: {from: three, steps: [exact_dedup]}\n"
    )
    house.write(recipe)
    house.run()
    search = "sweep: {around: even, on: {held: 1}, proxies: 8, rounds: 2}\n"
    mixtures = "mixtures: {even: {weights: {raw: 1, good: 1}}}\nproxy: {tokens: 4k}\n"
    house.write(recipe + mixtures + search + "gate: {candidate: proposed, baseline: even, on: [judged]}\n")

    with pytest.raises(DataError, match=r"sweep\.on: 2 of 40 texts of `held` stand in `good` word for word"):
        refuse_shared_texts(house.plan())


def test_a_text_in_a_hundred_may_be_everywhere(house: House):
    house.lines("one.jsonl", texts(100))
    house.lines("two.jsonl", texts(40, start=99))

    refuse_shared_texts(planned(house))


def test_a_step_that_looks_at_the_held_out_set_is_taken_at_its_word_as_far_as_it_stands_before(house: House):
    house.lines("one.jsonl", texts(40))
    house.lines("two.jsonl", texts(40, start=20))

    with pytest.raises(DataError, match=r"20 of 40 texts of `held` stand in `raw`"):
        refuse_shared_texts(planned(house, good="length: {against: [held]}"))
    refuse_shared_texts(planned(house, raw="[length: {against: [held]}]"))
