"""A hidden layer learns what n-grams mean together, scores as the default does, and is always the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from filters.classifier import agreement as report
from filters.classifier.hidden import HiddenCourse, HiddenModel
from filters.classifier.model import Features, Settings, train
from filters.classifier.students import load_student
from pipeline.core import rng
from pipeline.core.text.batch import Batch
from tests.filters.classifier.test_quality import PLAIN, corpus, run

SMALL = Settings(buckets=2**12, ngrams=1, excerpt_chars=6000)


def either_but_not_both(count: int) -> tuple[list[str], np.ndarray]:
    """Texts that are good if they hold one of two words, and poor with both or none: no sum of weights tells."""
    draw = rng.generator(1, "test_hidden")
    texts, grades = [], []
    for _ in range(count):
        first, second = draw.integers(2, size=2).tolist()
        words = [str(draw.choice(PLAIN)) for _ in range(12)] + ["salt"] * first + ["sugar"] * second
        texts.append(" ".join(words))
        grades.append(5.0 if first != second else 0.0)
    return texts, np.array(grades)


def course(texts: list[str]) -> HiddenCourse:
    return HiddenCourse(Features.of(Batch.from_texts(texts), settings=SMALL), SMALL, epochs=80, top=5, seed=3)


def test_a_hidden_layer_learns_what_no_sum_of_weights_tells() -> None:
    texts, grades = either_but_not_both(400)
    learning, taught, held = course(texts), np.arange(300), slice(300, None)

    hidden = learning.fit(taught, grades=grades[:300], penalty=1e-5).score(Batch.from_texts(texts))
    linear = train(
        learning.inputs.take(taught), grades[:300], settings=SMALL, l2=1e-5, epochs=80
    ).score(Batch.from_texts(texts))  # fmt: skip

    assert report.spearman(hidden[held], grades[held]) > 0.8
    assert abs(report.spearman(linear[held], grades[held])) < 0.4


def test_the_same_documents_give_the_same_bytes_and_a_saved_model_the_same_scores(tmp_path: Path) -> None:
    texts, grades = corpus(120)
    batch, rows = Batch.from_texts(texts), np.arange(120)

    one, two = (course(texts).fit(rows, grades=grades, penalty=1e-4) for _ in range(2))
    for name, model in (("one", one), ("two", two)):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)

    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    loaded = load_student(tmp_path / "one")
    assert isinstance(loaded, HiddenModel)
    assert np.array_equal(loaded.score(batch), one.score(batch))


def test_the_kernel_says_what_the_layers_say() -> None:
    texts, grades = corpus(60)
    learning = course(texts)
    model = learning.fit(np.arange(60), grades=grades, penalty=1e-4)

    inputs = learning.inputs
    sums = np.array([
        model.vectors[inputs.buckets[start:end]].sum(axis=0) / np.sqrt(max(end - start, 1))
        for start, end in zip(inputs.starts[:-1], inputs.starts[1:], strict=True)
    ])  # fmt: skip
    latent = np.tanh(sums + model.shifts) @ model.outputs
    expected = (1 / (1 + np.exp(-(latent[:, None] + model.biases)))).sum(axis=1)

    assert np.allclose(model.score(Batch.from_texts(texts)), expected, atol=1e-4)


def test_the_step_teaches_a_hidden_layer_and_its_card_says_so(tmp_path: Path) -> None:
    texts, grades = corpus(300)

    gathered = run(tmp_path, texts, grades, student="hidden")

    assert gathered.details["hidden_units"] == 8
    assert gathered.details["agreement"]["spearman"] > 0.7
