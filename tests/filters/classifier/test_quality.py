"""The classifier learns what the teacher rewards, says how well on documents it never saw, and is always the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import rankdata

from filters.classifier import agreement as report
from filters.classifier.graded import load_graded, split
from filters.classifier.kernels import features
from filters.classifier.model import Features, GradeModel, Settings, train
from filters.classifier.quality import Quality, QualityParams
from filters.labels.label import Label
from pipeline.core import rng
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.text.batch import Batch
from tests.filters.gathering import Gathered, gather, parts_of

GOOD = ["theorem", "explains", "because", "therefore", "example", "chapter", "reader", "concept", "proof", "lesson"]
PLAIN = ["value", "item", "returns", "object", "name", "list", "file", "string", "option", "default", "method", "class"]
POOR = ["buy", "click", "offer", "cheap", "deal", "winner", "subscribe", "cookie", "promo", "sale"]
SMALL = Settings(buckets=2**12, ngrams=2, excerpt_chars=6000)


def corpus(count: int, *, seed: int = 1) -> tuple[list[str], np.ndarray]:
    """Texts whose share of good and poor words sets their grade, with some noise."""
    draw = rng.generator(seed, "test_quality")
    texts, grades = [], []
    for _ in range(count):
        lean = draw.uniform(0, 1)
        words = [
            str(draw.choice(PLAIN if draw.uniform() < 0.6 else GOOD if draw.uniform() < lean else POOR))
            for _ in range(int(draw.integers(30, 120)))
        ]
        texts.append(" ".join(words))
        grades.append(float(np.clip(round(5 * lean + draw.normal(0, 0.4)), 0, 5)))
    return texts, np.array(grades)


def run(
    tmp_path: Path, texts: list[str], grades: Any, *, num_parts: int = 1, folder: str = "out", num_invalid: int = 0,
    chosen: list[str | None] | None = None, people: list[float | None] | None = None, **recipe: Any,
) -> Gathered:  # fmt: skip
    column = pa.array([None if grade is None else float(grade) for grade in grades], pa.float32())
    teacher = pa.array([None if grade is None else "offline" for grade in grades], pa.string())
    ungraded = iter(["invalid"] * num_invalid)
    status = pa.array([next(ungraded, None) if grade is None else "graded" for grade in grades], pa.string())
    signals = {"label.grade": column, "label.teacher": teacher, "label.status": status}
    signals["label.chosen"] = pa.array(["sample"] * len(grades) if chosen is None else chosen, pa.string())
    signals |= {} if people is None else {"label.people": pa.array(people, pa.float32())}
    parts = parts_of(texts, num_parts=num_parts, signals=signals)
    step = Quality(params=QualityParams.parse({"buckets": 2**12, **recipe}))
    return gather(step, parts, scratch=tmp_path / folder)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    """What is known of 700 documents, of which 400 have a grade."""
    texts, grades = corpus(700)
    return run(tmp_path_factory.mktemp("taught"), texts, [*grades[:400], *[None] * 300])


def test_scores_of_ungraded_documents_follow_the_grades(taught: Gathered) -> None:
    _, grades = corpus(700)

    scores = np.array(taught.column("score"))
    assert scores.min() >= 0 and scores.max() <= 5
    assert report.spearman(scores[400:], grades[400:]) > 0.8


def test_the_card_reports_agreement_beside_its_baselines(taught: Gathered) -> None:
    details = taught.details

    agreement, baselines = details["agreement"], details["baselines"]
    assert agreement["spearman_low"] <= agreement["spearman"] <= agreement["spearman_high"]
    assert agreement["rmse"] < baselines["mean_grade"]["rmse"]
    assert agreement["spearman"] > baselines["length"]["spearman"] + 0.3
    assert details["teacher"] == "offline"
    assert details["train_documents"] + details["held_out_documents"] == 400
    assert 0.15 < details["held_out_documents"] / 400 <= 0.2
    assert sum(row["documents"] for row in details["calibration"]) == details["held_out_documents"]
    assert {row["keep_fraction"] for row in details["operating_points"][:9]} >= {0.3, 0.5}
    assert json.loads(json.dumps(details)) == details


def test_the_same_documents_give_the_same_bytes_however_they_are_cut(tmp_path: Path) -> None:
    texts, grades = corpus(100)

    one = run(tmp_path, texts, grades, folder="one")
    three = run(tmp_path, texts, grades, folder="three", num_parts=3)

    assert one.signals.equals(three.signals)
    assert one.details == three.details
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()


def test_no_near_duplicate_sits_on_both_sides(tmp_path: Path) -> None:
    texts, grades = corpus(80)
    twins = [f"{text} appendix" for text in texts]
    gathered = run(tmp_path, texts + twins, [*grades, *grades])

    column = pa.array([*grades, *grades], pa.float32())
    names = pa.array(["offline"] * 160)
    marks = {"label.grade": column, "label.teacher": names, "label.status": pa.array(["graded"] * 160)}
    marks["label.chosen"] = pa.array(["sample"] * 160)
    graded = load_graded(parts_of(texts + twins, signals=marks))
    lesson = split(graded, by="clusters", share=0.2, seed=17)

    assert gathered.details["clusters"] < 90
    assert not set(lesson.clusters[lesson.train]) & set(lesson.clusters[lesson.held])


def test_one_giant_cluster_is_trained_on_and_not_held_out(tmp_path: Path) -> None:
    texts, grades = corpus(60)
    licence = " ".join(f"clause{index}" for index in range(200))

    details = run(tmp_path, [licence] * 60 + texts, [0.0] * 60 + list(grades)).details

    assert 0 < details["held_out_documents"] <= 24
    assert details["held_out_clusters"] == details["held_out_documents"]


def test_a_saved_model_scores_as_the_one_that_was_trained(tmp_path: Path) -> None:
    texts, grades = corpus(120)
    batch = Batch.from_texts(texts)
    model = train(Features.of(batch, settings=SMALL), grades, settings=SMALL, l2=1e-4, epochs=20)

    model.save(tmp_path)

    assert np.array_equal(GradeModel.load(tmp_path).score(batch), model.score(batch))


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04not a model")
    (tmp_path / "model.json").write_text("{}")

    with pytest.raises(DataError, match=r"model\.safetensors"):
        GradeModel.load(tmp_path)


def test_too_few_grades_say_what_to_do(tmp_path: Path) -> None:
    texts, grades = corpus(60)

    with pytest.raises(DataError, match=r"20 documents have a grade, 9 invalid; at least 50 .* raise its `documents`"):
        run(tmp_path, texts, [grade if index < 20 else None for index, grade in enumerate(grades)], num_invalid=9)


def test_what_was_learnt_from_random_grades_selects_nothing(tmp_path: Path) -> None:
    texts, _ = corpus(200)
    grades = rng.generator(5, "test_quality", "random").integers(0, 6, size=200).astype(float)

    with pytest.raises(DataError, match=r"agrees with the grades at Spearman .* or it selects by chance.*min_spearman"):
        run(tmp_path, texts, grades)
    gathered = run(tmp_path, texts, grades, folder="regardless", min_spearman=-1)

    assert "cannot be told from chance" in gathered.details["warnings"][0]


@pytest.mark.parametrize(("low", "value", "told"), [(0.06, 0.18, "that is weak"), (0.3, 0.4, ""), (0.25, 0.31, "")])
def test_a_weak_classifier_is_called_out_and_a_good_one_is_not(low: float, value: float, told: str) -> None:
    step = Quality(params=QualityParams.parse({}))
    found = {"spearman": value, "spearman_low": low, "spearman_high": 0.5}

    doubts = step._doubts(found, {"length": {"spearman": 0.1}}, held=400)

    assert len(doubts) == (1 if told else 0)
    assert all(told in doubt for doubt in doubts)


def test_a_gain_that_may_be_chance_is_called_out_whatever_it_is_over() -> None:
    step = Quality(params=QualityParams.parse({}))
    found = {"spearman": 0.5, "spearman_low": 0.3, "spearman_high": 0.6}
    sure, unsure = {"spearman": 0.4, "gain_low": 0.02}, {"spearman": 0.4, "gain_low": -0.02}

    (one,) = step._doubts(found, {"length": sure, "random_grades": unsure}, held=40)
    (both,) = step._doubts(found, {"length": unsure, "random_grades": unsure}, held=40)

    assert "that it agrees better than shuffled grades cannot be told from chance" in one
    assert "that it agrees better than length alone and shuffled grades cannot be told from chance" in both
    assert step._doubts(found, {"length": sure, "random_grades": sure}, held=40) == []


def test_a_classifier_that_does_no_better_than_length_selects_nothing(tmp_path: Path) -> None:
    draw = rng.generator(3, "test_quality", "length")
    lengths = draw.integers(5, 400, size=250)
    texts = [" ".join(str(draw.choice(PLAIN)) for _ in range(length)) for length in lengths]
    grades = np.clip(np.floor(lengths / 80), 0, 5)

    with pytest.raises(DataError, match=r"it does no better than length alone.*min_spearman: -1"):
        run(tmp_path, texts, grades)
    gathered = run(tmp_path, texts, grades, folder="regardless", min_spearman=-1)

    assert gathered.details["baselines"]["length"]["gain"] < 0
    assert "cannot be told from chance" in gathered.details["warnings"][0]


def test_the_card_tells_the_gain_over_length_and_over_shuffled_grades(taught: Gathered) -> None:
    details = taught.details

    for name in ("length", "random_grades"):
        row = details["baselines"][name]
        assert 0.2 < row["gain_low"] <= row["gain"] <= row["gain_high"]
        assert row["gain"] == pytest.approx(details["agreement"]["spearman"] - row["spearman"])
    assert details["top_tenth"]["documents"] == 8
    assert details["top_tenth"]["precision"] > details["top_tenth"]["good_of_all"]
    assert 0 < details["calibration_error"] < 1
    assert details["scale"] == [0, 5]


def test_a_held_out_source_is_not_trained_on_and_neither_are_its_near_duplicates(tmp_path: Path) -> None:
    texts, grades = corpus(120)
    twins = [f"{text} appendix" for text in texts[:30]]
    sources = ["a", "b", "c", "d"] * 30 + ["e"] * 30
    every = np.concatenate([grades, grades[:30]])
    marks = {
        "label.grade": pa.array(every, pa.float32()),
        "label.teacher": pa.array(["offline"] * 150),
        "label.status": pa.array(["graded"] * 150),
        "label.chosen": pa.array(["sample"] * 150),
    }
    graded = load_graded(parts_of(texts + twins, signals=marks, sources=sources))

    lesson = split(graded, by="sources", share=0.25, seed=17)

    held, taught = graded.sources[lesson.held], graded.sources[lesson.train]
    assert len(held) > 0 and not set(held) & set(taught)
    assert not set(lesson.clusters[lesson.train]) & set(lesson.clusters[lesson.held])
    with pytest.raises(DataError, match=r"none can be held out whole. Raise `held_out`"):
        split(load_graded(parts_of(texts + twins, signals=marks)), by="sources", share=0.25, seed=17)


def test_agreement_is_told_by_source_where_there_are_several(tmp_path: Path, taught: Gathered) -> None:
    texts, grades = corpus(300)
    marks = {
        "label.grade": pa.array(grades, pa.float32()),
        "label.teacher": pa.array(["offline"] * 300),
        "label.status": pa.array(["graded"] * 300),
        "label.chosen": pa.array(["sample"] * 300),
    }
    parts = parts_of(texts, signals=marks, sources=["web"] * 140 + ["books"] * 140 + ["rare"] * 20)

    details = gather(Quality(params=QualityParams.parse({"buckets": 2**12})), parts, scratch=tmp_path).details

    found = details["by_source"]
    assert sum(row["documents"] for row in found.values()) == details["held_out_documents"]
    assert found["web"]["spearman_low"] <= found["web"]["spearman"]
    assert set(found["rare"]) == {"documents"}
    assert taught.details["by_source"] == {}


def test_fewer_labels_than_the_classifier_needs_is_a_mistake_of_the_recipe() -> None:
    step = Quality(params=QualityParams.parse({}))

    with pytest.raises(RecipeError, match="`label` grades 49 documents, and `quality` needs 50"):
        step.check({"label": Label(params=Label.Params.parse({"documents": 49}))})
    step.check({"label": Label(params=Label.Params.parse({"documents": 50}))})


def test_grades_that_are_all_the_same_say_what_to_do(tmp_path: Path) -> None:
    texts, _ = corpus(60)

    with pytest.raises(DataError, match="all 60 grades are 3"):
        run(tmp_path, texts, [3.0] * 60)


def test_documents_that_are_all_the_same_say_what_to_do(tmp_path: Path) -> None:
    text = corpus(1)[0][0]

    with pytest.raises(DataError, match="near-duplicates of each other"):
        run(tmp_path, [text] * 60, [1.0, 2.0] * 30)


def test_an_empty_document_and_an_empty_part_are_scored(tmp_path: Path) -> None:
    texts, grades = corpus(60)

    gathered = run(tmp_path, [*texts, "", " \n"], [*grades, None, None], num_parts=80)

    assert np.isfinite(gathered.column("score")).all()


def test_keep_fraction_asks_for_a_quantile_and_min_score_does_not() -> None:
    asked = []

    def quantile(signal: str, fraction: float) -> float:
        asked.append((signal, fraction))
        return 2.25

    (share,) = Quality(params=QualityParams.parse({"keep_fraction": 0.25})).rules(quantile=quantile)
    (fixed,) = Quality(params=QualityParams.parse({"min_score": 3.0})).rules(quantile=quantile)

    assert (share.name, share.op, share.threshold, share.parameter) == ("low_quality", ">=", 2.25, "keep_fraction")
    assert (fixed.threshold, fixed.parameter) == (3.0, "min_score")
    assert asked == [("score", 0.75)]
    assert Quality(params=QualityParams.parse({})).rules(quantile=quantile) == ()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"keep_fraction": 0.5, "min_score": 2.0}, "not both"),
        ({"buckets": 5000}, "power of two"),
        ({"keep_fraction": 0.0}, "greater than 0"),
    ],
)
def test_a_wrong_parameter_is_explained(recipe: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        QualityParams.parse(recipe)


def test_thresholds_only_decide() -> None:
    params = QualityParams.parse({"keep_fraction": 0.3, "buckets": 2**16})

    assert params.of_role("decide") == {"keep_fraction": 0.3}
    assert params.of_role("measure") == {"buckets": 2**16}


def buckets_of(text: str, *, ngrams: int = 2, excerpt: int = 6000) -> set[int]:
    batch = Batch.from_texts([text])
    return set(features(batch.data, batch.offsets, ngrams, 20, excerpt)[0].tolist())


def test_case_digits_and_spacing_do_not_matter_but_order_does() -> None:
    assert buckets_of("The Year 1984") == buckets_of("the\n year  2024")
    assert buckets_of("dog bites man") != buckets_of("man bites dog")
    assert buckets_of("dog bites man", ngrams=1) == buckets_of("man bites dog", ngrams=1)


def test_markup_is_a_feature() -> None:
    assert buckets_of(">>> f(x)") - buckets_of("f x")


def test_only_the_excerpt_is_read() -> None:
    assert buckets_of("alpha beta gamma", excerpt=10) == buckets_of("alpha beta")
    assert buckets_of("\u00e9t\u00e9 alpha beta", excerpt=9) == buckets_of("\u00e9t\u00e9 alpha")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6))
def test_features_of_a_document_do_not_depend_on_its_neighbours(texts: list[str]) -> None:
    batch = Batch.from_texts(texts)

    found, starts = features(batch.data, batch.offsets, 2, 20, 6000)

    for index, text in enumerate(texts):
        mine = found[starts[index] : starts[index + 1]].tolist()
        assert set(mine) == buckets_of(text)
        assert len(set(mine)) == len(mine)


@pytest.mark.parametrize("values", [[], [2.0], [3.0, 1.0, 3.0, 2.0, 3.0, -0.0, 0.0], [1, 1, 1]])
def test_equal_values_share_their_mean_rank_as_in_scipy(values: list[float]) -> None:
    assert report.ranks(np.array(values)).tolist() == rankdata(values).tolist()


def test_rank_correlation_and_operating_point_on_known_numbers() -> None:
    scores, grades = np.array([0.5, 1.5, 2.5, 3.5]), np.array([0.0, 3.0, 1.0, 4.0])

    point = report.at_threshold(scores, grades, threshold=2.0, positive_grade=3.0)

    assert report.spearman(scores, grades) == pytest.approx(0.8)
    assert report.spearman(scores, np.ones(4)) == 0
    assert (point["precision"], point["recall"], point["f1"]) == (0.5, 0.5, 0.5)
    assert report.at_threshold(scores, grades, threshold=9.0, positive_grade=3.0)["precision"] is None


def test_a_source_that_is_one_near_duplicate_has_no_interval() -> None:
    draw = rng.generator(2, "test_quality", "sources")
    scores, grades = draw.normal(size=42), draw.integers(0, 6, size=42).astype(float)
    clusters = np.array([0] * 12 + list(range(1, 31)))

    found = report.by_source(scores, grades, sources=np.array(["dup"] * 12 + ["b"] * 30), clusters=clusters, seed=1)
    agreed = report.agreement(scores[:12], grades[:12], clusters=clusters[:12], seed=1)

    assert found["dup"] == {"documents": 12}
    assert found["b"]["spearman_low"] < found["b"]["spearman"] < found["b"]["spearman_high"]
    assert (agreed["spearman_low"], agreed["spearman_high"]) == (-1, 1)
