"""The reasons of a plan: against a step's own past, in values that a recipe could hold, and never a dump of Python."""

from __future__ import annotations

import shutil

import pytest

from tests.pipeline.house import House, texts

STEPS = ["length: {min_length: 20}", "line_dedup: {min_documents: 2}", "exact_dedup", "pii"]


@pytest.fixture
def built(house: House) -> House:
    house.lines("a.jsonl", ["one line of it\nand one that repeats", "another of it\nand one that repeats", *texts(8)])
    house.clean(STEPS)
    house.run()
    return house


def reasons(house: House, dataset: str = "clean") -> dict[str, str]:
    planned = house.plan().datasets[dataset]
    return {step.spec.label: step.node.reason for step in planned.steps} | {"": planned.node.reason}


def test_steps_after_a_changed_edit_say_which_step_rewrites_their_text(built: House):
    built.clean([STEPS[0], "line_dedup: {min_documents: 3}", *STEPS[2:]])

    found = reasons(built)

    assert found["line_dedup"] == "because params.min_documents 2 -> 3"
    assert found["pii"] == found["exact_dedup"] == "because `line_dedup` rewrites other text"
    assert found[""] == "because `line_dedup`, `exact_dedup` and `pii` are built anew"


def test_a_value_that_the_recipe_leaves_out_is_told_by_its_default(built: House):
    built.clean([STEPS[0], "line_dedup", *STEPS[2:]])

    assert reasons(built)["line_dedup"] == "because params.min_documents 2 -> 7"


def test_steps_put_in_and_taken_out_are_named(built: House):
    built.clean([STEPS[0], "length: {min_length: 3}", *STEPS[2:]])

    assert reasons(built)[""] == "because `length_2` was put in; `line_dedup` was taken out"
    assert reasons(built)["pii"] == "because its text is other"


def test_a_step_is_compared_with_its_own_datasets_past_and_not_with_another_recipes(built: House):
    recipe = built.recipe.read_text(encoding="utf-8")
    built.write(recipe.replace("clean:", "other:").replace("min_length: 20", "min_length: 7"))
    assert reasons(built, "other")["exact_dedup"] == "new"  # it reads other text than anything of the same step
    built.run()
    built.write(recipe.replace("min_length: 20", "min_length: 8"))

    assert reasons(built)["exact_dedup"].startswith("because decided_before.length.decides.min_length 20.0 -> 8.0")
    assert {"new"} == set(reasons_of_a_new_dataset(built, recipe).values()) - {"unchanged"}


def reasons_of_a_new_dataset(house: House, recipe: str) -> dict[str, str]:
    house.write(recipe.replace("clean:", "third:").replace("min_length: 20", "min_length: 9"))
    return {label: reason for label, reason in reasons(house, "third").items() if label in ("exact_dedup", "")}


def test_a_dataset_that_was_never_published_is_compared_with_what_read_the_same_text(built: House):
    shutil.rmtree(built.plan().datasets["clean"].node.folder)
    built.clean([STEPS[0].replace("20", "21"), *STEPS[1:]])

    assert reasons(built)["line_dedup"] == "because decided_before.length.decides.min_length 20.0 -> 21.0"


def source_reason(house: House) -> str:
    return house.plan().sources["docs"].reason


def test_changed_inputs_are_named_by_what_happened_to_them(house: House):
    for number in range(6):
        house.lines(f"part-{number}.jsonl", texts(2, start=2 * number))
    house.clean([])
    house.run()

    house.lines("part-1.jsonl", texts(2, start=50))
    assert source_reason(house) == "because input part-1 changed"
    house.lines("part-9.jsonl", texts(2, start=60))
    assert source_reason(house) == "because 1 input changed, 1 is new: part-1, part-9"
    for number in (2, 3):
        house.lines(f"part-{number}.jsonl", texts(3, start=70 + 3 * number))
    assert source_reason(house) == "because 3 inputs changed, 1 is new: part-1, part-2, part-3, ..."
    for number in (4, 5):
        (house.folder / f"part-{number}.jsonl").unlink()
    assert source_reason(house) == "because 3 inputs changed, 1 is new, 2 are gone: part-1, part-2, part-3, ..."


def test_an_input_that_came_or_went_is_named(house: House):
    for number in range(3):
        house.lines(f"part-{number}.jsonl", texts(2, start=2 * number))
    house.clean([])
    house.run()

    (house.folder / "part-2.jsonl").unlink()
    assert source_reason(house) == "because input part-2 is gone"
    house.lines("part-2.jsonl", texts(2, start=4))
    house.lines("part-9.jsonl", texts(2, start=9))
    assert source_reason(house) == "because input part-9 is new"


def test_no_reason_shows_brackets(built: House):
    for steps in (STEPS[1:], STEPS[::-1], ["patterns: {patterns: {a: x}, max_matches: {a: 3}}"]):
        built.clean(steps)
        assert not any(set("[]{}'") & set(reason) for reason in reasons(built).values())
