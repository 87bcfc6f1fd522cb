"""Graded documents -> a linear model of the grade: one weight per hashed n-gram, one threshold per step of the grade.

Cumulative logits share the weights (P(grade > k) = sigmoid(x.w + b_k)), so a grade of 4 counts as nearer to 5 than to
0, and a fractional grade is a soft target. Training is full-batch L-BFGS in one thread, which has no order to
depend on: the same documents give the same bytes. 2,000 documents of 1 kB take 1-2 s a fit (measured, 1 core).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from filters.classifier.kernels import expected_grades, features
from pipeline.core.errors import DataError
from pipeline.core.files.writing.durable import write_atomically, write_text
from pipeline.core.text.batch import Batch

TOP_GRADE = 5
MODEL, SETTINGS = "model.safetensors", "model.json"
L2_GRID = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5)  # per weight squared, against the mean loss of a document
BIAS_L2 = 1e-3  # keeps the threshold of a grade that nobody gave finite


@dataclass(frozen=True, slots=True)
class Settings:
    """How text becomes features; a model is of use only with its own."""

    buckets: int
    ngrams: int
    excerpt_chars: int

    @property
    def bits(self) -> int:
        """Return log2 of the number of buckets."""
        return self.buckets.bit_length() - 1


@dataclass(frozen=True, slots=True)
class Features:
    """Present n-grams of many documents: document d has buckets[starts[d]:starts[d + 1]]."""

    buckets: np.ndarray  # int32[num_features]
    starts: np.ndarray  # int64[num_docs + 1]

    @staticmethod
    def of(batch: Batch, *, settings: Settings) -> Features:
        """Hash a batch."""
        buckets, starts = features(
            batch.data, batch.offsets, settings.ngrams, settings.bits, settings.excerpt_chars
        )  # fmt: skip
        return Features(buckets=buckets, starts=starts)

    def take(self, rows: np.ndarray) -> Features:
        """Return the features of some documents, in the order of `rows`."""
        lengths = np.diff(self.starts)[rows]
        pieces = [self.buckets[self.starts[row] : self.starts[row + 1]] for row in rows]
        flat = np.concatenate(pieces) if pieces else np.zeros(0, np.int32)
        return Features(buckets=flat, starts=np.concatenate(([0], np.cumsum(lengths))))


@dataclass(frozen=True, slots=True)
class GradeModel:
    """Weights float32[buckets], biases float32[top grade], and the settings they belong to."""

    weights: np.ndarray
    biases: np.ndarray
    settings: Settings

    def score(self, batch: Batch) -> np.ndarray:
        """Return float32[num_docs], the expected grade, 0 to as many as there are biases."""
        chosen = self.settings
        scores: np.ndarray = expected_grades(
            batch.data, batch.offsets, chosen.ngrams, chosen.bits, chosen.excerpt_chars, self.weights, self.biases
        )
        return scores

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `model.json`."""
        write_model(folder, {"weights": self.weights, "biases": self.biases}, told=asdict(self.settings))

    @staticmethod
    def load(folder: Path) -> GradeModel:
        """Read a model that `save` wrote; DataError when there is none."""
        tensors, settings = read_model(folder)
        return GradeModel(weights=tensors["weights"], biases=tensors["biases"], settings=settings)


def write_model(folder: Path, tensors: Mapping[str, np.ndarray], *, told: Mapping[str, object]) -> None:
    """Write a model's tensors, and what else is to be known of it as JSON."""
    from safetensors.numpy import save

    payload = save(dict(tensors))
    write_atomically(folder / MODEL, lambda file: file.write(payload))
    write_text(folder / SETTINGS, json.dumps(dict(told), indent=1, sort_keys=True) + "\n")


def read_model(folder: Path) -> tuple[dict[str, np.ndarray], Settings]:
    """Return a saved model's tensors and settings; DataError when there is none."""
    tensors, told = read_tensors(folder)
    try:
        return tensors, Settings(**{key: value for key, value in told.items() if key != "kind"})
    except TypeError as error:
        raise DataError(f"{folder / MODEL}: no classifier can be read ({error}). Run the recipe again.") from error


def read_tensors(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a saved model's tensors and what its JSON says; DataError when there is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load((folder / MODEL).read_bytes()), dict(json.loads((folder / SETTINGS).read_bytes()))
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise DataError(f"{folder / MODEL}: no classifier can be read ({error}). Run the recipe again.") from error


def train(
    inputs: Features, grades: np.ndarray, *, settings: Settings, l2: float, epochs: int,
    start: GradeModel | None = None, top: int = TOP_GRADE,
) -> GradeModel:  # fmt: skip
    """Fit one model by at most `epochs` L-BFGS iterations over all documents, from zero or from another model."""
    import torch

    with one_thread():
        seen, columns = np.unique(inputs.buckets, return_inverse=True)  # a bucket that no document hits stays at zero
        first = np.zeros(settings.buckets, np.float32) if start is None else start.weights
        weights = torch.from_numpy(first[seen][:, None]).requires_grad_()
        biases = torch.from_numpy(np.zeros(top, np.float32) if start is None else start.biases.copy()).requires_grad_()
        look = Lookup.of(Features(buckets=columns, starts=inputs.starts))
        targets = torch.from_numpy(targets_of(grades, top=top))
        optimizer = torch.optim.LBFGS(
            [weights, biases], max_iter=epochs, history_size=10, line_search_fn="strong_wolfe"
        )

        def closure() -> Any:
            optimizer.zero_grad()
            logits = look(weights)[:, None] + biases
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(grades)
            loss = loss + l2 * weights.square().sum() + BIAS_L2 * biases.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
    spread = np.zeros(settings.buckets, np.float32)
    spread[seen] = weights.detach().numpy()[:, 0]
    return GradeModel(weights=spread, biases=biases.detach().numpy().copy(), settings=settings)


def loss_of(model: GradeModel, inputs: Features, grades: np.ndarray) -> float:
    """Return the mean cross-entropy per document, in nats, of a model on documents it may not have seen."""
    import torch

    with one_thread(), torch.no_grad():
        logits = Lookup.of(inputs)(torch.from_numpy(model.weights)[:, None])[:, None] + torch.from_numpy(model.biases)
        targets = torch.from_numpy(targets_of(grades, top=len(model.biases)))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        return float(loss) / len(grades)


def targets_of(grades: np.ndarray, *, top: int) -> np.ndarray:
    """Return float32[num_docs, top]: how far the grade lies above each threshold, 0 to 1."""
    return np.clip(grades[:, None] - np.arange(top), 0, 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Lookup:
    """The features as torch tensors, and their scaled sums of weights."""

    flat: Any
    starts: Any
    scale: Any

    @staticmethod
    def of(inputs: Features) -> Lookup:
        import torch

        lengths = np.diff(inputs.starts)
        scale = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
        return Lookup(
            flat=torch.from_numpy(inputs.buckets.astype(np.int64)),
            starts=torch.from_numpy(inputs.starts[:-1].astype(np.int64)),
            scale=torch.from_numpy(scale),
        )

    def __call__(self, weights: Any) -> Any:
        return self.sums(weights)[:, 0]

    def sums(self, weights: Any) -> Any:
        """Return the scaled sums of rows of weights, one row for each document."""
        import torch

        return torch.nn.functional.embedding_bag(
            self.flat, weights, self.starts, mode="sum", per_sample_weights=self.scale
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch in one thread, so that sums are added in one order on every run."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
