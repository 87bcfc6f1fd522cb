"""The label step: which documents are graded, by whom, and what stands in the card and the signals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from filters.labels.label import LABELS, Label
from filters.labels.rubrics.rubric import EXCERPT, FOLDER, MODEL, excerpt, load_rubric
from filters.labels.sample.sampling import shares
from filters.labels.teachers.offline import OFFLINE_TITLE
from filters.labels.teachers.offline_rubric import grade_text
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.parquet.shards import read_table
from tests.filters.labels.labelling import CHANGES, LESSON, LICENCE, TEXTS, Room, many


def test_the_offline_teacher_grades_teaching_above_boilerplate_and_says_what_it_is(tmp_path: Path) -> None:
    room = Room(tmp_path, {"a/lesson": LESSON, "a/licence": LICENCE, "a/changes": CHANGES}).run()

    assert room.graded == {"a/lesson": 5.0, "a/licence": 0.0, "a/changes": 0.0}
    assert {row["teacher"] for row in room.columns.values()} == {OFFLINE_TITLE}
    assert room.work.details["teacher"] == OFFLINE_TITLE and "Claude" not in json.dumps(room.work.details)
    assert room.work.details["grades"] == {"0": 2, "1": 0, "2": 0, "3": 0, "4": 0, "5": 1}


def test_the_sample_does_not_depend_on_how_the_dataset_is_cut(tmp_path: Path) -> None:
    whole = Room(tmp_path / "1", many(300), num_parts=1).run(documents=50)
    cut = Room(tmp_path / "7", many(300), num_parts=7).run(documents=50)

    assert whole.columns == cut.columns
    assert len(whole.graded) == 50
    assert (tmp_path / "1" / LABELS).read_bytes() == (tmp_path / "7" / LABELS).read_bytes()


def test_strata_give_in_proportion_to_their_size(tmp_path: Path) -> None:
    room = Room(tmp_path, many(400)).run(documents=80)

    by_remainder = [sum(int(id.split("/")[1]) % 4 == remainder for id in room.graded) for remainder in range(4)]
    assert by_remainder == [20, 20, 20, 20]
    assert room.work.details["outcomes_by_source"] == {"books": {"graded": 20}, "web": {"graded": 60}}


def test_shares_add_up_and_never_exceed_a_stratum() -> None:
    assert shares(np.array([1, 1, 1]), count=2).tolist() == [1, 1, 0]
    assert shares(np.array([5, 90, 5]), count=10).sum() == 10


def test_another_sample_size_keeps_the_documents_that_are_paid_for(tmp_path: Path) -> None:
    small = Room(tmp_path / "small", many(400)).run(documents=40, sample="uniform")
    large = Room(tmp_path / "large", many(400)).run(documents=80, sample="uniform")

    assert set(small.graded) < set(large.graded)


def test_documents_outside_the_sample_have_nulls_in_every_signal(tmp_path: Path) -> None:
    room = Room(tmp_path, many(20)).run(documents=5)

    outside = [row for row in room.columns.values() if row["status"] is None]
    assert len(outside) == 15
    assert set(outside[0].values()) == {None}


def test_an_empty_dataset_is_graded_in_no_time(tmp_path: Path) -> None:
    room = Room(tmp_path, {}).run()

    assert room.work.details["asked"] == 0
    assert read_table(tmp_path / LABELS).num_rows == 0


def test_a_teacher_sees_a_cut_document_marked_as_cut() -> None:
    assert excerpt("x" * 300, max_chars=300) == "x" * 300
    assert excerpt("x" * 1234, max_chars=200) == "x" * 200 + "\n[cut here: 1,034 of 1,234 characters are not shown]"


@pytest.mark.parametrize(
    "params",
    [
        {"teacher": "offline", "max_usd": 3},
        {"teacher": "file"},
        {"teacher": "file", "path": "grades.jsonl", "documents": 100},
        {"teacher": "offline", "ask_again": {"invalid": 1}},
        {"teacher": "claude", "path": "grades.parquet"},
        {"rubric": "educational", "rubric_file": "my.md"},
        {"teacher": "offline", "canaries": 0.5},
        {"teacher": "claude", "any_language": True},
        {"documents": 0},
        {"unknown": 1},
    ],
)
def test_a_setting_without_effect_is_an_error(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Label.Params.parse(params)


def test_money_and_concurrency_are_no_part_of_the_identity() -> None:
    params = Label.Params.parse({"teacher": "claude", "max_usd": 9.0, "concurrency": 3, "documents": 100})

    assert params.of_role("measure") == {"teacher": "claude", "documents": 100}


def test_the_plan_is_told_the_most_that_labels_can_cost() -> None:
    def estimate(**params: Any) -> float:
        return Label(params=Label.Params.parse(params)).estimate_usd(num_documents=500)

    assert estimate() == 0.0
    assert 0.5 < estimate(teacher="claude", documents=10_000, max_usd=9.0) < 2.0
    assert estimate(teacher="claude", documents=10_000) == 1.0  # the cap
    assert estimate(teacher="claude", documents=10_000, max_usd=0.01) == 0.01
    with pytest.raises(RecipeError, match="no price"):
        estimate(teacher="claude", model="claude-nobody")


def test_what_a_later_step_needs_is_checked_before_anything_is_bought(tmp_path: Path) -> None:
    room = Room(tmp_path, many(30))
    room.work.wanted = {"grade": 50}

    with pytest.raises(
        DataError, match=r"30 documents can be graded; a later step needs 50 grades\. Nothing was bought"
    ):
        room.run(teacher="claude")

    assert not (tmp_path / "ledger.sqlite").exists()


def test_a_rubric_is_named_and_not_pathed(tmp_path: Path) -> None:
    """What a path names would be in no identity; `rubric_file` is for that."""
    with pytest.raises(RecipeError, match="does not come with Tamis"):
        load_rubric("../rubrics/educational")


def test_a_rubric_of_ones_own_needs_five_questions_and_another_teacher(tmp_path: Path) -> None:
    own = tmp_path / "own.md"
    own.write_text("# Mine\n\n" + "".join(f"## q_{letter}: Question?\n\nText.\n\n" for letter in "abcde"))
    short = tmp_path / "short.md"
    short.write_text("## one: Question?\n")

    assert load_rubric("educational", file=own).criteria == ("q_a", "q_b", "q_c", "q_d", "q_e")
    with pytest.raises(RecipeError, match=r"short\.md:1: has no head, and the questions one"):
        load_rubric("educational", file=short)
    with pytest.raises(RecipeError, match="does not come with Tamis"):
        load_rubric("educationl")
    with pytest.raises(RecipeError, match="knows the rubric `educational` only"):
        Room(tmp_path / "room", TEXTS, inputs={"rubric_file": [own]}).run(rubric_file=str(own))


def test_the_packaged_rubric_and_scorer_change_only_with_the_version() -> None:
    """A changed standard must bump Label.version, or old labels pass for new ones; another id loses paid answers."""
    request = load_rubric("educational").request("A text.", model="claude-haiku-5-5")
    grades = [grade_text(text).grade for text in (LESSON, LICENCE, CHANGES, LESSON[:250], "", "word " * 500)]

    assert (Label.version, request.id, grades) == (6, "r_cf810ae48a471afa1f7117aab88b844e8836491c", [5, 0, 0, 1, 0, 0])


GERMAN = (
    "Die bin\u00e4re Suche findet einen Wert in einer geordneten Liste, indem sie den Teil halbiert, in dem er liegt. "
    "Weil die Liste geordnet ist, gen\u00fcgt ein Vergleich mit der Mitte, um die H\u00e4lfte des Restes zu verwerfen."
)


def test_the_offline_rubric_refuses_a_sample_that_is_mostly_not_english(tmp_path: Path) -> None:
    texts = {"de/1": GERMAN, "de/2": GERMAN + " Ja.", "en/1": LESSON, "none/1": "1 2 3"}

    with pytest.raises(DataError, match=r"2 of 3 sampled .* not read as English, such as de/\d\..*any_lang"):
        Room(tmp_path / "refused", texts).run()

    room = Room(tmp_path / "told", texts).run(any_language=True)
    assert room.work.details["languages"] == {"works_for": "English", "english": 1, "other": 2, "too_short": 1}
    assert any("works for English alone" in line for line in room.said)


def test_a_sample_with_some_other_languages_is_graded_and_told(tmp_path: Path) -> None:
    room = Room(tmp_path, {"de/1": GERMAN, "en/1": LESSON, "en/2": LESSON + " Yes."}).run()

    assert len(room.graded) == 3
    assert room.said[-1].startswith("label: 1 of 3 sampled documents do not read as English, such as de/1;")


def test_what_the_rubric_says_itself_differs_in_nothing_when_it_is_written_out(tmp_path: Path) -> None:
    def measured(**params: object) -> dict[str, Any]:
        return Label.Params.parse({"teacher": "claude", **params}).of_role("measure")

    own = tmp_path / "mine.md"
    own.write_text((FOLDER / "spam.md").read_text().replace("excerpt: 4000", "excerpt: 900"))

    assert measured(model=MODEL, excerpt_chars=EXCERPT) == measured() == {"teacher": "claude"}
    assert measured(model="claude-other", excerpt_chars=900)["excerpt_chars"] == 900
    assert measured(model="claude-other")["model"] == "claude-other"
    assert measured(rubric_file=str(own), excerpt_chars=900) == measured(rubric_file=str(own))
    assert measured(rubric_file=str(own), excerpt_chars=EXCERPT)["excerpt_chars"] == EXCERPT
