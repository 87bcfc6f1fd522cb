"""Shares of a dataset, some of whose documents had a grade before: those are no sample of it, and are weighed so."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.classifier.agreement import at_threshold
from filters.classifier.operating import threshold_of_precision
from filters.classifier.weighed import Census, Weighed
from pipeline.core import rng
from pipeline.core.errors import DataError
from tests.filters.classifier.test_quality import corpus, run


def planted(*, seed: int, known_good: float, count: int = 4000, drawn: int = 300) -> tuple[np.ndarray, ...]:
    """Return scores and grades of a dataset, who of it is known (of the good ones so many), and who is held out."""
    draw = rng.generator(seed, "test_weighed")
    good = draw.random(count) < 0.35
    scores = draw.normal(size=count) + good
    known = draw.random(count) < np.where(good, known_good, 0.02)
    held = np.zeros(count, bool)
    held[draw.choice(np.flatnonzero(~known), size=drawn, replace=False)] = True
    return scores, np.where(good, 4.0, 1.0), known, held


def test_figures_hold_for_a_dataset_whose_good_documents_were_known() -> None:
    """The intervals cover the truth as they say; without weighing the known ones they never do."""
    covered = {"precision": 0, "recall": 0, "before": 0}
    for seed in range(200):
        scores, grades, known, held = planted(seed=seed, known_good=0.6)
        census = Census(scores[known], grades[known], num_others=int((~known).sum()))
        kept, good = scores >= 0.8, grades >= 3
        true = {"precision": good[kept].mean(), "recall": kept[good].mean(), "before": good[kept].mean()}
        told = {"threshold": 0.8, "positive_grade": 3.0}
        now = at_threshold(scores[held], grades[held], census=census, **told)
        before = at_threshold(scores[held], grades[held], **told)
        for name in ("precision", "recall"):
            covered[name] += now[f"{name}_low"] <= true[name] <= now[f"{name}_high"]
        covered["before"] += before["precision_low"] <= true["before"] <= before["precision_high"]

    assert covered["precision"] >= 0.9 * 200 and covered["recall"] >= 0.9 * 200
    assert covered["before"] < 0.1 * 200


def test_a_line_by_precision_counts_known_documents_as_what_they_are() -> None:
    kept_precise, refused = 0, 0
    for seed in range(60):
        scores, grades, known, held = planted(seed=seed, known_good=0.6)
        told = {"held_out_scores": np.stack([scores, grades], 1)[held].tolist(), "positive_grade": 3.0}
        census = Census(scores[known], grades[known], num_others=int((~known).sum())).told()
        threshold = threshold_of_precision(told | {"census": census}, precision=0.5)
        kept_precise += (grades[scores >= threshold] >= 3).mean() >= 0.5
        with contextlib.suppress(DataError):  # by the others alone hardly any line is so precise
            refused -= threshold_of_precision(told, precision=0.5) is not None
        refused += 1

    assert kept_precise >= 57 and refused >= 50


def test_a_step_weighs_known_documents_so_that_its_card_holds_for_the_dataset(tmp_path: Path) -> None:
    texts, grades = corpus(800)
    draw = rng.generator(5, "test_weighed", "step")
    known = (grades >= 4) & (draw.random(800) < 0.9)
    sample = ~known & (draw.random(800) < 0.5)
    chosen = [("known" if known[n] else "sample") if known[n] or sample[n] else None for n in range(800)]
    given_grades = [grade if name else None for grade, name in zip(grades, chosen, strict=True)]

    gathered = run(tmp_path, texts, given_grades, chosen=chosen)

    found, scores, good = gathered.details, np.array(gathered.column("score")), grades >= 3
    assert (found["census"]["documents"], found["census"]["others"]) == (known.sum(), (~known).sum())
    tenth = found["top_tenth"]
    assert tenth["good_of_all_low"] < good.mean() < tenth["good_of_all_high"] < tenth["good_of_all_low"] + 0.2
    assert good[~known].mean() < tenth["good_of_all_low"]  # what was told of the dataset before
    points = found["operating_points"][2:7]
    for name in ("precision", "recall"):
        true = [
            (good[scores >= point["threshold"]] if name == "precision" else scores[good] >= point["threshold"]).mean()
            for point in points
        ]
        inside = [p[f"{name}_low"] <= value <= p[f"{name}_high"] for p, value in zip(points, true, strict=True)]
        assert sum(inside) >= 4, name


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=60), st.integers(0, 8))
def test_without_known_documents_shares_are_those_of_counting(rows: list[tuple[int, bool]], least: int) -> None:
    scores, good = np.array([score for score, _ in rows], float), np.array([hit for _, hit in rows])

    weighed = Weighed.of(scores, np.where(good, 4.0, 1.0), positive_grade=3.0)

    kept = scores >= least
    assert weighed.share(kept).value == (good[kept].mean() if kept.any() else None)
    assert weighed.share(good, of=kept).value == (kept[good].mean() if good.any() else None)
    best = weighed.best(0.1)
    assert best.sum() == max(int(0.1 * len(rows) + 0.5), 1) and scores[best].min() >= np.sort(scores)[-best.sum()]
