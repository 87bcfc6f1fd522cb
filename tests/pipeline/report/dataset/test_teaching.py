"""What the page and the last lines of a run say of a teacher and of a classifier that learnt little."""

from __future__ import annotations

import json
from pathlib import Path

from filters.labels.rubrics.rubric import load_rubric
from pipeline.commands.run.run_recipe import run_recipe
from pipeline.commands.texts import outcome_text
from pipeline.core.rng import generator
from pipeline.engine.progress import Silent
from pipeline.report.draw import figures
from tests.pipeline.house import House, texts
from tests.pipeline.report.test_report import words_of


def test_grades_of_a_file_say_whose_they_are_how_two_readings_agree_and_that_nothing_was_learnt(house: House) -> None:
    draw = generator(1, "grades")
    criteria = load_rubric("educational").criteria
    rows = [{"id": f"d{n}", "text": text} for n, text in enumerate(texts(150))]
    grades = [{"id": row["id"], **{key: bool(draw.integers(2)) for key in criteria}} for row in rows]
    grades = [{**row, "grade": sum(value is True for value in row.values())} for row in grades]
    about = {"graded_by": "a reader of ours", "rubric_blake3": load_rubric("educational").hash}
    again = [{**row, "reading": 2} for row in grades[:20]]
    house.lines("docs.jsonl", rows)
    path = house.folder / "grades.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in [about, *grades[5:], *again[5:]]), encoding="utf-8")
    house.clean(
        ["label: {teacher: file, path: DIR/grades.json}", "quality: {keep_fraction: 0.5, min_spearman: -1}"],
        source="{read: jsonl, path: DIR/*.jsonl, id: id}",
    )

    outcome = run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent())

    seen = words_of(Path(outcome.report).read_text(encoding="utf-8"))
    assert "graded by a reader of ours, file" in seen
    assert "documents graded in the file 145 of them here 145" in seen
    assert "agreement: two readings kappa 95 % interval grade 1 too few to tell coherent 1" in seen
    assert "Label card valid answers 100.0 % (97.4 to 100.0)" in seen
    assert "Not measured: no people&#39;s grades were brought (people: FILE); no earlier grades" in seen
    assert "Warning. quality: on 29 held-out documents" in seen and "cannot be told from chance" in seen
    assert outcome_text(outcome).splitlines()[-1].startswith("warning: clean.quality: on 29 held-out documents")


def test_amounts_below_a_cent_are_not_nothing() -> None:
    assert [figures.dollars(value) for value in (0.0, 0.004, 0.00042, 3e-6, 0.42, 1234.5)] == [
        "$0", "$0.0040", "$0.00042", "$0.0000030", "$0.42", "$1,234.50",
    ]  # fmt: skip
    assert [figures.dollars(value, up=True) for value in (0.00401, 0.421, 0.42)] == ["$0.0041", "$0.43", "$0.42"]
