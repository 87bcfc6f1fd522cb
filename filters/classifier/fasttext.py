"""`fasttext`: documents -> the probability of a label by a fastText classifier of yours, such as DCLM's.

A supervised `.bin` is read and run here, without fastText's package, and says what `model.predict` says of the text
with its line ends as spaces. Nothing is trained and no grade is needed; `vote` puts its score beside others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.classifier.fasttext_file import HIERARCHICAL, SOFTMAX, FastTextFile, read_fasttext
from pipeline.core.errors import RecipeError, did_you_mean
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Scale, Signal, decides, input_names
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch


class FastText(MeasuringStep):
    """Score documents by a fastText classifier, and keep those above a probability."""

    name = "fasttext"
    version = 1
    foreign = True
    signals = (
        Signal(
            "score",
            pa.float32(),
            "probability",
            "Probability of `label`; null where the model knows no word.",
            Scale(0, 1),
        ),
    )

    class Params(BaseParams):
        model: str = input_names(description="File of a supervised fastText model, `.bin`; quantised ones are refused.")
        label: str = Field(min_length=1, description="Label whose probability is the score, such as `__label__hq`.")
        min_score: float | None = decides(None, ge=0, le=1, description="Least probability of a kept document.")

    params: Params
    model: FastTextFile | None = None

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Open the model; its matrices stay in the file."""
        (path,) = inputs["model"]
        self.model = read_fasttext(path)
        if self.params.label not in self.model.labels:
            raise RecipeError(
                f"fasttext.label: the model has no label `{self.params.label}`."
                f"{did_you_mean(self.params.label, self.model.labels)}"
            )

    def measure(self, batch: Batch) -> Measured:
        from filters.classifier.fasttext_kernels import document_vectors, sigmoid_product, sigmoid_steps, softmax_share

        model = self.model
        assert model is not None
        vectors, counts = document_vectors(
            batch.data, batch.offsets, model.words, model.word_offsets, model.slots, model.input, model.num_words,
            model.minn, model.maxn, model.word_ngrams, model.bucket,
        )  # fmt: skip
        label = model.labels.index(self.params.label)
        if model.loss == SOFTMAX:
            found = softmax_share(vectors, model.output, label)
        elif model.loss == HIERARCHICAL:
            found = sigmoid_product(vectors, model.output, *path_to(label, counts=model.label_counts))
        else:
            found = sigmoid_steps(vectors, model.output, label)
        return Measured(signals={"score": pa.array(found, pa.float32(), mask=counts == 0)})

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        least = self.params.min_score
        return () if least is None else (Rule("low_score", "score", ">=", least, "min_score"),)


def path_to(label: int, *, counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the inner nodes above a label in the tree of the hierarchical softmax, and +1 or -1: right or left.

    The tree is Huffman's over the labels' counts, which stand in descending order; the root is the last inner node.
    """
    size = len(counts)
    weights = [*counts, *[10**15] * (size - 1)]
    parents, right = [-1] * (2 * size - 1), [False] * (2 * size - 1)
    leaf, node = size - 1, size
    for made in range(size, 2 * size - 1):
        least = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                least.append(leaf)
                leaf -= 1
            else:
                least.append(node)
                node += 1
        weights[made] = weights[least[0]] + weights[least[1]]
        parents[least[0]] = parents[least[1]] = made
        right[least[1]] = True
    rows, signs, at = [], [], label
    while parents[at] >= 0:
        rows.append(parents[at] - size)
        signs.append(1.0 if right[at] else -1.0)
        at = parents[at]
    return np.array(rows, np.int64), np.array(signs)
