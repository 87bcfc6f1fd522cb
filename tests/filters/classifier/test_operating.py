"""Where the line is drawn: by share, score, precision or tokens; decided from stored signals, never measured again."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.classifier.agreement import at_threshold
from filters.classifier.operating import MIN_KEPT, points, rule_for, threshold_of_precision
from filters.classifier.quality import QualityParams
from pipeline.core import rng
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.card import read_card
from pipeline.queries.what_if import what_if
from tests.filters.classifier.test_quality import corpus
from tests.pipeline.house import House


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house with 400 documents, all graded by a file, and a classifier of them that keeps everything."""
    house = House(tmp_path_factory.mktemp("graded"))
    texts, grades = corpus(400)
    house.lines("docs.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)])
    rows = [{"id": f"d{n}", "grade": grade} for n, grade in enumerate(grades)]
    path = house.folder / "grades.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return keeping(house, "{}")


def keeping(house: House, keep: str) -> House:
    house.clean(
        ["label: {teacher: file, path: DIR/grades.json}", f"quality: {{buckets: 4096, keep: {keep}}}"]
        if keep != "{}"
        else ["label: {teacher: file, path: DIR/grades.json}", "quality: {buckets: 4096}"],
        source="{read: jsonl, path: DIR/*.jsonl, id: id}",
    )
    house.run()
    return house


def kept(house: House) -> list[dict[str, Any]]:
    return house.documents()


def test_a_share_is_kept_by_either_way_to_say_it(graded: House) -> None:
    by_share = {row["id"] for row in kept(keeping(graded, "{share: 0.25}"))}
    graded.recipe.write_text(graded.recipe.read_text().replace("keep: {share: 0.25}", "keep_fraction: 0.25"))
    graded.run()

    assert len(by_share) == 100
    assert {row["id"] for row in kept(graded)} == by_share


def test_as_many_tokens_are_kept_as_fit(graded: House) -> None:
    rows = kept(keeping(graded, "{tokens: 12k}"))

    held = sum(len(row["text"].encode()) for row in rows) / 4
    assert 12_000 - 300 < held <= 12_000


def test_kept_documents_are_surely_as_precise_as_asked_for_by_those_held_out(graded: House) -> None:
    plan = keeping(graded, "{precision: 0.7}").plan()

    (rule,) = read_card(plan.datasets["clean"].node.folder).details["rules"][-1:]
    details = read_card(plan.datasets["clean"].steps[-1].node.folder).details
    scores, grades = np.array(details["held_out_scores"]).T
    above = scores >= rule["threshold"]
    point = at_threshold(scores, grades, threshold=rule["threshold"], positive_grade=3.0)
    lower = at_threshold(scores, grades, threshold=np.max(scores[~above]), positive_grade=3.0)
    assert lower["precision_low"] < 0.7 <= point["precision_low"] < point["precision"] < 1


def test_another_aim_measures_nothing_and_what_if_answers_for_it(graded: House) -> None:
    keeping(graded, "{share: 0.5}")

    told = what_if(graded.workspace, graded.recipe, settings={"datasets.clean.quality.keep": {"tokens": "8k"}})[
        "datasets"
    ][0]
    graded.recipe.write_text(graded.recipe.read_text().replace("share: 0.5", "tokens: 8k"))

    assert [node.name for node in graded.plan().to_build] == ["clean"]
    graded.run()
    assert len(kept(graded)) == told["kept_after"] < 200 == told["kept_before"]


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=60))
def test_points_are_those_of_counting_anew_at_every_score(rows: list[tuple[int, bool]]) -> None:
    scores, good = np.array([score for score, _ in rows], float), np.array([hit for _, hit in rows])

    found = points(scores, good)

    assert [row[0] for row in found] == sorted(set(scores.tolist()), reverse=True)
    for score, count, share in found:
        above = scores >= score
        assert (count, share) == (above.sum(), pytest.approx(good[above].mean()))


