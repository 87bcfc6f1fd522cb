"""How far people, the teacher and the classifier agree, on documents that people graded and nothing was learnt from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.classifier.graded import Graded, TrainingSplit, load_graded, split
from filters.classifier.triangle import SIDES, triangle
from pipeline.core import rng
from pipeline.core.text.batch import Batch
from tests.filters.classifier.test_quality import corpus, run
from tests.filters.gathering import parts_of


def graded_by(grades: np.ndarray, people: list[float | None], texts: list[str]) -> Graded:
    column, names = pa.array(grades, pa.float32()), ["offline"] * len(texts)
    signals = {"label.grade": column, "label.teacher": names, "label.status": ["graded"] * len(texts)}
    signals |= {"label.chosen": ["people" if each is not None else "sample" for each in people]}
    signals |= {"label.people": pa.array(people, pa.float32())}
    return load_graded(parts_of(texts, signals=signals), by_people=True)


def test_the_card_has_three_sides_where_people_graded_and_none_where_they_did_not(tmp_path: Path) -> None:
    texts, grades = corpus(400)
    noise = rng.generator(7, "test_triangle").normal(0, 1.0, size=400)
    people = [float(np.clip(round(grades[n] + noise[n]), 0, 5)) if n < 150 else None for n in range(400)]
    chosen = ["people"] * 150 + ["sample"] * 250

    found = run(tmp_path, texts, grades, chosen=chosen, people=people).details
    plain = run(tmp_path, texts, grades, chosen=chosen, folder="plain").details

    sides = found["triangle"]
    for name in SIDES:
        assert -1 <= sides[name]["low"] < sides[name]["value"] < sides[name]["high"] <= 1
    assert found["people_documents"] == sides["documents"] == 80 > sides["teacher_people_all"]["documents"] / 2
    assert sides["teacher_people_all"]["documents"] == 150
    assert found["measured_on"]["chosen"].keys() == {"sample"}  # the other figures are of the sample as before
    assert sides["through_teacher"] == pytest.approx(sides["student_people"]["value"], abs=0.15)
    assert "triangle" not in plain and "people_documents" not in plain


def test_nothing_that_people_judge_the_classifier_by_was_learnt_from() -> None:
    texts, grades = corpus(120)
    twins = [f"{text} appendix" for text in texts]
    graded = graded_by(np.append(grades, grades), [3.0 if n % 3 else None for n in range(240)], texts + twins)

    lesson = split(graded, by="clusters", share=0.2, seed=17)

    assert len(lesson.judged) >= 40 and not np.isnan(graded.people[lesson.judged]).any()
    assert not set(lesson.clusters[lesson.judged]) & set(lesson.clusters[lesson.train])
    assert len(lesson.train) >= 0.6 * 240 - 4  # a share of the documents is held out for each, and no more


def test_where_people_graded_everything_most_of_it_is_still_learnt_from() -> None:
    texts, grades = corpus(100)
    graded = graded_by(grades, grades.tolist(), texts)

    assert [len(split(graded, by="clusters", share=share, seed=17).train) for share in (0.2, 0.6)] == [60, 20]


def test_a_known_grade_is_not_taken_for_the_teachers() -> None:
    """Whoever brings people's grades as known ones too would see a teacher who agrees with people in everything."""
    texts, grades = corpus(100)
    known = graded_by(grades, grades.tolist(), texts)
    known = replace(known, chosen=np.where(np.arange(100) < 60, "known", known.chosen))

    lesson = split(known, by="clusters", share=0.2, seed=17)

    assert known.by_both.sum() == 40 and set(known.chosen[lesson.judged]) == {"people"}
    found = triangle(known, lesson, grades, seed=1)
    assert found["teacher_people_all"]["documents"] == 40


def readings(people_noise: float, student_noise: float, *, count: int = 120) -> dict[str, Any]:
    """Compare a teacher with people and a student that err by so much, independently of each other."""
    draw = rng.generator(3, "test_triangle", str(people_noise))
    teacher = draw.integers(0, 6, size=count).astype(np.float64)
    people, scores = (teacher + draw.normal(0, noise, size=count) for noise in (people_noise, student_noise))
    none, every = np.zeros(0, np.int64), np.arange(count)
    names = np.full(count, "docs")
    graded = Graded(Batch.from_texts([""] * count), teacher, names, names, {"offline": count}, people)
    lesson = TrainingSplit(train=none, held=none, clusters=every, ranks=every, judged=every)
    return triangle(graded, lesson, scores, seed=1)


def test_the_weaker_side_is_named_where_it_is_surely_the_weaker() -> None:
    by_people, by_student, even = readings(3.0, 0.5), readings(0.5, 3.0), readings(1.0, 1.0, count=40)

    assert (by_people["weaker"], by_student["weaker"], even["weaker"]) == ("teacher_people", "student_teacher", "")
    for found in (by_people, by_student):
        assert found["student_people"]["low"] < found["through_teacher"] < found["student_people"]["high"]


def test_few_documents_or_a_reader_with_one_grade_for_all_tell_no_sides() -> None:
    few, alike = readings(1.0, 1.0, count=9), readings(0.0, 1.0)

    assert few == {"documents": 9, "clusters": 9, "teacher_people_all": {"documents": 9}}
    assert alike["teacher_people"]["value"] == pytest.approx(1)
    texts, grades = corpus(60)
    same = triangle(
        graded := graded_by(grades, [3.0] * 60, texts), split(graded, by="clusters", share=0.2, seed=17), grades, seed=1
    )
    assert SIDES.keys().isdisjoint(same)
