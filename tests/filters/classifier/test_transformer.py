"""A sequence classifier of the user's scores documents as its own package does, each for itself, on a named scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from filters.classifier.transformer import Transformer
from pipeline.core import rng
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.step import Scale
from pipeline.core.text.batch import Batch
from tests.pipeline.house import WORDS, House

TEXTS = ["the reader of the book", "was it for his", "", "lorem ipsum " * 400]


def write_classifier(folder: Path, *, labels: tuple[str, ...] = ()) -> Path:
    """Write a classifier of 2 layers and 16 numbers, never trained; a regression without labels."""
    pytest.importorskip("transformers", reason="transformers is not installed")
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    named = {"id2label": dict(enumerate(labels)), "label2id": {name: place for place, name in enumerate(labels)}}
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, **(named if labels else {"num_labels": 1}),
    )  # fmt: skip
    model, draw = BertForSequenceClassification(config), rng.generator(1, "test_transformer")
    for weights in model.parameters():
        weights.data = torch.from_numpy(0.5 * draw.standard_normal(tuple(weights.shape)).astype(np.float32))
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)
    return folder


def scores(folder: Path, texts: list[str], **params: Any) -> list[Any]:
    step = Transformer(params=Transformer.Params.parse({"model": str(folder), "max_tokens": 64, **params}))
    step.prepare({"model": sorted(folder.iterdir())})
    found: list[Any] = step.measure(Batch.from_texts(texts)).signals["score"].to_pylist()
    return found


def test_a_regression_gives_its_output_and_a_choice_the_probability_of_a_label(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "one")
    several = write_classifier(tmp_path / "three", labels=("good", "bad", "odd"))
    import torch
    from transformers import pipeline

    wide = {"scale": [-100, 100]}
    asked = TEXTS[:2]
    theirs = pipeline("text-classification", model=str(folder), function_to_apply="none", device="cpu")(asked)
    chosen = pipeline("text-classification", model=str(several), top_k=None, device="cpu")(asked)
    assert torch.get_num_threads() > 0

    assert scores(folder, asked, **wide) == pytest.approx([row["score"] for row in theirs], abs=1e-5)
    expected = [next(row["score"] for row in rows if row["label"] == "bad") for rows in chosen]
    assert scores(several, asked, label="bad") == pytest.approx(expected, abs=1e-5)


def test_a_score_does_not_depend_on_neighbours_and_stays_on_its_scale(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "model")

    together = scores(folder, TEXTS, scale=[0, 5])

    assert together == [scores(folder, [text], scale=[0, 5])[0] for text in TEXTS]
    assert together[2] is None  # a text without a token
    assert all(0 <= score <= 5 for score in together if score is not None)


def test_a_recipe_scores_by_a_folder_that_counts_by_its_content(tmp_path: Path) -> None:
    write_classifier(tmp_path / "model")
    house = House(tmp_path)
    house.lines("docs.jsonl", TEXTS[:2])
    house.clean(
        ["transformer: {model: DIR/model, scale: [0, 5], max_tokens: 64}"], source="{read: jsonl, path: DIR/docs.jsonl}"
    )

    house.run()

    assert [row["score"] for row in house.signals("transformer")] == scores(tmp_path / "model", TEXTS[:2], scale=[0, 5])
    (tmp_path / "model").rename(tmp_path / "elsewhere")
    house.recipe.write_text(house.recipe.read_text().replace("/model", "/elsewhere"))
    assert house.plan().to_build == []


def test_a_label_that_does_not_fit_the_model_is_explained(tmp_path: Path) -> None:
    one, several = write_classifier(tmp_path / "one"), write_classifier(tmp_path / "two", labels=("good", "bad"))

    with pytest.raises(RecipeError, match="is a regression: leave `label` out"):
        scores(one, ["x"], label="good")
    with pytest.raises(RecipeError, match="is a choice of good, bad: name one as `label`"):
        scores(several, ["x"])


def test_a_folder_that_holds_no_classifier_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(DataError, match="transformers cannot load a sequence classifier"):
        scores(tmp_path, ["x"])


def test_without_the_package_the_way_to_install_it_is_said(tmp_path: Path) -> None:
    from importlib.util import find_spec

    if find_spec("transformers") is not None:
        pytest.skip("transformers is installed")
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(RecipeError, match=r"needs the package transformers.*pip install -e '\.\[transformers\]'"):
        scores(tmp_path, ["x"])


def test_thresholds_stand_on_the_scale_of_the_model() -> None:
    step = Transformer(params=Transformer.Params.parse({"model": "x", "scale": [0, 5], "min_score": 7}))

    assert step.signals[0].scale == Scale(0, 5)
    with pytest.raises(RecipeError, match="min_score is 7, and the score goes from 0 to 5"):
        step.check({})
    with pytest.raises(ValidationError, match="`scale` has no effect with `label`"):
        Transformer.Params.parse({"model": "x", "scale": [0, 5], "label": "good"})
