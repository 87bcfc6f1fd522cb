"""The audit of MinHash: planted copies are as alike as they claim, recall follows the theory, and nothing leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from filters.dedup.minhash import MinHashDedup, MinHashParams
from filters.dedup.minhash_audit import Planting, edit_places, plant, share_of, shingle_sets
from filters.dedup.minhash_kernels import hash_family, jaccard
from filters.dedup.minhash_verify import AlikeFrom
from pipeline.core.rng import generator
from pipeline.core.text.batch import Batch
from tests.filters.gathering import gather, parts_of


def step(**parameters: object) -> MinHashDedup:
    return MinHashDedup(params=MinHashParams.parse(parameters))


def unlike_texts(count: int, *, words: int = 90) -> list[str]:
    """Texts without a word in common."""
    drawn = generator(5, "unlike").integers(0, 1 << 48, (count, words)).astype(str)
    return [" ".join(row) for row in drawn]


def test_recall_by_planted_copies_is_within_two_points_of_the_theory(tmp_path: Path) -> None:
    found = gather(step(audit_pairs=12_000), parts_of(unlike_texts(800, words=200), num_parts=3), scratch=tmp_path)

    audit = found.details["audit"]
    assert audit["planted"] == 12_000
    assert abs(audit["recall"]["share"] - audit["theory"]) < 0.02
    assert [entry["jaccard"] for entry in audit["recall_bins"]] == [
        "0.5 to 0.6", "0.6 to 0.7", "0.7 to 0.8", "0.8 to 0.9", "0.9 to 1.0",
    ]  # fmt: skip
    for entry in audit["recall_bins"]:
        assert entry["recall"]["pairs"] > 1000
        assert abs(entry["recall"]["share"] - entry["theory"]) < 0.02
    assert found.details["duplicates"] == 0


@pytest.mark.parametrize("target", [0.5, 0.65, 0.8, 0.95])
def test_a_copy_is_as_alike_as_it_was_made_to_be(target: float) -> None:
    texts = unlike_texts(1, words=400)
    places = edit_places(400, target=target, shingle_words=5, draw=generator(1, "places"))
    words = texts[0].split()
    for place in places:
        words[place] = f"new{place}"

    one, other = shingle_sets(Batch.from_texts([texts[0], " ".join(words)]), shingle_words=5, docs=range(2))

    assert target <= jaccard(one, other) < target + 0.02


def test_a_document_too_large_to_copy_200_times_is_not_copied(tmp_path: Path) -> None:
    large, fits = unlike_texts(1, words=10_000)[0], unlike_texts(1, words=100)[0]

    audits = [
        gather(step(audit_pairs=40), parts_of(texts), scratch=tmp_path / str(len(texts[0]))).details["audit"]
        for texts in ([large, large], [fits, large])
    ]

    assert (audits[0]["planted"], audits[0]["unfit_to_plant"]) == (0, 40)
    assert 5 < audits[1]["planted"] < 35


def test_copies_are_edited_in_the_text_whatever_its_characters_are(tmp_path: Path) -> None:
    text = "Stra\u00dfe, \u6f22\u5b57\u6f22\u5b57! caf\u00e9 na\u00efve " * 3 + " ".join(unlike_texts(1))
    planting = Planting(
        docs=np.array([1, 1, 0]), numbers=np.arange(3), targets=np.array([0.6, 0.9, 0.8]), num_pairs=3, seed=2
    )

    copies = plant(
        Batch.from_texts([text, text, "too short"]), planting, family=hash_family(0, num_values=112), shingle_words=5
    )

    assert copies.values.shape == (2, 112)
    assert copies.docs.tolist() == [1, 1]
    assert 0.55 < copies.similarities[0] < 0.7
    assert 0.85 < copies.similarities[1] < 0.96


@pytest.mark.parametrize("min_jaccard", [0.0, 0.75])
def test_the_audit_changes_no_signal(tmp_path: Path, min_jaccard: float) -> None:
    texts = unlike_texts(60)
    texts += [f"{text[: len(text) * 9 // 10]} {number}" for number, text in enumerate(texts[:30])]
    parts = parts_of(texts, num_parts=4)

    without = gather(step(audit_pairs=0, min_jaccard=min_jaccard), parts, scratch=tmp_path / "without")
    with_it = gather(step(audit_pairs=300, min_jaccard=min_jaccard), parts, scratch=tmp_path / "with")

    assert "audit" not in without.details
    assert with_it.signals.equals(without.signals)
    assert with_it.details["duplicates"] == without.details["duplicates"] > 20
    assert MinHashParams(audit_pairs=0).of_role("measure") == {}


def test_checked_recall_falls_below_the_similarity_asked_for_as_the_theory_says(tmp_path: Path) -> None:
    found = gather(step(audit_pairs=4000, min_jaccard=0.8), parts_of(unlike_texts(100), num_parts=2), scratch=tmp_path)

    bins = {entry["jaccard"]: entry for entry in found.details["audit"]["recall_bins"]}
    assert all(abs(entry["recall"]["share"] - entry["theory"]) < 0.03 for entry in bins.values())
    assert bins["0.6 to 0.7"]["recall"]["share"] < 0.01
    assert bins["0.9 to 1.0"]["recall"]["share"] > 0.98


@pytest.mark.parametrize("min_jaccard", [0, 0.5, 0.75])
def test_the_chance_to_join_is_that_of_drawn_signatures(min_jaccard: float) -> None:
    line = AlikeFrom(min_jaccard, bands=6, rows=4)
    equal = generator(9, "equal").random((400_000, 6, 4)) < 0.7

    joined = equal.all(axis=2).any(axis=1) & (equal.sum(axis=(1, 2)) >= line.least_equal)

    assert abs(joined.mean() - line.chance_to_join(0.7)) < 0.004
    assert AlikeFrom(0, 6, 4).chance_to_join(0.7) == pytest.approx(line.chance_to_meet(0.7))


def test_precision_tells_chained_strangers_from_duplicates(tmp_path: Path) -> None:
    """One row per band joins documents that share a tenth of their shingles; the audit must say so."""
    texts = unlike_texts(100)
    strangers = [f"{text[: len(text) // 4]} {other}" for text, other in zip(texts, texts[::-1], strict=True)]

    loose = gather(step(bands=60, rows=1, min_jaccard=0), parts_of(texts + strangers), scratch=tmp_path / "loose")
    exact = gather(step(), parts_of(texts + texts, num_parts=3), scratch=tmp_path / "exact")

    assert loose.details["audit"]["kept_twins"]["precision"]["share"] > 0.9  # at the curve's middle, 1/60
    assert loose.details["audit"]["kept_twins"]["pairs_at_jaccard"].get("0.9 to 1.0", 0) == 0
    assert exact.details["audit"]["kept_twins"]["pairs_at_jaccard"] == {"0.9 to 1.0": 100}
    assert exact.details["audit"]["kept_twins"]["precision"]["pairs"] == 100
    assert exact.details["audit"]["kept_twins"]["precision"]["low"] > 0.95
    assert exact.details["audit"]["kept_twins"]["precision_at_jaccard"]["0.9"]["share"] == 1


def test_the_audit_depends_neither_on_parts_nor_on_a_changed_mind(tmp_path: Path) -> None:
    texts = unlike_texts(80) * 2

    one = gather(step(audit_pairs=50), parts_of(texts), scratch=tmp_path / "one")
    gather(step(audit_pairs=90), parts_of(texts, num_parts=5), scratch=tmp_path / "many")
    resumed = gather(step(audit_pairs=50), parts_of(texts, num_parts=5), scratch=tmp_path / "many")

    assert resumed.details == one.details


def test_a_mega_document_is_called_out(tmp_path: Path) -> None:
    found = gather(step(audit_pairs=4), parts_of(["a b c " * 40_000, "short"]), scratch=tmp_path)

    assert found.details["mega_documents"] == 1
    assert found.said == [f"minhash_dedup: {warning}" for warning in found.details["warnings"]] != []
    assert "1 documents have 100000 words or more" in found.said[0]


def test_intervals_are_wilsons() -> None:
    assert share_of(np.array([True] * 8 + [False] * 2)) == {"share": 0.8, "low": 0.4902, "high": 0.9433, "pairs": 10}
    assert share_of(np.zeros(0, np.bool_)) == {"share": 0.0, "low": 0.0, "high": 1.0, "pairs": 0}