def test_a_precision_that_no_score_reaches_is_an_error_that_names_the_best() -> None:
    rows = [[float(n), 4.0 if n % 3 else 1.0] for n in range(90)]

    said = r"no score surely reaches a precision of 0\.95 on the 90 .*the best is 0\.\d\d \(0\.\d\d to 0\.\d\d\), from"
    with pytest.raises(DataError, match=said):
        threshold_of_precision({"held_out_scores": rows, "positive_grade": 3.0}, precision=0.95)
    with pytest.raises(DataError, match=f"3 held-out documents have a score, and a precision needs {MIN_KEPT}"):
        threshold_of_precision({"held_out_scores": rows[:3], "positive_grade": 3.0}, precision=0.5)


@pytest.mark.parametrize(("worth", "most_false"), [(0.0, 0.03), (0.3, 0.06), (1.0, 0.06)])
def test_a_line_by_precision_rarely_promises_what_is_not_true(worth: float, most_false: float) -> None:
    """Documents whose score tells nothing, little or much: of lines through 200 of them, few are less precise."""
    draw = rng.generator(4, "test_operating")

    def chance(scores: np.ndarray) -> np.ndarray:
        """Return how likely a document of this score is good; of all, 7 of 10 or 6 of 10 are."""
        return 1 / (1 + np.exp(-((0.85 if worth < 1 else 0.4) + worth * scores)))

    every = draw.normal(size=50_000)
    true = chance(every)
    wrong = 0
    for _ in range(200):
        scores = draw.normal(size=200)
        grades = np.where(draw.random(200) < chance(scores), 4.0, 1.0)
        told = {"held_out_scores": np.stack([scores, grades], 1).tolist(), "positive_grade": 3.0}
        with contextlib.suppress(DataError):
            wrong += true[every >= threshold_of_precision(told, precision=0.8)].mean() < 0.8

    assert wrong <= most_false * 200


def test_near_duplicates_among_the_held_out_count_as_one_document() -> None:
    rows = [[float(n), 4.0 if n >= 20 else 1.0] for n in range(80)]
    told = {"held_out_scores": rows, "positive_grade": 3.0}

    alone = threshold_of_precision(told, precision=0.85)
    doubled = threshold_of_precision(told | {"measured_on": {"documents": 80, "clusters": 40}}, precision=0.85)

    assert alone < doubled <= 20


def test_what_needs_all_documents_says_so_where_there_are_none() -> None:
    with pytest.raises(RecipeError, match=r"keep\.tokens needs all documents of a dataset"):
        rule_for({"tokens": 1000.0}, quantile=lambda signal, fraction: 0.0)


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ({"share": 0.2, "score": 3}, "give one of share, score, precision and tokens, not 2"),
        ({}, "give one of share, score, precision and tokens, not 0"),
        ({"share": 20}, "share is 20; it must be above 0 and at most 1"),
        ({"precision": 0}, "precision is 0; it must be above 0"),
        ({"tokens": 0.5}, "tokens is 0.5; it must be 1 or more"),
        ({"best": 0.5}, "share"),
    ],
)
def test_an_aim_that_means_nothing_is_explained(keep: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        QualityParams.parse({"keep": keep})


def test_tokens_may_be_written_with_a_suffix_and_only_decide() -> None:
    params = QualityParams.parse({"keep": {"tokens": "1.5B"}})

    assert params.of_role("decide") == {"keep": {"tokens": 1_500_000_000}}
    assert params.of_role("measure") == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("keep: {score: 7}", r"keep\.score is 7, and the score goes from 0 to 5"),
        ("min_score: 12", r"min_score is 12, and the score goes from 0 to 5"),
        ("positive_grade: 15", r"positive_grade is 15, and the score goes from 0 to 5"),
    ],
)
def test_a_score_on_another_scale_is_a_mistake_with_its_line(tmp_path: Path, given: str, said: str) -> None:
    house = House(tmp_path)
    house.lines("docs.jsonl", ["a text"])
    house.clean(["label", f"quality: {{{given}}}"])

    with pytest.raises(RecipeError, match=rf"recipe\.yaml:8: .*{said}"):
        house.plan()
