"""An embedding model of the user's carries the grades too: read by its folder, and part of what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from filters.classifier.embedded import EmbeddedCourse, EmbeddedModel, vectors_of
from filters.classifier.quality import QualityParams
from filters.topics.embedding import open_model
from pipeline.core.errors import RecipeError
from pipeline.core.files.card import read_card
from pipeline.core.text.batch import Batch
from tests.filters.topics.planted import THEMES, planted
from tests.filters.topics.test_embedding import write_static
from tests.pipeline.house import House


def graded_house(folder: Path) -> House:
    """A house whose documents of two themes are good, by a file of grades, and a model that knows the themes."""
    house, told = House(folder), planted(240)
    good = sorted(THEMES)[:2]
    house.lines("docs.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(told.texts)])
    rows = [{"id": f"d{n}", "grade": 4 if theme in good else 1} for n, theme in enumerate(told.themes)]
    (folder / "grades.json").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write_static(folder / "model")
    house.clean(
        ["label: {teacher: file, path: DIR/grades.json}", "quality: {student: embedding, model: DIR/model}"],
        source="{read: jsonl, path: DIR/*.jsonl, id: id}",
    )
    return house


def test_vectors_of_a_model_carry_the_grades_and_a_model_counts_by_its_content(tmp_path: Path) -> None:
    house = graded_house(tmp_path)

    plan = house.run()

    details = read_card(plan.datasets["clean"].steps[-1].node.folder).details
    assert details["dimensions"] == 12
    assert details["agreement"]["spearman"] > 0.8
    (house.folder / "model").rename(house.folder / "elsewhere")
    house.recipe.write_text(house.recipe.read_text().replace("/model", "/elsewhere"))
    assert house.plan().to_build == []
    (house.folder / "elsewhere" / "config.json").write_text("{}")
    assert [node.name for node in house.plan().to_build] == ["quality", "clean"]


def test_a_saved_head_scores_as_the_one_that_was_trained_whatever_stands_beside(tmp_path: Path) -> None:
    folder, told = write_static(tmp_path / "model"), planted(60)
    batch = Batch.from_texts(told.texts)
    vectors = vectors_of(batch, folder=folder, excerpt_chars=500)
    grades = np.array([4.0 if theme == sorted(THEMES)[0] else 1.0 for theme in told.themes])
    model = EmbeddedCourse(vectors, 500, folder, epochs=30, top=5).fit(np.arange(60), grades=grades, penalty=1e-3)

    model.save(tmp_path)
    loaded = EmbeddedModel.load(tmp_path, embedding=folder)

    assert np.array_equal(loaded.score(batch), model.score(batch))
    alone = [loaded.score(Batch.from_texts([text]))[0] for text in told.texts[:10]]
    assert alone == loaded.score(batch)[:10].tolist()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"student": "embedding"}, "`model` goes with `student: embedding`"),
        ({"model": "x"}, "`model` goes with `student: embedding`"),
        ({"student": "embedding", "model": "x", "buckets": 4096}, "`buckets` has no effect"),
    ],
)
def test_a_setting_without_effect_is_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        QualityParams.parse(params)


def write_transformer(folder: Path) -> Path:
    """Write a sentence-transformers folder: a transformer of 2 layers and 16 numbers, never trained."""
    package = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({word for theme in THEMES.values() for word in theme.split()})]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder / "bert")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder / "bert")
    package.SentenceTransformer(str(folder / "bert"), device="cpu").save(str(folder / "model"))
    return folder / "model"


def test_a_sentence_transformers_folder_gives_the_vectors_that_its_package_gives(tmp_path: Path) -> None:
    folder = write_transformer(tmp_path)
    import sentence_transformers

    texts = planted(6).texts

    found = vectors_of(Batch.from_texts(texts), folder=folder, excerpt_chars=6000)

    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(
        texts, normalize_embeddings=True
    )
    assert found.shape == (6, 16)
    assert np.allclose(found, theirs, atol=1e-5)


def test_a_folder_that_needs_a_package_says_how_to_install_it(tmp_path: Path) -> None:
    from importlib.util import find_spec

    if find_spec("sentence_transformers") is not None:
        pytest.skip("sentence-transformers is installed")
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(RecipeError, match=r"needs the package sentence_transformers.*pip install -e '\.\[topics\]'"):
        open_model(tmp_path)
