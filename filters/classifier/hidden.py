"""Graded documents -> one hidden layer over hashed n-grams: a vector for each, their scaled sum, tanh, then the grade.

fastText's shape (arXiv 1607.01759) with a bend in it, so that two n-grams may mean together what neither means alone.
The grade is cumulative logits as in `model.py`, and training is L-BFGS in one thread from a seeded start: the same
documents give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from filters.classifier.kernels import expected_grade, hash_tokens, next_mark, present, room_for
from filters.classifier.model import (
    BIAS_L2,
    Features,
    Lookup,
    Settings,
    one_thread,
    read_model,
    targets_of,
    write_model,
)
from pipeline.core import rng
from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch

KIND = "hidden"
WIDTH = 8  # units of the hidden layer
L2_GRID = (3e-4, 1e-4, 3e-5, 1e-5)
START = 0.1  # deviation of a vector's numbers before training (assumption, not measured)


@dataclass(frozen=True, slots=True)
class HiddenModel:
    """Vectors float32[buckets, WIDTH], shifts float32[WIDTH], outputs float32[WIDTH], biases float32[top grade]."""

    vectors: np.ndarray
    shifts: np.ndarray
    outputs: np.ndarray
    biases: np.ndarray
    settings: Settings

    def score(self, batch: Batch) -> np.ndarray:
        """Return float32[num_docs], the expected grade, 0 to as many as there are biases."""
        chosen = self.settings
        scores: np.ndarray = hidden_grades(
            batch.data, batch.offsets, chosen.ngrams, chosen.bits, chosen.excerpt_chars, self.vectors, self.shifts,
            self.outputs, self.biases,
        )  # fmt: skip
        return scores

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `model.json`."""
        named = {"vectors": self.vectors, "shifts": self.shifts, "outputs": self.outputs, "biases": self.biases}
        write_model(folder, named, told={"kind": KIND, **asdict(self.settings)})

    @staticmethod
    def load(folder: Path) -> HiddenModel:
        """Read a model that `save` wrote; DataError when there is none."""
        tensors, settings = read_model(folder)
        return HiddenModel(**tensors, settings=settings)


@dataclass(frozen=True, slots=True)
class HiddenCourse:
    """How it is learnt."""

    inputs: Features
    settings: Settings
    epochs: int
    top: int
    seed: int

    @property
    def penalties(self) -> Sequence[float]:
        return L2_GRID

    def fit(self, rows: np.ndarray, *, grades: np.ndarray, penalty: float, start: Any = None) -> HiddenModel:
        """Fit by at most `epochs` L-BFGS iterations over all documents."""
        import torch

        inputs = self.inputs.take(rows)
        with one_thread():
            seen, columns = np.unique(inputs.buckets, return_inverse=True)  # others stay at zero
            first = self._start() if start is None else start
            vectors = torch.from_numpy(first.vectors[seen]).requires_grad_()
            shifts, outputs, biases = (
                torch.from_numpy(each.copy()).requires_grad_() for each in (first.shifts, first.outputs, first.biases)
            )
            look = Lookup.of(Features(buckets=columns, starts=inputs.starts))
            targets = torch.from_numpy(targets_of(grades, top=self.top))
            weights = [vectors, shifts, outputs, biases]
            optimizer = torch.optim.LBFGS(weights, max_iter=self.epochs, history_size=10, line_search_fn="strong_wolfe")

            def closure() -> Any:
                optimizer.zero_grad()
                logits = (torch.tanh(look.sums(vectors) + shifts) @ outputs)[:, None] + biases
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
                loss = loss / len(grades) + penalty * (vectors.square().sum() + outputs.square().sum())
                loss = loss + BIAS_L2 * (biases.square().sum() + shifts.square().sum())
                loss.backward()
                return loss

            optimizer.step(closure)
        spread = np.zeros((self.settings.buckets, WIDTH), np.float32)
        spread[seen] = vectors.detach().numpy()
        shift, output, bias = (each.detach().numpy().copy() for each in (shifts, outputs, biases))
        return HiddenModel(spread, shift, output, bias, settings=self.settings)

    def loss(self, student: Any, rows: np.ndarray, *, grades: np.ndarray) -> float:
        """Return the mean cross-entropy per document, in nats."""
        import torch

        with one_thread(), torch.no_grad():
            sums = Lookup.of(self.inputs.take(rows)).sums(torch.from_numpy(student.vectors))
            shifts, outputs = torch.from_numpy(student.shifts), torch.from_numpy(student.outputs)
            logits = (torch.tanh(sums + shifts) @ outputs)[:, None] + torch.from_numpy(student.biases)
            targets = torch.from_numpy(targets_of(grades, top=len(student.biases)))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
            return float(loss) / len(grades)

    def describe(self, rows: np.ndarray) -> dict[str, Any]:
        return {"features": len(np.unique(self.inputs.take(rows).buckets)), "hidden_units": WIDTH}

    def _start(self) -> HiddenModel:
        draw = rng.generator(self.seed, "quality", "hidden")
        vectors = (START * draw.standard_normal((self.settings.buckets, WIDTH))).astype(np.float32)
        outputs = (draw.standard_normal(WIDTH) / np.sqrt(WIDTH)).astype(np.float32)
        zeros = np.zeros(WIDTH, np.float32)
        return HiddenModel(vectors, zeros, outputs, np.zeros(self.top, np.float32), settings=self.settings)


@njit(cache=True, nogil=True)
def hidden_grades(
    data: Any, offsets: Any, ngrams: Any, bits: Any, excerpt: Any, vectors: Any, shifts: Any, outputs: Any, biases: Any
) -> Any:
    """Return float32[num_docs]: the expected grade, the sum over thresholds k of P(grade > k)."""
    num_docs, width = len(offsets) - 1, vectors.shape[1]
    hashes, buckets, marks, mark, shift = room_for(offsets, ngrams, bits, excerpt)
    sums = np.empty(width, np.float32)
    grades = np.empty(num_docs, np.float32)
    for doc in range(num_docs):
        mark = next_mark(mark, marks)
        count = hash_tokens(data, offsets[doc], offsets[doc + 1], excerpt, hashes)
        found = present(hashes, count, ngrams, shift, marks, mark, buckets)
        sums[:] = 0
        for at in range(found):
            row = vectors[buckets[at]]
            for unit in range(width):
                sums[unit] += row[unit]
        latent = 0.0
        for unit in range(width):
            latent += outputs[unit] * np.tanh(sums[unit] / np.sqrt(max(found, 1)) + shifts[unit])
        grades[doc] = expected_grade(latent, biases)
    return grades
