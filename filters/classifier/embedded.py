"""Graded documents -> a line through the vectors of an embedding model of the user's: model2vec, sentence-transformers.

The model is read as `topics` reads it, and is not trained; what learns is one weight for each of its dimensions, with
the cumulative logits of `model.py`. It scores at the speed of the model, 1 to 3 MB/s for model2vec's and far less for a
transformer, so it is for a corpus that the default has thinned out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from filters.classifier.model import BIAS_L2, one_thread, read_tensors, targets_of, write_model
from filters.topics.embedding import open_model
from pipeline.core.text.batch import Batch

KIND = "embedding"
L2_GRID = (3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
AT_ONCE = 256  # texts that a model gets at a time


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """Weights float32[dimensions], biases float32[top grade], and the model whose vectors they weigh."""

    weights: np.ndarray
    biases: np.ndarray
    excerpt_chars: int
    folder: Path  # of the embedding model

    def score(self, batch: Batch) -> np.ndarray:
        """Return float32[num_docs], the expected grade, 0 to as many as there are biases."""
        return self.of_vectors(vectors_of(batch, folder=self.folder, excerpt_chars=self.excerpt_chars))

    def of_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """Return the grades of documents whose vectors are known."""
        latent = (vectors * self.weights).sum(axis=1, dtype=np.float64)
        grades: np.ndarray = (1 / (1 + np.exp(-(latent[:, None] + self.biases)))).sum(axis=1).astype(np.float32)
        return grades

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `model.json`; the embedding model stays where it is."""
        told = {"kind": KIND, "excerpt_chars": self.excerpt_chars}
        write_model(folder, {"weights": self.weights, "biases": self.biases}, told=told)

    @staticmethod
    def load(folder: Path, *, embedding: Path) -> EmbeddedModel:
        """Read what `save` wrote; DataError when there is none."""
        tensors, told = read_tensors(folder)
        return EmbeddedModel(tensors["weights"], tensors["biases"], int(told["excerpt_chars"]), embedding)


@dataclass(frozen=True, slots=True)
class EmbeddedCourse:
    """How the weights are learnt."""

    vectors: np.ndarray  # float32[num_docs, dimensions]
    excerpt_chars: int
    folder: Path
    epochs: int
    top: int

    @property
    def penalties(self) -> Sequence[float]:
        return L2_GRID

    def fit(self, rows: np.ndarray, *, grades: np.ndarray, penalty: float, start: Any = None) -> EmbeddedModel:
        """Fit by at most `epochs` L-BFGS iterations over all documents."""
        import torch

        with one_thread():
            inputs, targets = torch.from_numpy(self.vectors[rows]), torch.from_numpy(targets_of(grades, top=self.top))
            weights = torch.from_numpy(self._zeros() if start is None else start.weights.copy()).requires_grad_()
            biases = torch.from_numpy(
                np.zeros(self.top, np.float32) if start is None else start.biases.copy()
            ).requires_grad_()
            optimizer = torch.optim.LBFGS(
                [weights, biases], max_iter=self.epochs, history_size=10, line_search_fn="strong_wolfe"
            )

            def closure() -> Any:
                optimizer.zero_grad()
                logits = (inputs * weights).sum(dim=1)[:, None] + biases
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
                loss = loss / len(grades) + penalty * weights.square().sum() + BIAS_L2 * biases.square().sum()
                loss.backward()
                return loss

            optimizer.step(closure)
        return EmbeddedModel(
            weights.detach().numpy().copy(), biases.detach().numpy().copy(), self.excerpt_chars, self.folder
        )  # fmt: skip

    def loss(self, student: Any, rows: np.ndarray, *, grades: np.ndarray) -> float:
        """Return the mean cross-entropy per document, in nats."""
        latent = (self.vectors[rows] * student.weights).sum(axis=1, dtype=np.float64)
        logits, targets = latent[:, None] + student.biases, targets_of(grades, top=len(student.biases))
        return float((np.logaddexp(0, logits) - targets * logits).sum() / len(grades))

    def describe(self, rows: np.ndarray) -> dict[str, Any]:
        known = self.vectors.any(axis=1)
        return {"dimensions": self.vectors.shape[1], "without_vector": int((~known).sum())}

    def _zeros(self) -> np.ndarray:
        return np.zeros(self.vectors.shape[1], np.float32)


def vectors_of(batch: Batch, *, folder: Path, excerpt_chars: int) -> np.ndarray:
    """Return float32[num_docs, dimensions]: what a model makes of the beginnings of documents."""
    model = open_model(folder)
    texts = [text[:excerpt_chars] for text in batch.strings()]
    pieces = [model(texts[start : start + AT_ONCE]) for start in range(0, max(len(texts), 1), AT_ONCE)]
    return np.concatenate(pieces).astype(np.float32)
