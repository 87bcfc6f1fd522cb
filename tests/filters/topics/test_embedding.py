"""A model folder of the user's gives the vectors: read as its own library reads it, and part of what was measured."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from filters.topics.embedding import open_model
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.rng import generator
from tests.filters.topics.planted import COMMON, THEMES, planted
from tests.pipeline.house import House

DIMENSIONS = 12


def write_static(folder: Path, *, seed: int = 1) -> Path:
    """Write a model2vec folder in which words of one theme lie together, and common ones near the origin."""
    draw = generator(seed, "model")
    words, rows = ["[UNK]"], [np.full(DIMENSIONS, 9.0)]
    for theme in THEMES.values():
        middle = draw.standard_normal(DIMENSIONS)
        for word in theme.split():
            words.append(word)
            rows.append(middle + 0.2 * draw.standard_normal(DIMENSIONS))
    words += COMMON.split()
    rows += list(0.01 * draw.standard_normal((len(COMMON.split()), DIMENSIONS)))
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"embeddings": np.array(rows, np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}), encoding="utf-8")
    return folder


def test_a_static_model_gives_the_mean_of_the_tokens_it_knows(tmp_path: Path) -> None:
    folder = write_static(tmp_path / "model")

    known, more, unknown = open_model(folder)(["ship sail", "ship 4711 sail", "4711"])

    assert np.array_equal(known, more)
    assert np.isclose((known * known).sum(), 1)
    assert not unknown.any()


def test_a_static_model_is_read_as_its_own_package_reads_it(tmp_path: Path) -> None:
    package = pytest.importorskip("model2vec", reason="model2vec is not installed")
    folder, texts = write_static(tmp_path / "model"), planted(20).texts

    theirs = package.StaticModel.from_pretrained(folder).encode(texts)

    assert np.allclose(open_model(folder)(texts), theirs, atol=1e-6)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    write_static(tmp_path / "model")
    house.lines("docs.jsonl", [*planted(200).texts, "4711"])
    house.clean(["topics: {count: 4, model: DIR/model}"], source="{read: jsonl, path: DIR/docs.jsonl}")
    return house


def test_topics_by_a_model_are_those_planted(house: House) -> None:
    house.run()

    rows = house.signals("topics")
    themes = planted(200).themes
    assert len({(row["topic"], theme) for row, theme in zip(rows, themes, strict=False)}) == 4
    assert rows[-1]["topic"] == -1
    assert {word for row in rows[:-1] for word in row["topic_name"].split()} <= set(" ".join(THEMES.values()).split())


def test_a_model_counts_by_its_content_and_not_by_its_place(house: House) -> None:
    house.run()

    (house.folder / "model").rename(house.folder / "elsewhere")
    house.recipe.write_text(house.recipe.read_text().replace("/model", "/elsewhere"))
    assert house.plan().to_build == []

    (house.folder / "elsewhere" / "config.json").write_text("{}")
    assert [node.name for node in house.plan().to_build] == ["topics", "clean"]


def test_a_folder_that_is_not_there_is_named(house: House) -> None:
    house.recipe.write_text(house.recipe.read_text().replace("/model", "/nowhere"))

    with pytest.raises(RecipeError, match=r"topics\.model: `.*nowhere` is neither a dataset nor a file"):
        house.plan()


def test_a_damaged_model_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_static(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"nothing")

    with pytest.raises(DataError, match=r"model\.safetensors: no tensors can be read"):
        open_model(folder)


def test_another_kind_of_model_says_which_extra_loads_it(tmp_path: Path) -> None:
    if find_spec("sentence_transformers") is None:
        with pytest.raises(RecipeError, match=r"needs the package sentence_transformers.*\[topics\]"):
            open_model(tmp_path)
    else:
        with pytest.raises(DataError, match="sentence-transformers cannot load it"):
            open_model(tmp_path)
