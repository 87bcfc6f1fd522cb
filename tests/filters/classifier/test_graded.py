"""Which of the graded documents are held out: whole clusters, and what was drawn where others were chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.classifier.graded import hold_out
from pipeline.core import rng
from tests.filters.classifier.test_quality import corpus, run
from tests.timing import slowness


def test_figures_are_of_the_sample_and_what_was_chosen_is_only_learnt_from(tmp_path: Path) -> None:
    """Chosen documents, here all good ones, would make every held-out share too high."""
    texts, grades = corpus(240)
    chosen = ["sample" if grade < 3 or index % 3 == 0 else "unsure" for index, grade in enumerate(grades)]

    details = run(tmp_path, texts, grades, chosen=chosen).details

    num_unsure = chosen.count("unsure")
    sample = grades[np.array(chosen) == "sample"]
    held = details["measured_on"]
    assert held["chosen"] == {"sample": held["documents"]} and held["documents"] == details["held_out_documents"] >= 10
    assert details["graded_by_choice"] == {"sample": 240 - num_unsure, "unsure": num_unsure}
    assert details["train_documents"] + details["held_out_documents"] == 240
    assert abs(details["top_tenth"]["good_of_all"] - (sample >= 3).mean()) < 0.15 < (grades >= 3).mean() - 0.15
    assert details["warnings"] == []


def test_a_sample_too_small_to_measure_on_is_called_out(tmp_path: Path) -> None:
    texts, grades = corpus(120)

    details = run(tmp_path, texts, grades, chosen=["known"] * 100 + ["sample"] * 20).details

    assert set(details["measured_on"]["chosen"]) == {"known", "sample"}
    (doubt,) = details["warnings"]
    assert "fewer than 10 held-out documents are of the sample" in doubt
    assert run(tmp_path, texts, grades, folder="file", chosen=["file"] * 120).details["warnings"] == []


@settings(max_examples=50)
@given(st.lists(st.integers(0, 12), max_size=60), st.floats(0, 60))
def test_held_out_are_the_first_clusters_that_fit(ranks: list[int], most: float) -> None:
    held, expected = hold_out(np.array(ranks, np.int64), most=most), set[int]()
    for turn in sorted(set(ranks)):
        if sum(rank in expected or rank == turn for rank in ranks) <= most:
            expected.add(turn)

    assert held.tolist() == [rank in expected for rank in ranks]


def test_holding_out_takes_no_quadratic_time() -> None:
    """Comparing each with all takes minutes for so many."""

    def num_held(size: int) -> int:
        return hold_out(rng.generator(1, "ranks").permutation(size), most=size // 5).sum()

    assert num_held(300_000) == 60_000
    assert not slowness(num_held, size=300_000)
