"""MinHash: its recall beside the theory, the document that is kept, and that parts, order and crashes do not show."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from filters.dedup.minhash import MinHashDedup, MinHashParams, cluster_documents
from filters.dedup.minhash_bands import stable_order
from filters.dedup.minhash_kernels import band_keys, hash_family, jaccard, minima, signatures_of
from filters.dedup.minhash_verify import MOST_KEPT, AlikeFrom, _assign
from filters.words.shingles import shingle_hashes, words_of
from pipeline.core.errors import RecipeError
from pipeline.core.files.writing.scratch import until_reboot
from pipeline.core.rng import generator
from pipeline.core.text.batch import Batch
from pipeline.engine.executors import Local
from tests.filters.gathering import gather, parts_of
from tests.timing import slowness

SHINGLES = 60  # per document of the planted pairs
GOLDEN_VALUES = [[1263510220, 334842536, 461760406], [2391793, 732606547, 3844331605]]
GOLDEN_KEYS = [12374822332393086352, 14933250601689829729]


def step(**parameters: object) -> MinHashDedup:
    return MinHashDedup(params=MinHashParams.parse(parameters))


def random_words(*path: str | int, shape: tuple[int, ...]) -> np.ndarray:
    """Words that never repeat by chance."""
    return generator(3, "words", *path).integers(0, 1 << 48, shape).astype(str)


def planted_pairs(num_pairs: int, *, shared: int) -> list[str]:
    """Return 2 * num_pairs texts; texts 2i and 2i + 1 have `shared` of their SHINGLES 5-word shingles in common."""
    own = SHINGLES - shared
    common = random_words("common", shared, shape=(num_pairs, shared + 4))
    left, right = (random_words(side, shared, shape=(num_pairs, own)) for side in ("left", "right"))
    texts = []
    for pair in range(num_pairs):
        texts.append(" ".join([*common[pair], *left[pair]]))
        texts.append(" ".join([*common[pair], *right[pair]]))
    return texts


@pytest.mark.parametrize("shared", [40, 45, 50, 53, 56, 58])
def test_recall_is_within_two_points_of_the_theory(shared: int) -> None:
    similarity = shared / (2 * SHINGLES - shared)
    texts = planted_pairs(6000, shared=shared)

    clusters = cluster_documents(Batch.from_texts(texts))

    recall = (clusters[0::2] == clusters[1::2]).mean()
    assert abs(recall - AlikeFrom(0, 14, 8).chance_to_meet(similarity)) < 0.02
    assert len(np.unique(clusters)) == len(texts) - recall * len(texts) / 2  # nobody met a stranger


def test_planted_pairs_have_the_similarity_they_claim() -> None:
    words = words_of(Batch.from_texts(planted_pairs(1, shared=50)))
    hashes, offsets = shingle_hashes(words.hashes, words.offsets, 5)

    assert jaccard(np.unique(hashes[: offsets[1]]), np.unique(hashes[offsets[1] :])) == 50 / 70


@pytest.mark.parametrize(("num_shingles", "shared"), [(10, 8), (100, 50), (100, 80), (1000, 900)])
def test_agreement_is_unbiased_and_as_steady_as_independent_hashing(num_shingles: int, shared: int) -> None:
    """The family is affine modulo 2^32, where independence is not given: so bias and spread are measured."""
    num_pairs, family = 3000, hash_family(0, num_values=112)
    universe = generator(1, "shingles").integers(0, 1 << 64, (num_pairs, num_shingles), dtype=np.uint64)
    middle = shared + (num_shingles - shared) // 2
    sides = [universe[:, :middle], np.concatenate([universe[:, :shared], universe[:, middle:]], axis=1)]
    values = [np.empty((num_pairs, 112), np.uint32) for _ in sides]

    for side, value in zip(sides, values, strict=True):
        offsets = np.arange(num_pairs + 1) * side.shape[1]
        minima(np.ascontiguousarray(side).ravel(), offsets, 1, family.factors, family.addends, value)

    shares = (values[0] == values[1]).mean(axis=1)
    similarity = shared / num_shingles
    spread = np.sqrt(similarity * (1 - similarity) / 112)
    assert abs(shares.mean() - similarity) < 4 * spread / np.sqrt(num_pairs)
    assert 0.95 < shares.std() / spread < 1.05


def test_signatures_are_what_they_were() -> None:
    """If this fails, old scratch and promoted stores no longer fit: bump MinHashDedup.version."""
    batch = Batch.from_texts(["The quick brown fox jumps over the lazy dog.", "Stra\u00dfe \u6f22\u5b57"])

    values = signatures_of(batch, family=hash_family(0, num_values=112), shingle_words=5).values

    assert values[:, :3].tolist() == GOLDEN_VALUES
    assert band_keys(values, 14, 8)[0].tolist() == GOLDEN_KEYS


def values_in_python(words: list[int], *, shingle_words: int, factors: list[int], addends: list[int]) -> list[int]:
    """The definition: the least of factor * shingle + addend modulo 2^32, a shingle being a mixed polynomial."""
    length = min(shingle_words, len(words))
    keys = []
    for first in range(len(words) - length + 1 if words else 0):
        rolled = 0
        for word in words[first : first + length]:
            rolled = (rolled * 0x2545F4914F6CDD1D + word) % 2**64
        product = (rolled ^ 0xA0761D6478BD642F) * (0xE7037ED1A0B428DB + 2 * length)
        keys.append((product ^ product >> 64) % 2**32)
    pairs = zip(factors, addends, strict=True)
    return [min(((factor * key + addend) % 2**32 for key in keys), default=2**32 - 1) for factor, addend in pairs]


@pytest.mark.parametrize("num_values", [112, 1, 37, 128, 240])
@pytest.mark.parametrize("shingle_words", [1, 2, 5, 13])
def test_signatures_agree_with_the_definition(num_values: int, shingle_words: int) -> None:
    """Lanes are 16 to a vector and 112 at a time, shingles are mixed by the hundred across documents."""
    lengths = [0, 1, 4, 5, 6, 0, 12, 13, 14, 200, 700, 3]
    texts = [" ".join(random_words("definition", length, shape=(length,))) for length in lengths]
    batch = Batch.from_texts([*texts, "\u00fcber \u6f22\u5b57\0nul " + "long" * 30])
    family = hash_family(5, num_values=num_values)

    signatures = signatures_of(batch, family=family, shingle_words=shingle_words)

    words = words_of(batch)
    parts = [words.hashes[first:end].tolist() for first, end in itertools.pairwise(words.offsets)]
    factors, addends = family.factors.tolist(), family.addends.tolist()
    for values, part in zip(signatures.values, parts, strict=True):
        expected = values_in_python(part, shingle_words=shingle_words, factors=factors, addends=addends)
        assert values.tolist() == expected
    assert signatures.num_words.tolist() == [len(part) for part in parts]


def test_signatures_do_not_depend_on_the_batch() -> None:
    texts = [*planted_pairs(40, shared=30), "", "short", "\u00fcber " * 300_000]
    family = hash_family(9, num_values=24)

    together = signatures_of(Batch.from_texts(texts), family=family, shingle_words=3).values
    alone = [signatures_of(Batch.from_texts([text]), family=family, shingle_words=3).values[0] for text in texts]

    assert np.array_equal(together, np.stack(alone))


BODY = " ".join(random_words("body", shape=(80,)))
TEXTS = [
    f"{BODY} one", "unlike " * 3, f"{BODY} two words", "Hi, you!", "", "hi you", BODY, "", "something else entirely",
]  # fmt: skip


def test_the_longest_duplicate_stays_and_short_ones_are_caught(tmp_path: Path) -> None:
    found = gather(step(), parts_of(TEXTS, num_parts=2), scratch=tmp_path)

    assert found.column("duplicate_of") == ["d2", None, None, None, None, "d3", "d2", None, None]
    assert found.column("is_duplicate") == [1, 0, 0, 0, 0, 1, 1, 0, 0]
    assert found.column("cluster") == [0, 1, 0, 3, 4, 3, 0, 7, 8]
    assert found.column("cluster_size") == [3, 1, 3, 2, 1, 2, 3, 1, 1]
    estimates = found.column("jaccard_estimate")
    assert estimates[5] == 1.0
    assert estimates[0] > 0.9
    assert [estimate is None for estimate in estimates] == [twin is None for twin in found.column("duplicate_of")]
    assert found.details["clusters"] == 2
    assert found.details["duplicates"] == 3
    assert found.details["documents_without_words"] == 2
    assert found.details["documents_shorter_than_a_shingle"] == 4


def test_keep_first_or_by_a_signal(tmp_path: Path) -> None:
    parts = parts_of(TEXTS, num_parts=3, signals={"quality.score": [2.5, 0, 1, 0, 0, 9, None, 0, 0]})

    first = gather(step(keep="first"), parts, scratch=tmp_path / "first")
    best = gather(step(keep="quality.score"), parts, scratch=tmp_path / "best")

    assert first.column("duplicate_of") == [None, None, "d0", None, None, "d3", "d0", None, None]
    assert best.column("duplicate_of") == [None, None, "d0", "d5", None, None, "d0", None, None]


def test_keep_by_words_is_an_error(tmp_path: Path) -> None:
    parts = parts_of(TEXTS, signals={"language.name": ["en"] * len(TEXTS)})

    with pytest.raises(RecipeError, match=r"keep: language.name holds string; it must be numbers"):
        gather(step(keep="language.name"), parts, scratch=tmp_path)


def test_parts_and_their_order_do_not_show(tmp_path: Path) -> None:
    texts = [*planted_pairs(12, shared=57), *chain(12, shift=6)]
    texts = texts[0::2] + texts[1::2] + texts[::3]

    one = gather(step(), parts_of(texts), scratch=tmp_path / "one")
    many = gather(step(), parts_of(texts, num_parts=7)[::-1], scratch=tmp_path / "many")
    some_empty = gather(step(), parts_of(texts, num_parts=30), scratch=tmp_path / "empty")

    assert one.signals.equals(many.signals)
    assert one.signals.equals(some_empty.signals)
    assert one.details == many.details


def test_worker_processes_do_not_show(tmp_path: Path) -> None:
    parts = parts_of([*planted_pairs(30, shared=55), *chain(12, shift=6)], num_parts=3)
    executor = Local(workers=2)

    alone = gather(step(), parts, scratch=tmp_path / "alone")
    pooled = gather(step(), parts, scratch=tmp_path / "pooled", run=executor.map)
    executor.close()

    assert pooled.signals.equals(alone.signals)
    assert pooled.details == alone.details


def test_a_crash_costs_the_unfinished_parts_only(tmp_path: Path) -> None:
    texts = [*planted_pairs(30, shared=55), *chain(12, shift=6)]
    whole = gather(step(), parts_of(texts, num_parts=4), scratch=tmp_path / "whole")
    broken = tmp_path / "broken"
    gather(step(), parts_of(texts, num_parts=4), scratch=broken)
    files = until_reboot(broken)
    for path in [*files.glob("edges-*"), *files.glob("*-00002.npy"), files / "sizes-00003.npy"]:
        path.unlink(missing_ok=True)
    kept = (files / "values-00000.npy").stat().st_mtime_ns

    resumed = gather(step(), parts_of(texts, num_parts=4), scratch=broken)

    assert resumed.signals.equals(whole.signals)
    assert (files / "values-00000.npy").stat().st_mtime_ns == kept


def test_candidates_that_are_not_alike_are_not_joined(tmp_path: Path) -> None:
    """With one row per band nearly all related pairs are candidates; only the similar ones may be joined."""
    texts = planted_pairs(40, shared=30) + planted_pairs(40, shared=57)  # Jaccard 0.33 and 0.90
    parts = parts_of(texts, num_parts=3)

    loose = gather(step(bands=60, rows=1, min_jaccard=0), parts, scratch=tmp_path / "loose")
    checked = gather(step(bands=60, rows=1), parts, scratch=tmp_path / "checked")

    assert loose.details["duplicates"] == 80
    assert checked.column("cluster_size") == [1] * 80 + [2] * 80
    assert checked.details["pairs_checked"] >= 80
    assert checked.details["pairs_refused"] >= 40


def chain(num_links: int, *, shift: int) -> list[str]:
    """Texts of 100 words, each of which begins `shift` words behind the one before it in one long text."""
    words = random_words("chain", shape=(100 + num_links * shift,))
    return [" ".join(words[first * shift : first * shift + 100]) for first in range(num_links)]


def similarity(one: str, other: str) -> float:
    words = words_of(Batch.from_texts([one, other]))
    hashes, offsets = shingle_hashes(words.hashes, words.offsets, 5)
    return jaccard(np.unique(hashes[: offsets[1]]), np.unique(hashes[offsets[1] :]))


def test_nothing_is_dropped_for_a_document_that_it_is_only_chained_to(tmp_path: Path) -> None:
    """Neighbours are 0.88 alike, every second 0.78, the ends have no shingle in common."""
    texts = chain(24, shift=6)

    found = gather(step(keep="first"), parts_of(texts, num_parts=3), scratch=tmp_path / "checked")
    trusting = gather(step(keep="first", min_jaccard=0), parts_of(texts, num_parts=3), scratch=tmp_path / "trusting")

    assert trusting.column("cluster") == [0] * 24
    kept = [twin or f"d{row}" for row, twin in enumerate(found.column("duplicate_of"))]
    alike = [similarity(text, texts[int(twin[1:])]) for text, twin in zip(texts, kept, strict=True)]
    assert min(alike) > 0.6
    assert 4 <= len(set(kept)) <= 10
    assert found.details["kept_though_chained"] == len(set(kept)) - 1
    assert found.column("cluster") == [int(twin[1:]) for twin in kept]  # keep: first names a cluster by what it keeps
    assert all(estimate is None or estimate >= 0.7 for estimate in found.column("jaccard_estimate"))


def test_a_run_of_low_precision_warns(tmp_path: Path) -> None:
    texts = chain(60, shift=6)

    trusting = gather(step(min_jaccard=0), parts_of(texts), scratch=tmp_path / "trusting")
    found = gather(step(), parts_of(texts), scratch=tmp_path / "checked")

    assert trusting.details["audit"]["kept_twins"]["precision"]["share"] < 0.3
    assert trusting.said == [f"minhash_dedup: {warning}" for warning in trusting.details["warnings"]] != []
    assert "precision is low: 59 dropped documents" in trusting.said[0]
    assert trusting.said[0].endswith("Set min_jaccard.")
    assert found.details["audit"]["kept_twins"]["precision_at_jaccard"]["0.6"]["share"] == 1
    assert found.said == []


def test_kept_documents_of_a_group_are_compared_with_in_its_order_and_forgotten_in_it() -> None:
    """More kept documents than are held at a time: the last ones count."""
    held = MOST_KEPT + 5
    values = generator(2, "held").integers(0, 1 << 32, (held, 4), dtype=np.uint32)
    values = np.concatenate([values, values[-1:], values[:1]])
    state, kept, estimates = np.array([-1, 0, 0]), np.arange(len(values)), np.zeros(len(values), np.float32)
    leaders, leader_values = np.empty(MOST_KEPT, np.int64), np.empty((MOST_KEPT, 4), np.uint32)

    for some in np.array_split(np.arange(len(values)), 7):
        _assign(values[some], np.zeros_like(some), some, 3, state, leaders, leader_values, kept, estimates)

    assert kept.tolist() == [*range(held), held - 1, held + 1]
    assert estimates[held] == 1
    assert state.tolist() == [0, held + 1, held]


def test_a_giant_cluster_is_called_out(tmp_path: Path) -> None:
    found = gather(step(), parts_of([BODY] * 1500 + TEXTS), scratch=tmp_path)

    assert found.details["largest_cluster"] == 1503
    assert found.said == [f"minhash_dedup: {warning}" for warning in found.details["warnings"]] != []
    assert "1503 of 1509 documents" in found.said[0]


def test_no_documents_are_no_error(tmp_path: Path) -> None:
    assert gather(step(), parts_of([]), scratch=tmp_path).signals.num_rows == 0
    assert gather(step(min_jaccard=0.5), parts_of(["", ""]), scratch=tmp_path / "empty").column("cluster") == [0, 1]
    assert len(cluster_documents(Batch.from_texts([]))) == 0


@pytest.mark.parametrize("piece", ["x", "a ", "same words ", "\u6f22"])
def test_time_grows_with_the_text_whatever_it_says(piece: str) -> None:
    assert not slowness(lambda size: cluster_documents(Batch.from_texts([piece * (size // len(piece.encode()))] * 2)))


@pytest.mark.parametrize(("num_keys", "num_different"), [(0, 1), (1, 1), (300, 1), (2000, 40), (2000, 1 << 40)])
def test_equal_keys_are_ordered_by_their_place(num_keys, num_different):
    keys = generator(0, "keys", num_different).integers(0, num_different, num_keys).astype(np.uint64)

    assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()
