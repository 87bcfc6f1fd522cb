"""fastText classifiers say here what they say in their own package: same words, subwords, n-grams, trees and shares."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.classifier.fasttext import FastText, path_to
from filters.classifier.fasttext_file import MAGIC, hash_of
from pipeline.core import rng
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.text.batch import Batch
from tests.pipeline.house import House

WORDS = ["</s>", "the", "reader", "caf\u00e9", "click", "buy"]
LABELS = ["__label__good", "__label__bad", "__label__odd"]


def write_model(
    path: Path, *, dim: int = 4, ngrams: int = 2, bucket: int = 50, minn: int = 0, maxn: int = 0, loss: int = 3,
    model: int = 3, quantised: bool = False, seed: int = 1,
) -> Path:  # fmt: skip
    """Write a supervised model as fastText does."""
    draw = rng.generator(seed, "test_fasttext")
    settings = (dim, 5, 5, 1, 5, ngrams, loss, model, bucket, minn, maxn, 100)
    entries = b"".join(word.encode() + struct.pack("<bqb", 0, 9, 0) for word in WORDS)
    entries += b"".join(
        label.encode() + struct.pack("<bqb", 0, count, 1) for label, count in zip(LABELS, (9, 5, 2), strict=True)
    )
    sizes = struct.pack("<iiiqq", len(WORDS) + len(LABELS), len(WORDS), len(LABELS), 100, -1)
    rows = draw.standard_normal((len(WORDS) + bucket, dim)).astype(np.float32)
    outputs = draw.standard_normal((len(LABELS), dim)).astype(np.float32)
    data = struct.pack("<ii12id", MAGIC, 12, *settings, 1e-4) + sizes + entries
    for matrix in (rows, outputs):
        data += struct.pack("<?qq", quantised, *matrix.shape) + matrix.tobytes()
    path.write_bytes(data)
    return path


def scores(path: Path, texts: list[str], *, label: str = LABELS[0]) -> list[float | None]:
    step = FastText(params=FastText.Params.parse({"model": str(path), "label": label}))
    step.prepare({"model": [path]})
    found: list[float | None] = step.measure(Batch.from_texts(texts)).signals["score"].to_pylist()
    return found


def by_hand(path: Path, text: str, *, ngrams: int, bucket: int) -> float:
    """Return the softmax of what words and word n-grams add up to, without subwords."""
    data = path.read_bytes()
    rows = np.frombuffer(
        data[-len(LABELS) * 16 - 17 - (len(WORDS) + bucket) * 16 :][: (len(WORDS) + bucket) * 16], np.float32
    )
    matrix, outputs = rows.reshape(-1, 4), np.frombuffer(data[-len(LABELS) * 16 :], np.float32).reshape(-1, 4)
    tokens = [*text.split(), "</s>"]
    used = [WORDS.index(token) for token in tokens if token in WORDS]
    hashes = [int(np.uint32(hash_of(token.encode())).astype(np.int32)) for token in tokens]
    for first in range(len(hashes)):
        mixed = hashes[first] % 2**64
        for other in hashes[first + 1 : first + ngrams]:
            mixed = (mixed * 116049371 + other) % 2**64
            used.append(len(WORDS) + mixed % bucket)
    logits = outputs @ matrix[used].mean(axis=0)
    return float(np.exp(logits[0]) / np.exp(logits).sum())


@pytest.mark.parametrize("ngrams", [1, 2, 3])
def test_a_document_is_the_mean_of_its_words_and_word_ngrams(tmp_path: Path, ngrams: int) -> None:
    path = write_model(tmp_path / "model.bin", ngrams=ngrams)
    texts = ["the reader", "caf\u00e9 caf\u00e9 unknown", "buy\nclick\tbuy  the", ""]

    found = scores(path, texts)

    assert found == pytest.approx([by_hand(path, text, ngrams=ngrams, bucket=50) for text in texts], abs=1e-6)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12))
@settings(deadline=None)
def test_the_shares_of_a_tree_add_up_to_one(counts: list[int]) -> None:
    counts = sorted(counts, reverse=True)
    draw = rng.generator(1, "tree").standard_normal(len(counts))

    shares = []
    for label in range(len(counts)):
        rows, signs = path_to(label, counts=counts)
        shares.append(np.prod(1 / (1 + np.exp(-signs * draw[rows]))) if len(rows) else 1.0)

    assert sum(shares) == pytest.approx(1.0)


def test_a_document_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.bin", minn=2, maxn=4)
    texts = ["the reader", "caf\u00e9 click", "", "buy buy buy"]

    assert scores(path, texts) == [scores(path, [text])[0] for text in texts]


def test_a_step_of_a_recipe_keeps_what_is_probable_enough(tmp_path: Path) -> None:
    house = House(tmp_path)
    write_model(tmp_path / "model.bin")
    texts = ["the reader", "click buy click", "reader reader the"]
    house.lines("docs.jsonl", texts)
    told = [score for score in scores(tmp_path / "model.bin", texts) if score is not None]
    least = sorted(told)[1]
    house.clean([f"fasttext: {{model: DIR/model.bin, label: __label__good, min_score: {least:.4f}}}"])

    house.run()

    assert len(house.documents()) in (1, 2)
    assert [row["score"] for row in house.signals("fasttext")] == pytest.approx(told)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"quantised": True}, "is quantised"), ({"model": 1}, "holds word vectors and no classifier")],
)
def test_what_cannot_be_run_is_refused_by_name(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=rf"model\.bin: .*{said}|model\.bin: {said}"):
        scores(write_model(tmp_path / "model.bin", **change), ["the"])


@pytest.mark.parametrize("size", [0, 4, 40, 150, 400])
def test_a_damaged_file_is_named(tmp_path: Path, size: int) -> None:
    path = write_model(tmp_path / "model.bin")
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(DataError, match=r"model\.bin: no fastText model can be read"):
        scores(path, ["the"])


def test_a_label_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no label `__label__goood`\. Did you mean __label__good"):
        scores(write_model(tmp_path / "model.bin"), ["the"], label="__label__goood")


@pytest.mark.parametrize("loss", ["softmax", "hs", "ova", "ns"])
@pytest.mark.parametrize(("minn", "maxn", "ngrams"), [(0, 0, 1), (0, 0, 3), (2, 4, 2)])
def test_scores_are_those_of_fasttext_itself(tmp_path: Path, loss: str, minn: int, maxn: int, ngrams: int) -> None:
    package = pytest.importorskip("fasttext", reason="fasttext is not installed")
    draw = rng.generator(1, "texts")
    vocabulary = ["the", "caf\u00e9", "\u65e5\u672c", "click", "buy", "proof", "x", "don't", "\U0001f600", "lesson"]
    texts = [" ".join(str(draw.choice(vocabulary)) for _ in range(int(draw.integers(1, 30)))) for _ in range(300)]
    lines = [f"__label__{['good', 'bad', 'odd'][len(text) % 3]} {text}\n" for text in texts]
    (tmp_path / "train.txt").write_text("".join(lines), encoding="utf-8")
    model = package.train_supervised(
        str(tmp_path / "train.txt"), dim=8, wordNgrams=ngrams, minn=minn, maxn=maxn, bucket=500, loss=loss, epoch=3,
        thread=1, verbose=0,
    )  # fmt: skip
    model.save_model(str(tmp_path / "model.bin"))
    asked = [*texts[:50], "unseen words here", "</s> the", "__label__good the", "", "the \u0000 proof", "\u00e9"]

    found = scores(tmp_path / "model.bin", asked)

    for text, score in zip(asked, found, strict=True):
        told = {label: share for share, label in model.f.predict(text + "\n", 3, 0.0, "strict")}
        expected = told.get("__label__good")
        assert (score is None) == (expected is None)
        if score is not None and expected is not None:
            assert abs(score - expected) < 3e-5, text
