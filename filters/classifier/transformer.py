"""`transformer`: documents -> what a Hugging Face sequence classifier of yours says of them, such as FineWeb-Edu's.

A folder that `save_pretrained` wrote (extra `[transformers]`), loaded offline. A model with one output is a regression
and its output the score; one with several gives the probability of `label`. `scale` says from where to where the score
goes, so that thresholds and votes are checked. One text at a time, so that no score depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from filters.classifier.model import one_thread
from filters.classifier.operating import check_scale
from filters.topics.embedding import files_of_folder, folder_of
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Scale, Signal, Step, decides, input_names
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

MEANING = "What the model says, cut off at the ends of `scale`; null for a text without a token."


class Transformer(MeasuringStep):
    """Score documents by a sequence classifier, and keep the best."""

    name = "transformer"
    version = 1
    foreign = True
    signals = (Signal("score", pa.float32(), "score, 0 to 1", MEANING, Scale(0, 1)),)

    class Params(BaseParams):
        model: str | tuple[str, ...] = input_names(
            description="Folder of a Hugging Face sequence classifier with its tokenizer (extra `[transformers]`)."
        )
        label: str | None = Field(default=None, description="Label whose probability is the score; null: a regression.")
        scale: tuple[float, float] = Field(default=(0.0, 1.0), description="From where to where the score goes.")
        max_tokens: int = Field(default=512, ge=8, le=1 << 17, description="Tokens read of a document, from its start.")
        device: Literal["cpu", "cuda"] = Field(
            default="cpu", description="Where it runs; a card rounds otherwise, so it counts as another measurement."
        )
        min_score: float | None = decides(None, description="Least score of a kept document, on `scale`.")

        @field_validator("model", mode="before")
        @classmethod
        def _files_of_the_folder(cls, given: Any) -> Any:
            """Take a folder for the files in it, so that it counts by its content."""
            return files_of_folder(given)

        @model_validator(mode="after")
        def _goes_up(self) -> Self:
            if self.scale[0] >= self.scale[1]:
                raise ValueError(f"scale is {list(self.scale)}; it must go from a lower to a higher number")
            if self.label is not None and self.scale != (0.0, 1.0):
                raise ValueError("`scale` has no effect with `label`: a probability goes from 0 to 1")
            return self

    params: Params
    folder: Path | None = None

    def __init__(self, *, params: Params) -> None:
        super().__init__(params=params)
        scale = Scale(*params.scale)
        self.signals = (Signal("score", pa.float32(), f"score, {scale}", MEANING, scale),)

    def check(self, earlier: Mapping[str, Step]) -> None:
        least = self.params.min_score
        check_scale(None if least is None else {"score": least}, scale=self.signals[0].scale, where="min_score")

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Load the model."""
        self.folder = folder_of(inputs["model"])
        open_classifier(self.folder, self.params.device)

    def measure(self, batch: Batch) -> Measured:
        import torch

        assert self.folder is not None
        params = self.params
        tokenizer, model = open_classifier(self.folder, params.device)
        place = _place_of(params.label, model, folder=self.folder)
        found = np.full(len(batch), np.nan, np.float32)
        with one_thread(), torch.no_grad():
            for doc, text in enumerate(batch.strings()):
                inputs = tokenizer(text, truncation=True, max_length=params.max_tokens, return_tensors="pt")
                if inputs["input_ids"].shape[1] == 0:  # a text without a token
                    continue
                logits = model(**inputs.to(params.device)).logits[0].float()
                found[doc] = float(logits[0]) if place is None else float(torch.softmax(logits, dim=0)[place])
        score = np.clip(found, *params.scale).astype(np.float32)
        return Measured(signals={"score": pa.array(score, pa.float32(), mask=np.isnan(score))})

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        least = self.params.min_score
        return () if least is None else (Rule("low_score", "score", ">=", least, "min_score"),)


def _place_of(label: str | None, model: Any, *, folder: Path) -> int | None:
    """Return the output of a label, None for a regression; RecipeError if the model has no such."""
    names = {str(name): int(place) for name, place in model.config.label2id.items()}
    if label is None and model.config.num_labels == 1:
        return None
    if label is None or label not in names or model.config.num_labels == 1:
        kind = (
            "a regression"
            if model.config.num_labels == 1
            else f"a choice of {', '.join(sorted(names, key=lambda name: names[name]))}"
        )
        told = "leave `label` out" if model.config.num_labels == 1 else "name one as `label`"
        raise RecipeError(f"transformer.label is {label!r}, and {folder} is {kind}: {told}.")
    return names[label]


@cache
def open_classifier(folder: Path, device: str) -> tuple[Any, Any]:
    """Load a tokenizer and a model, once per process; DataError if they are none, RecipeError if nothing loads them."""
    try:
        import transformers
    except ImportError as error:
        raise RecipeError(
            f"transformer.model: {folder} needs the package transformers, and it is not installed. "
            "Install the extra: pip install -e '.[transformers]'."
        ) from error
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("transformer.device is cuda, and torch sees no card here. Leave `device` out.")
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder}: transformers cannot load a sequence classifier ({error}). Name a folder that save_pretrained "
            "wrote."
        ) from error
    return tokenizer, model.to(device).eval()
