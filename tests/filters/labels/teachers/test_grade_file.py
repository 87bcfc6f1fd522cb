"""Grades that are there already: matched, counted, checked row by row, and measured by their second readings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xxhash
from blake3 import blake3

from filters.labels.label import LABELS
from filters.labels.rubrics.rubric import load_rubric
from filters.labels.teachers.grade_file import GradeFile, read_grades
from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.identity import hash_file
from tests.conftest import ROOT
from tests.filters.labels.labelling import TEXTS, Room

RUBRIC = load_rubric("educational")
CLAUDES = ROOT / "recipes" / "grades" / "educational-docs.jsonl"


def written(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def graded(path: Path, folder: Path, texts: Mapping[str, str] = TEXTS) -> Room:
    return Room(folder, texts, inputs={"path": [path]}).run(teacher="file", path=str(path))


def blake(text: str) -> str:
    return blake3(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "key", ["id", blake, lambda text: xxhash.xxh3_128_hexdigest(text.encode())], ids=["id", "blake3", "xxh3"]
)
@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_file_of_grades_is_matched_by_id_or_by_either_hash(key: Any, suffix: str, tmp_path: Path) -> None:
    column = "id" if key == "id" else "text_hash"
    rows = [
        {column: id if key == "id" else key(TEXTS[id]), "grade": grade}
        for id, grade in (("a/lesson", 4.5), ("b/bio", 0))
    ]
    path = tmp_path / f"grades.{suffix}"
    if suffix == "parquet":
        write_table(path, pa.Table.from_pylist([{**row, "grade": float(row["grade"])} for row in rows]))
    else:
        written(path, rows)

    room = graded(path, tmp_path / "room")

    assert room.graded == {"a/lesson": 4.5, "b/bio": 0.0}
    assert room.columns["a/licence"]["status"] is None
    assert room.work.details["teacher"] == f"file of grades {hash_file(path)[:12]}"


def test_what_the_file_knows_and_the_dataset_does_not_is_counted_and_named(tmp_path: Path) -> None:
    rows = [{"id": id, "text_hash": blake(text), "grade": 3} for id, text in TEXTS.items()]
    rows[0]["text_hash"] = blake("the text before an earlier step edited it")
    path = written(tmp_path / "grades.jsonl", [*rows, {"id": "gone", "text_hash": blake("x"), "grade": 5}])

    room = graded(path, tmp_path / "room")

    assert len(room.graded) == len(TEXTS)  # matched by id, whatever became of the text
    found = room.work.details["file"]
    assert (found["graded_documents"], found["here"], found["not_here"]) == (5, 4, 1)
    assert (found["same_text"], found["other_text"], found["not_here_examples"]) == (3, 1, ["gone"])
    assert room.said == [
        "label: 4 of 5 graded documents are here, 1 with another text than was graded (an earlier step edited it, or a "
        "version); 1 are not (dropped earlier, or unknown), such as gone"
    ]


def test_a_file_of_which_nothing_is_there_stops(tmp_path: Path) -> None:
    path = written(tmp_path / "grades.jsonl", [{"id": "elsewhere", "grade": 3}])

    with pytest.raises(DataError, match="none of its 1 documents reaches `label`, such as elsewhere"):
        graded(path, tmp_path / "room")


@pytest.mark.parametrize("grade", [7, -1, "4", None, True, float("nan"), [3]])
def test_a_wrong_grade_is_named_with_its_place_and_the_rule(grade: Any, tmp_path: Path) -> None:
    rows = [{"id": "a", "grade": 1}, {"id": "b", "grade": grade}, {"id": "c", "grade": 2}, {"id": "d", "grade": grade}]

    with pytest.raises(DataError) as caught:
        read_grades(written(tmp_path / "grades.jsonl", rows), rubric=RUBRIC)

    shown = json.dumps(grade).replace("NaN", "null")  # which JSON does not know
    assert str(caught.value) == (
        f"{tmp_path}/grades.jsonl:2: `grade` is {shown}; it must be a number from 0 to 5. So are 1 more "
        "rows, such as 4. Correct or delete the rows."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "x", "grade": 1}\n', "grades need `grade` and either `id`"),
        ('{"id": "x", "grade": 1}\n{"id": "x", "grade": 2}\n', "has two grades, 1 .1. and 2"),
        ('{"text_hash": "abc", "grade": 1}\n', "must be BLAKE3"),
        ('{"id": "x", "grade": 1}\n{"id": \n', "grades.jsonl:2: is not JSON"),
        ('{"id": null, "grade": 1}\n', "`id` is null"),
        ('{"id": "x", "grade": 1, "reading": 0}\n', "`reading` is 0"),
        ("[1]\n", "grades.jsonl:1: is not an object"),
        (
            '{"graded_by": "me", "rubric": "own", "rubric_blake3": "00"}\n{"id": "x", "grade": 1}\n',
            "by the rubric own 00",
        ),
        (json.dumps({"id": "x", "grade": 3, **dict.fromkeys(RUBRIC.criteria, True)}), "its answers add up to 5"),
    ],
)
def test_a_file_of_grades_that_cannot_be_used_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "grades.jsonl"
    path.write_text(text)

    with pytest.raises(DataError, match=message):
        read_grades(path, rubric=RUBRIC)


def test_a_label_set_by_another_rubric_is_refused(tmp_path: Path) -> None:
    """Its grades stand on the same scale, so nothing else would tell."""
    Room(tmp_path / "one", TEXTS).run()
    labels = tmp_path / "one" / LABELS

    assert read_grades(labels, rubric=RUBRIC).first.keys() == TEXTS.keys()
    with pytest.raises(
        DataError, match=rf"labels\.parquet: was graded by the rubric educational {RUBRIC.hash[:12]}; `la"
    ):
        read_grades(labels, rubric=load_rubric("educational-v2"))


def test_a_second_reading_gives_no_grade_and_measures_the_first(tmp_path: Path) -> None:
    rows = [{"id": id, "grade": grade} for id, grade in zip(TEXTS, (5, 0, 3, 1), strict=True)]
    again = [{**row, "grade": min(row["grade"] + 1, 5), "reading": 2} for row in rows[:3]]

    room = graded(written(tmp_path / "grades.jsonl", [*again, *rows]), tmp_path / "room")

    assert list(room.graded.values()) == [5.0, 0.0, 3.0, 1.0]
    readings = room.work.details["two_readings"]
    assert readings["documents"] == 3 and 0.8 < readings["grade"]["kappa"] < 1


@pytest.fixture(scope="module")
def claudes() -> GradeFile:
    return read_grades(CLAUDES, rubric=RUBRIC)


def test_claudes_grades_are_by_the_packaged_rubric_and_say_who_gave_them(claudes: GradeFile) -> None:
    assert (len(claudes.first), len(claudes.second), claudes.key) == (2000, 220, "id")
    assert claudes.title.startswith("graded by Claude, document by document, not through the API, file ")
    assert all(row.evidence and sum(row.answers.values()) == row.grade for row in claudes.first.values())


def test_two_readings_of_claudes_agree_as_the_card_says(claudes: GradeFile) -> None:
    readings = claudes.readings(seed=17)

    assert {name: round(found["kappa"], 2) for name, found in readings.items() if name != "documents"} == {
        "grade": 0.84, "explains": 0.82, "self_contained": 0.47, "coherent": 0.76, "specific": 0.62, "transfers": 0.88,
    }  # fmt: skip
    assert (round(readings["grade"]["low"], 2), round(readings["grade"]["high"], 2)) == (0.79, 0.87)


def test_the_evidence_stands_beside_the_grade(claudes: GradeFile, tmp_path: Path) -> None:
    id = next(iter(claudes.first))

    room = graded(CLAUDES, tmp_path / "room", {id: "a text", "other": "another"})

    (label,) = read_table(tmp_path / "room" / LABELS).to_pylist()
    assert label["justification"] == claudes.first[id].evidence
    assert room.work.details["graded_by"] == "Claude, document by document, not through the API"
