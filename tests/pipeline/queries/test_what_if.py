"""What-if equals the run that it stands for, and writes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.texts import what_if_text
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.parquet.shards import read_table
from pipeline.queries.what_if import what_if
from tests.pipeline.house import House, texts
from tests.pipeline.steps import POISON

STEPS = ["length: {min_length: 30}", "gopher_quality: {min_words: 10}"]


@pytest.fixture
def built(house: House) -> House:
    house.lines("a.jsonl", texts(40))
    house.lines("b.jsonl", texts(30, start=40))
    house.clean(STEPS)
    house.run()
    return house


def every_file(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def reasons(house: House) -> dict[str, str | None]:
    folder = house.workspace.dataset("clean")[0]
    rows = [row for path in sorted(folder.glob("verdicts-*")) for row in read_table(path).to_pylist()]
    return {row["id"]: row["reason"] for row in rows}


@pytest.mark.parametrize(
    ("key", "value", "edited"),
    [
        ("length.min_length", 80, ["length: {min_length: 80}", STEPS[1]]),
        ("length.min_length", 3, ["length: {min_length: 3}", STEPS[1]]),
        ("length.max_length", 100, ["length: {min_length: 30, max_length: 100}", STEPS[1]]),
        ("gopher_quality.min_words", 20, [STEPS[0], "gopher_quality: {min_words: 20}"]),
    ],
)
def test_the_answer_is_what_an_edited_run_gives_to_the_document(
    built: House, key: str, value: float, edited: list[str]
):
    before = set(built.ids())

    (answer,) = what_if(built.workspace, built.recipe, settings={f"datasets.clean.{key}": value})["datasets"]

    built.clean(edited)
    built.run()
    after = {row["id"]: row for row in built.documents()}
    gained, lost = set(after) - before, before - set(after)
    assert (answer["kept_before"], answer["kept_after"]) == (len(before), len(after))
    assert (answer["gained"]["documents"], answer["lost"]["documents"]) == (len(gained), len(lost))
    assert {example["id"] for example in answer["gained"]["examples"]} <= gained
    assert {example["id"] for example in answer["lost"]["examples"]} <= lost
    assert answer["gained"]["bytes"] == sum(len(after[name]["text"].encode()) for name in gained)
    assert answer["approximate_after"] == []


def test_all_gained_and_lost_documents_are_those_of_the_run_when_few_enough_to_list(built: House):
    ids = set(built.ids())
    longest = sorted(len(row["text"]) for row in built.documents())[-4]
    (answer,) = what_if(built.workspace, built.recipe, settings={"datasets.clean.length.max_length": longest})[
        "datasets"
    ]
    built.clean([f"length: {{min_length: 30, max_length: {longest}}}", STEPS[1]])
    built.run()

    assert 0 < answer["lost"]["documents"] <= 5
    assert {example["id"] for example in answer["lost"]["examples"]} == ids - set(built.ids())


def test_two_changes_at_once_are_one_answer(built: House):
    settings = {"datasets.clean.length.min_length": 60, "datasets.clean.gopher_quality.min_words": 12}

    (answer,) = what_if(built.workspace, built.recipe, settings=settings)["datasets"]

    built.clean(["length: {min_length: 60}", "gopher_quality: {min_words: 12}"])
    built.run()
    assert answer["kept_after"] == built.card().rows_out


def test_a_target_share_and_a_threshold_before_it_are_answered_together(house: House):
    house.lines("a.jsonl", texts(40))
    house.lines("b.jsonl", texts(30, start=40))
    house.clean(["length: {min_length: 30}", "longest: {keep_fraction: 0.5}", "gopher_quality: {min_words: 5}"])
    house.run()
    settings = {"datasets.clean.length.min_length": 80, "datasets.clean.longest.keep_fraction": 0.25}

    (answer,) = what_if(house.workspace, house.recipe, settings=settings)["datasets"]

    before = set(house.ids())
    house.clean(["length: {min_length: 80}", "longest: {keep_fraction: 0.25}", "gopher_quality: {min_words: 5}"])
    house.run()
    assert (answer["kept_before"], answer["kept_after"]) == (len(before), len(house.ids()))
    assert answer["lost"]["documents"] == len(before - set(house.ids())) > 0


def test_examples_are_among_the_flips_wherever_these_lie(house: House):
    for number in range(4):
        house.lines(f"{number}.jsonl", texts(10, start=10 * number))
    house.clean(["length"])
    house.run()
    ids = set(house.ids())

    (answer,) = what_if(house.workspace, house.recipe, settings={"datasets.clean.length.min_length": 80})["datasets"]

    house.clean(["length: {min_length: 80}"])
    house.run()
    shown = [example["id"] for example in answer["lost"]["examples"]]
    assert len(set(shown)) == 5 and set(shown) <= ids - set(house.ids())


def test_documents_that_broke_a_step_stay_out_whatever_the_thresholds_of_others(house: House):
    """One fails before it breaks the second step, so its verdict names the failure alone."""
    house.lines("a.jsonl", [f"a long {POISON} among the words", f"a {POISON}", "short", *texts(20)])
    house.clean(["length: {min_length: 20}", "poisoned", "exact_dedup"])
    house.run()

    (answer,) = what_if(house.workspace, house.recipe, settings={"datasets.clean.length.min_length": 1})["datasets"]

    before = set(house.ids())
    house.clean(["length: {min_length: 1}", "poisoned", "exact_dedup"])
    house.run()
    assert answer["kept_after"] == len(house.ids())
    assert {example["id"] for example in answer["gained"]["examples"]} == set(house.ids()) - before != set()


def test_a_target_share_after_a_changed_threshold_is_taken_of_those_who_pass_it_now(house: House):
    house.lines("a.jsonl", texts(40))
    steps = ["gopher_quality: {min_words: 8}", "longest: {keep_fraction: 0.5}", "poisoned: {max_length: 150}"]
    house.clean(["length", *steps])
    house.run()
    before = set(house.ids())

    (answer,) = what_if(house.workspace, house.recipe, settings={"datasets.clean.length.max_length": 90})["datasets"]

    house.clean(["length: {max_length: 90}", *steps])
    house.run()
    assert answer["kept_after"] == len(house.ids())
    assert (answer["gained"]["documents"], answer["lost"]["documents"]) == (
        len(set(house.ids()) - before), len(before - set(house.ids()))
    )  # fmt: skip
    assert answer["gained"]["documents"] > 0


def test_a_question_does_not_import_what_it_does_not_need(house: House):
    """Each of these takes longer to import than the answer for a million documents takes to find."""
    house.lines("a.jsonl", texts(10))
    house.clean(["gopher_quality: {min_words: 3, min_mean_word_length: 1.0, min_stop_words: 0}", "c4_quality"])
    house.run()
    code = (
        "from pipeline.core.process.start import start; start();"
        "import sys; from pathlib import Path; from pipeline.queries.what_if import what_if;"
        "from pipeline.store.workspace import Workspace;"
        f"found = what_if(Workspace(Path({str(house.workspace.root)!r})), Path({str(house.recipe)!r}),"
        "settings={'datasets.clean.c4_quality.min_sentences': 0});"
        "heavy = {'numba', 'pandas', 'polars', 'torch'} & set(sys.modules);"
        "print(len(found['datasets'][0]['gained']['examples']), heavy)"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "5 set()\n"


def test_nothing_is_written(built: House):
    before = every_file(built.folder)

    what_if(built.workspace, built.recipe, settings={"datasets.clean.length.min_length": 80})

    assert every_file(built.folder) == before


def test_a_gathering_step_after_the_change_is_named_as_approximate(house: House):
    house.lines("a.jsonl", texts(20))
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/a.jsonl}}\ndatasets:\n"
        "  clean: {from: docs, steps: [{length: {min_length: 50}}, exact_dedup, count]}\n"
        "  best: {from: clean, steps: [length]}\n"
    )
    house.run()

    first = what_if(house.workspace, house.recipe, settings={"datasets.clean.length.min_length": 5})["datasets"][0]
    last = what_if(house.workspace, house.recipe, settings={"datasets.clean.count.min_rank": 4})["datasets"][0]

    assert (first["approximate_after"], last["approximate_after"]) == (["exact_dedup", "count"], [])
    assert first["also_affected"] == ["best"]
    assert last["lost"]["documents"] == 4


def test_a_measurement_cannot_be_answered_from_stored_signals(built: House):
    with pytest.raises(RecipeError, match=r"datasets\.clean\.length\.unit changes what is measured \(default -> 2\)"):
        what_if(built.workspace, built.recipe, settings={"datasets.clean.length.unit": 2})


def test_a_setting_that_decides_nothing_is_refused(built: House):
    with pytest.raises(RecipeError, match="changes no decision"):
        what_if(built.workspace, built.recipe, settings={"seed": 99})


def test_a_recipe_that_was_edited_and_not_run_is_not_answered_from_old_documents(built: House):
    built.clean(["length: {min_length: 31}", STEPS[1]])

    with pytest.raises(DataError, match=r"no stored signals for .*min_length 30\.0 -> 31\.0.*Run it first"):
        what_if(built.workspace, built.recipe, settings={"datasets.clean.length.min_length": 80})


def test_another_recipe_in_the_same_workspace_is_not_mixed_up_with_this_one(built: House, tmp_path: Path):
    kept = len(built.ids())
    recipe = built.recipe.read_bytes()
    built.clean(["length: {min_length: 200}"])
    built.run()
    built.recipe.write_bytes(recipe)

    (answer,) = what_if(built.workspace, built.recipe, settings={"datasets.clean.length.min_length": 80})["datasets"]

    assert answer["kept_before"] == kept != built.card().rows_out


def test_lost_documents_say_what_would_drop_them_and_gained_ones_what_did(built: House):
    changes = {"min_length": 3, "max_length": 150}
    settings = {f"datasets.clean.length.{key}": value for key, value in changes.items()}
    built.clean(STEPS[:1])
    built.run()
    before = reasons(built)

    (answer,) = what_if(built.workspace, built.recipe, settings=settings)["datasets"]

    told = {side: {row["rule"]: row["documents"] for row in answer[side]["by"]} for side in ("gained", "lost")}
    assert {(example["was"], example["now"]) for example in answer["gained"]["examples"]} == {
        ("length.too_short", "kept")
    }
    assert {(example["was"], example["now"]) for example in answer["lost"]["examples"]} == {("kept", "length.too_long")}
    built.clean(["length: {min_length: 3, max_length: 150}"])
    built.run()
    after = reasons(built)
    flips = {name: (before[name], after[name]) for name in before}
    assert told["gained"] == {"length.too_short": sum(was is not None and now is None for was, now in flips.values())}
    assert told["lost"] == {"length.too_long": sum(was is None and now is not None for was, now in flips.values())}
    text = what_if_text({"datasets": [answer], "settings": {}})
    assert f"    {told['lost']['length.too_long']} now dropped by length.too_long" in text
    assert "(now length.too_long): " in text and "(was length.too_short): " in text and "was kept" not in text
