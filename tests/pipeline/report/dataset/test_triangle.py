"""The classifier's card on the page: people, the teacher and the classifier, from the recipe on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.rng import generator
from pipeline.engine.progress import Silent
from pipeline.report.dataset.triangle import BRING, triangle_shown
from tests.filters.classifier.test_quality import corpus
from tests.pipeline.house import House, write_lines
from tests.pipeline.report.test_report import words_of


def page(house: House, *, people: int) -> str:
    """Run a recipe in which a file grades 400 documents, and people so many of them; return the page."""
    texts, grades = corpus(400)
    house.lines("docs.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)])
    write_lines(house.folder / "grades.json", [{"id": f"d{n}", "grade": grade} for n, grade in enumerate(grades)])
    judged = np.clip(np.round(grades + generator(3, "people").normal(0, 2.5, size=400)), 0, 5).tolist()
    write_lines(house.folder / "people.json", [{"id": f"d{n}", "grade": judged[n]} for n in range(people)])
    asked = ", people: DIR/people.json" if people else ""
    house.clean(
        [f"label: {{teacher: file, path: DIR/grades.json{asked}}}", "quality: {keep_fraction: 0.3}"],
        source="{read: jsonl, path: DIR/*.jsonl, id: id}",
    )
    outcome = run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent())
    return words_of(Path(outcome.report).read_text(encoding="utf-8"))


def test_the_page_shows_the_three_sides_with_their_documents_and_what_to_do_next(house: House) -> None:
    seen = page(house, people=240)

    assert "People, teacher, classifier teacher and people" in seen
    assert "the weaker side" in seen and "Sharpen the rubric's questions" in seen.replace("&#39;", "'")
    assert "all 240 documents that both graded" in seen
    assert "classifier and people" in seen and "(dashed). It agrees by 0." in seen
    assert list((house.workspace.root / "reports").glob("**/clean-quality-triangle.csv"))


def test_without_grades_of_people_the_page_says_what_to_bring(house: House) -> None:
    assert BRING.split("`")[0].replace("'", "&#39;").strip() in page(house, people=0)


@pytest.mark.parametrize(("weaker", "said"), [("", "bring more grades"), ("student_teacher", "Grade more documents")])
def test_the_next_step_depends_on_the_weaker_side(weaker: str, said: str) -> None:
    side = {"value": 0.5, "low": 0.4, "high": 0.6}
    sides = dict.fromkeys(("teacher_people", "student_teacher", "student_people"), side)
    told = {"documents": 60, "clusters": 60, "teacher_people_all": {"documents": 60, "teacher_people": side}, **sides}

    shown = triangle_shown({"triangle": told | {"through_teacher": 0.25, "gap": side, "weaker": weaker}})

    assert shown.plot is not None and len(shown.plot.rows) == 3 and said in shown.words[-1]


def test_too_few_documents_of_people_are_said_to_be_too_few() -> None:
    shown = triangle_shown({"triangle": {"documents": 4, "clusters": 3, "teacher_people_all": {"documents": 9}}})

    assert (
        shown.plot is None and "People graded 4 documents that nothing was learnt from, in 3 groups" in shown.words[0]
    )
