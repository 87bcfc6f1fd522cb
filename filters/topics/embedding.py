"""A model folder of the user's -> vectors of texts: model2vec's, or whatever sentence-transformers loads.

A model2vec folder (`tokenizer.json`, and `model.safetensors` with `embeddings`) is read here, without its package: the
mean of the vectors of all tokens but the unknown one. Any other folder is sentence-transformers' to load (extra
`[topics]`), offline, one text at a time in one thread, so that no vector depends on what stands beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.topics.word_counts import batches_of
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.text.batch import Batch

TOKENIZER, TENSORS = "tokenizer.json", "model.safetensors"

Embed = Callable[[Sequence[str]], np.ndarray]  # texts -> float32[num_texts, num_dims]


def files_in(folder: Path) -> list[str]:
    """Return all files of a model's folder in a fixed order; an identity is made of their names and contents."""
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path, folder)]


def files_of_folder(given: Any) -> Any:
    """Return the files of a model's folder that a recipe names, for pydantic to judge; anything else as it is."""
    if isinstance(given, list):  # the files, as a worker gets them
        return tuple(given)
    return tuple(files_in(Path(given))) or given if isinstance(given, str) else given


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(name.startswith(".") for name in path.relative_to(folder).parts)


def folder_of(files: Sequence[Path]) -> Path:
    """Return the folder that `files_in` listed."""
    return min((path.parent for path in files), key=lambda folder: len(folder.parts))


@dataclass(frozen=True, slots=True)
class Embedding:
    """A model, and the mean vector of a sample, which is taken out of every vector."""

    folder: Path
    centre: np.ndarray  # float64[num_dims]

    def vectors(self, batch: Batch) -> np.ndarray:
        """Return float64[num_docs, num_dims]: unit vectors; zero where the model knows no token."""
        found = open_model(self.folder)(batch.strings()).astype(np.float64)
        known = found.any(axis=1)
        found -= self.centre
        lengths = np.sqrt((found * found).sum(axis=1))
        known &= lengths > 0
        found[known] /= lengths[known, None]
        found[~known] = 0
        return found


def fit_embedding(folder: Path, table: pa.Table) -> Embedding:
    """Open a model and take the mean of a sample's vectors, each of length 1, for their centre."""
    model = open_model(folder)
    total, number = np.zeros(0), 0
    for batch in batches_of(table):
        found = model(batch.strings()).astype(np.float64)
        found = found[found.any(axis=1)]
        total, number = (total if len(total) else 0) + found.sum(axis=0), number + len(found)
    if number == 0:
        raise DataError(f"{folder}: the model knows no word of these documents. Leave `model` out, or name another.")
    return Embedding(folder, total / number)


@cache
def open_model(folder: Path) -> Embed:
    """Load the model of a folder, once per process; DataError if it is damaged, RecipeError if nobody can read it."""
    if (folder / TOKENIZER).exists() and (folder / TENSORS).exists():
        tensors = _tensors(folder / TENSORS)
        if "embeddings" in tensors:
            return _static(folder, tensors)
    return _transformer(folder)


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """Read the small tensors of a file by name; empty if they are of a kind that numpy does not have."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            wanted = {"embeddings", "weights", "mapping"} & set(file.keys())
            return {name: file.get_tensor(name) for name in wanted}
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: no tensors can be read ({error}). Get the model anew.") from error


def _static(folder: Path, tensors: dict[str, np.ndarray]) -> Embed:
    """Return what model2vec's `encode` returns, whatever number of tokens a text has, at length 1."""
    tokenizers = _installed("tokenizers", folder)
    try:
        layout = json.loads((folder / TOKENIZER).read_bytes())
    except ValueError as error:
        raise DataError(f"{folder / TOKENIZER}: no tokenizer can be read ({error}). Get the model anew.") from error
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(layout))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown = _unknown_token(tokenizer, layout)
    vectors = tensors["embeddings"].astype(np.float32)
    mapping, weights = tensors.get("mapping"), tensors.get("weights")

    def embed(texts: Sequence[str]) -> np.ndarray:
        found = np.zeros((len(texts), vectors.shape[1]), np.float32)
        for place, encoded in enumerate(tokenizer.encode_batch(list(texts), add_special_tokens=False)):
            tokens = np.array([token for token in encoded.ids if token != unknown], np.int64)
            if len(tokens):
                rows = vectors[tokens if mapping is None else mapping[tokens]]
                mean = (rows if weights is None else rows * weights[tokens, None]).mean(axis=0)
                found[place] = mean / max(float(np.sqrt((mean * mean).sum())), 1e-12)
        return found

    return embed


def _unknown_token(tokenizer: Any, layout: dict[str, Any]) -> int | None:
    """Return the number of the token that stands for what a tokenizer does not know."""
    model = layout["model"]
    number: int | None = model.get("unk_id")
    return number if number is not None else tokenizer.token_to_id(model.get("unk_token") or "")


def _transformer(folder: Path) -> Embed:
    package = _installed("sentence_transformers", folder)
    try:
        model = package.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise DataError(
            f"{folder}: sentence-transformers cannot load it ({error}). Name a folder that it or model2vec saved."
        ) from error

    def embed(texts: Sequence[str]) -> np.ndarray:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            found: np.ndarray = model.encode(
                list(texts), batch_size=1, show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
            )
        finally:
            torch.set_num_threads(before)
        return found

    return embed


def _installed(package: str, folder: Path) -> Any:
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError as error:
        raise RecipeError(
            f"model: {folder} needs the package {package}, and it is not installed. "
            "Install the extra: pip install -e '.[topics]'."
        ) from error
