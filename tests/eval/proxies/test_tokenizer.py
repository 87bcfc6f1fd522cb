from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eval.proxies.tokenizer import SPAN_CHARACTERS, Tokenizer, train_tokenizer
from pipeline.core.errors import DataError, RecipeError

WORDS = [
    "the",
    "value",
    "of",
    "return",
    "list",
    "items",
    "x = 12",
    "if",
    "caf\u00e9",
    "sorted",
    "function",
    "\tindented",
]


def sample(seed: int, size: int = 400) -> list[str]:
    draw = np.random.Generator(np.random.PCG64(seed))
    return ["\n\n".join(" ".join(draw.choice(WORDS, 12)) + "." for _ in range(3)) for _ in range(size)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    train_tokenizer(sample(0), path=path, vocab_size=384, seed=3)
    return Tokenizer.load(path)


def documents_of(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    tokens = tokenizer.encode(texts)
    parts = [tokens.flat[a:b].tolist() for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]
    return [tokenizer.decode(part) for part in parts]


@given(text=st.text())
@example(text="NUL \x00\x00 end\x00")
@example(text="line\r\nline\rline\n\n\n")
@example(text="  two  spaces   three \t\t tabs \u00a0 nbsp")
@example(text="\U0001f600\U0001f468\u200d\U0001f469 \ufeff \ufffd")
@example(text="\u2581 the mark that sentencepiece uses for a space \u2581\u2581")
@example(text="<s> <unk> <0x41> \u2047 \u2585")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_decoding_gives_back_every_byte(tokenizer: Tokenizer, text: str) -> None:
    assert documents_of(tokenizer, [text]) == [text]


def test_text_longer_than_a_span_is_cut_without_loss(tokenizer: Tokenizer) -> None:
    spaced = "the value of items " * (3 * SPAN_CHARACTERS // 19)
    solid = "x" * (2 * SPAN_CHARACTERS + 5)

    assert documents_of(tokenizer, [spaced, solid]) == [spaced, solid]


def test_a_cut_before_a_space_does_not_change_the_tokens(tokenizer: Tokenizer) -> None:
    words = SPAN_CHARACTERS

    long = tokenizer.encode(["value" + " value" * words]).flat.tolist()

    first, rest = (tokenizer.encode([text]).flat.tolist() for text in ("value", " value"))
    assert long == first + rest * words


def test_a_batch_encodes_as_its_documents_do_alone(tokenizer: Tokenizer) -> None:
    texts = ["the value", "", "of\x00items", " return list"]

    together = tokenizer.encode(texts)

    alone = [tokenizer.encode([text]).flat for text in texts]
    assert together.flat.dtype == np.uint16
    assert together.offsets.tolist() == np.cumsum([0, *map(len, alone)]).tolist()
    assert together.flat.tolist() == np.concatenate(alone).tolist()


def test_bos_never_occurs_in_a_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.bos not in tokenizer.encode(["<s> the </s> <unk> value \x01"]).flat


def test_training_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train_tokenizer(iter(sample(1)), path=tmp_path / name, vocab_size=320, seed=5)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_vocabulary_below_the_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="vocab_size is 100"):
        train_tokenizer(sample(1), path=tmp_path / "a", vocab_size=100, seed=5)


def test_empty_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="empty"):
        train_tokenizer(["", " \n"], path=tmp_path / "a", vocab_size=320, seed=5)


def test_a_broken_model_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.model"
    path.write_bytes(b"not a model")

    with pytest.raises(DataError, match=r"broken\.model"):
        Tokenizer.load(path)
