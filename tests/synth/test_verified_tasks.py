"""Every document was checked, no wrong answer passes, and a task depends on nothing but its seed and its number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from blake3 import blake3
from pydantic import ValidationError

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError
from pipeline.core.step import Making
from synth import verified_tasks
from synth.families import ALL_FAMILIES, FAMILIES, checker
from synth.task_part import Job, Span, TaskTally, accepts, make_part, refusal
from synth.tasks.draw import Draw
from synth.tasks.layout import TaskPage
from synth.tasks.task import Task
from synth.verified_tasks import VerifiedTasks, VerifiedTasksParams, make_task
from tests.synth.made import changes_noticed, made, wrong_tried

SEED = 17
ANY = VerifiedTasksParams()


def make(tmp_path: Path, *, seed: int = SEED, **recipe: Any) -> tuple[pa.Table, Making]:
    """Run the step with parts made in reverse order, and return all rows in part order."""
    parts: dict[int, pa.Table] = {}
    work = Making(
        parts=[], scratch=tmp_path, output=tmp_path, seed=seed, inputs={}, ledger=tmp_path / "ledger",
        say=lambda line: None,
        map=lambda function, items, label="": [function(item) for item in reversed(items)][::-1],
        write=lambda index, table: parts.update({index: table}),
    )  # fmt: skip
    VerifiedTasks(params=VerifiedTasksParams.parse(recipe)).make(work)
    return pa.concat_tables([parts[index] for index in sorted(parts)]), work


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_300_tasks_of_every_difficulty_are_accepted(family: str, record_property: Any) -> None:
    refused = {}
    for index, (task, page) in enumerate(made(family)[:300]):
        reason = refusal(task, page, check=checker(family))
        if reason:
            refused[index] = reason

    record_property("times", 300)
    assert refused == {}
    assert {task.difficulty for task, _ in made(family)} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_no_wrong_answer_is_accepted(family: str, record_property: Any) -> None:
    tried = wrong_tried(family, 80)

    accepted = [(kind, wrong) for kind, task, wrong in tried if accepts(checker(family), task.prompt, wrong)]

    record_property("times", len(tried))
    assert accepted == []
    kinds = {kind for kind, _, _ in tried}
    assert {"empty", "off_by_one", "swapped_order", "dropped_element", "neighbour", "hedged"} <= kinds


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_an_answer_is_checked_against_its_own_prompt(family: str, record_property: Any) -> None:
    """A checker that ignored the prompt would accept the answer under another problem, or a changed one."""
    tasks = [task for task, _ in made(family)[:60]]
    pairs = [(a, b) for a, b in zip(tasks, tasks[7:], strict=False) if a.answer != b.answer]

    accepted = [(a.prompt, b.answer) for a, b in pairs if accepts(checker(family), a.prompt, b.answer)]
    noticed, tried = changes_noticed(family, 60)

    record_property("times", len(pairs) + tried)
    assert len(pairs) > 25
    assert accepted == []
    assert noticed > tried * 0.25


def test_every_family_is_made_where_a_recipe_says_all() -> None:
    assert VerifiedTasksParams.parse({"families": "all"}).families == ALL_FAMILIES
    assert len(ALL_FAMILIES) >= 30 and ALL_FAMILIES[:10] == FAMILIES


def test_two_runs_give_the_same_rows(tmp_path: Path) -> None:
    one, _ = make(tmp_path, documents=400)
    two, _ = make(tmp_path, documents=400)

    assert one.equals(two)


def test_a_document_does_not_depend_on_how_many_there_are_or_on_the_parts(tmp_path: Path) -> None:
    few, _ = make(tmp_path, documents=200, part_documents=70)
    many, _ = make(tmp_path, documents=300, part_documents=300)

    assert many.slice(0, few.num_rows).equals(few)


def test_a_task_does_not_depend_on_the_other_families(tmp_path: Path) -> None:
    alone, _ = make(tmp_path, documents=30, families=["sorting"])
    among, _ = make(tmp_path, documents=60, families=["arithmetic", "sorting"])

    same = among.filter(pa.array(["/sorting/" in identity for identity in among["id"].to_pylist()]))
    assert same["text"].to_pylist() == alone["text"].to_pylist()


def test_another_seed_gives_other_tasks(tmp_path: Path) -> None:
    one, _ = make(tmp_path, documents=50)
    two, _ = make(tmp_path, documents=50, seed=SEED + 1)

    assert not set(one["text"].to_pylist()) & set(two["text"].to_pylist())
    assert not set(one["id"].to_pylist()) & set(two["id"].to_pylist())


def test_rows_say_what_made_and_what_verified_them(tmp_path: Path) -> None:
    table, _ = make(tmp_path, documents=20)

    assert table.schema.equals(SCHEMA)
    row = table.to_pylist()[10]
    assert re.fullmatch("verified_tasks/arithmetic/[0-9a-f]{6}/1", row["id"])
    assert (row["source"], row["origin"]) == ("verified_tasks", "procedural")
    (made_by,) = json.loads(row["lineage"])
    assert made_by == {
        "step": "verified_tasks", "version": 3, "family": "arithmetic", "seed": SEED, "index": 1,
        "verified_by": "checker of arithmetic",
    }  # fmt: skip
    metadata = json.loads(row["metadata"])
    assert metadata["family"] == "arithmetic" and metadata["answer"] in row["text"]
    assert 1 <= metadata["difficulty"] <= 5


def test_difficulty_stays_in_its_range(tmp_path: Path) -> None:
    table, _ = make(tmp_path, documents=100, min_difficulty=2, max_difficulty=3)

    assert {json.loads(text)["difficulty"] for text in table["metadata"].to_pylist()} == {2, 3}


def test_no_prompt_is_written_twice(tmp_path: Path) -> None:
    """Easy calendar tasks repeat now and then; the later one is dropped, wherever the parts are cut."""
    recipe: dict[str, Any] = {"documents": 3000, "families": ["calendar_dates"], "max_difficulty": 1}

    table, work = make(tmp_path, **recipe)
    other, _ = make(tmp_path, part_documents=800, **recipe)

    assert work.details["duplicates_dropped"] > 0
    assert table.num_rows == 3000 - work.details["duplicates_dropped"]
    assert other.equals(table)


def test_as_many_documents_are_kept_as_were_asked_for(tmp_path: Path) -> None:
    """The easiest sequences repeat; `kept` goes on, from where `tried` ends, until all are there."""
    recipe: dict[str, Any] = {"families": ["calendar_dates", "sorting"], "max_difficulty": 1, "documents": 3000}

    tried, _ = make(tmp_path, **recipe)
    kept, work = make(tmp_path, count="kept", **recipe)
    cut, _ = make(tmp_path, count="kept", part_documents=700, **recipe)

    assert tried.num_rows < 3000 == kept.num_rows and "short" not in work.details
    assert kept.slice(0, tried.num_rows).equals(tried) and cut.equals(kept)
    assert len(set(kept["id"].to_pylist())) == 3000


def test_a_family_without_new_tasks_is_left_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = verified_tasks.generate

    def only_thirty(family: str, draw: Draw, difficulty: int) -> Task:
        return few(family, Draw(1, family, draw.below(30)), difficulty)

    monkeypatch.setattr("synth.task_part.generate", only_thirty)

    table, work = make(tmp_path, count="kept", families=["counting"], max_difficulty=1, documents=200)

    assert table.num_rows <= 30
    assert re.fullmatch(
        rf"{table.num_rows} of 200 documents, as these families have no more new tasks at difficulty 1 to 1: counting "
        r"\(the last \d+ of \d+ tasks gave 0 new ones\)\. Allow more difficulties or families\.",
        work.details["short"],
    )
    assert work.details["duplicates_by_family"] == {"counting": work.details["duplicates_dropped"]}


def test_a_part_of_nothing_but_repeats_is_empty(tmp_path: Path) -> None:
    task, _ = make_task("sorting", 0, params=ANY, seed=SEED)
    made = make_part(Job((Span(("sorting",), 0, 3),), 1, 5, SEED))

    again = verified_tasks.without_known(made, set(made.prompts))

    assert again.num_rows == 0 and again.schema.equals(SCHEMA)
    assert task.prompt in made.table["text"][0].as_py()


def test_the_card_counts_what_was_tried(tmp_path: Path) -> None:
    _, work = make(tmp_path, documents=400)

    assert work.details["generated"] == 400
    assert work.details["verified"] == 400 - sum(work.details["rejected"].values())
    assert work.details["wrong_answers_tried"] > 100
    assert work.details["wrong_answers_accepted"] == 0


def test_a_task_that_its_checker_refuses_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.checkers.sets.sorting.check", lambda prompt, answer: False)

    table, work = make(tmp_path, documents=40, families=["sorting", "sequences"])

    assert table.num_rows == 20
    assert work.details["rejected"] == {"sorting: the checker disagrees": 20}


def test_a_checker_that_accepts_anything_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.checkers.sets.sorting.check", lambda prompt, answer: True)

    with pytest.raises(DataError, match=r"accepted \d+ of \d+ wrong answers"):
        make(tmp_path, documents=20, families=["sorting"])


def test_a_wrong_step_is_refused_even_if_the_answer_is_right() -> None:
    task, page = make_task("arithmetic", 1, params=ANY, seed=SEED)
    spoiled = TaskPage(text=page.text + "\n\n2 + 2 = 5", style=page.style)

    assert refusal(task, spoiled, check=checker("arithmetic")) == "a worked step is wrong"


def test_nothing_verified_is_an_error() -> None:
    with pytest.raises(DataError, match="none of 0 tasks"):
        TaskTally().raise_for_broken_checkers()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"families": ["arithmetics"]}, "the nearest are arithmetic"),
        ({"families": ["sorting", "sorting"]}, "named twice"),
        ({"families": []}, "at least 1 item"),
        ({"min_difficulty": 4, "max_difficulty": 2}, "above max_difficulty"),
        ({"documents": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_parameter_is_explained(recipe: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        VerifiedTasksParams.parse(recipe)


def test_the_text_changes_only_with_the_version(tmp_path: Path) -> None:
    """When this fails on purpose, bump `VerifiedTasks.version` and write the new hash beside it."""
    table, _ = make(tmp_path, documents=200)

    digest = blake3("\0".join(table["text"].to_pylist()).encode()).hexdigest()[:16]

    assert (VerifiedTasks.version, digest) == (3, "87c62d3369074259")


def test_more_tasks_than_anyone_could_wait_for_are_refused() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 100000000"):
        VerifiedTasksParams.parse({"documents": 10**26})
    assert VerifiedTasksParams.parse({"documents": 100_000_000, "part_documents": 1}).documents == 100_000_000
