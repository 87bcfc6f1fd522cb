"""How far grades moved since each of several earlier sets, and when that is said aloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from filters.labels.card.drift import drift_of, drift_warnings
from filters.labels.sample.brought import Here
from filters.labels.teachers.agreement import Rated, shift
from filters.labels.teachers.grade_file import GradeFile, GradeRow
from filters.labels.teachers.grading import Grading
from pipeline.core.rng import generator
from tests.filters.labels.card.test_label_card import grades, id_of
from tests.filters.labels.labelling import Room, many


def earlier_set(values: Sequence[float], *, name: str) -> Here:
    rows = {f"d{n}": GradeRow(f"d{n}", value, 1, "", "", {}, "") for n, value in enumerate(values)}
    file = GradeFile(Path(name), "id", first=rows, second={}, graded_by="", blake3=name)
    return Here(file, {n: f"d{n}" for n in range(len(values))})


def test_several_earlier_sets_are_told_in_their_order_and_only_what_surely_moved_is_warned_of(tmp_path: Path) -> None:
    now = grades(tmp_path / "now.jsonl", {id_of(n): n % 6 for n in range(80)})
    same = grades(tmp_path / "z_first.jsonl", {id_of(n): n % 6 for n in range(60)})
    lower = grades(tmp_path / "second.jsonl", {id_of(n): max(n % 6 - 1, 0) for n in range(60)})
    few = grades(tmp_path / "third.jsonl", {id_of(n): 0 for n in range(8)})
    earlier = [same, lower, few]

    room = Room(tmp_path / "room", many(100), inputs={"path": [now], "earlier": earlier})
    details = room.run(teacher="file", path=str(now), earlier=[str(path) for path in earlier]).work.details

    drift = details["drift"]
    assert [drift[name]["file"] for name in ("earlier", "earlier_2", "earlier_3")] == [path.name for path in earlier]
    assert [drift[name]["place"] for name in ("earlier", "earlier_2", "earlier_3")] == [0, 1, 2]
    assert {one["looks"] for one in drift.values()} == {2}  # 8 documents are too few to look at
    assert [one["moved"] for one in drift.values()] == [False, True, False]
    assert drift["earlier_2"]["sure_low"] < drift["earlier_2"]["low"] < 5 / 6 < drift["earlier_2"]["sure_high"]
    (warning,) = details["warnings"]
    assert warning.startswith("label: grades are higher than those of second.jsonl by 0.83 on the 60 documents")
    assert "widened for 2 earlier sets)" in warning


def test_of_many_earlier_sets_that_did_not_move_hardly_any_is_warned_of() -> None:
    draw, alone, widened = generator(1, "test_drift"), 0, 0
    for _ in range(200):
        now = draw.integers(0, 6, size=60).tolist()
        sets = [
            [(Rated(grade + by), Rated(grade)) for grade, by in zip(now, moved, strict=True)]
            for moved in (draw.integers(-1, 2, size=60).tolist() for _ in range(8))
        ]
        alone += any(not found["low"] <= 0 <= found["high"] for found in map(shift, sets))
        sure = [shift(pairs, looks=len(sets)) for pairs in sets]
        widened += any(not found["low"] <= 0 <= found["high"] for found in sure)

    assert widened <= 0.08 * 200 < 0.2 * 200 < alone


def test_what_would_have_moved_alone_may_be_chance_among_many() -> None:
    now = {n: Grading("graded", 3.0) for n in range(100)}
    moved = earlier_set([2.0] * 15 + [4.0] * 5 + [3.0] * 80, name="moved")
    others = {f"earlier_{n}": earlier_set([3.0] * 50 + [2.0] * 25 + [4.0] * 25, name=str(n)) for n in range(2, 11)}

    alone, among = drift_of({"earlier": moved}, now, seed=1), drift_of({"earlier": moved} | others, now, seed=1)

    assert alone["earlier"]["moved"] and not among["earlier"]["moved"] and among["earlier"]["low"] > 0
    assert len(drift_warnings(alone)) == 1 and drift_warnings(among) == []


@pytest.mark.parametrize("looks", [1, 4, 20])
def test_intervals_of_several_looks_are_those_of_students_t(looks: int) -> None:
    gaps = [-1.0] * 10 + [0.0] * 12 + [1.0] * 8
    found = shift([(Rated(2.0), Rated(2.0 + gap)) for gap in gaps], looks=looks)

    mean = float(np.mean(gaps))
    spread = np.sqrt((np.sum((np.array(gaps) - mean) ** 2) + 2) / 29 / 30)
    assert found["high"] - found["shift"] == pytest.approx(t.ppf(1 - 0.025 / looks, 29) * spread, abs=1e-3)
