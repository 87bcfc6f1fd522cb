"""Documents to tokens: a choice that depends on ids alone, and arrays that come back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.proxies.tokenizer import Tokenizer, train_tokenizer
from pipeline.engine.executors import Local
from pipeline.experiment.streams.encode import Encoded, choose, encode_dataset, load_encoded, sample_texts, save_encoded
from tests.pipeline.house import House, texts


def folder_of(house: House, files: dict[str, list[dict]]) -> Path:
    for name, rows in files.items():
        house.lines(name, rows)
    house.clean(["length: {min_length: 0}"], source="{read: jsonl, path: DIR/*.jsonl, id: name}")
    house.run()
    return house.workspace.dataset("clean")[0]


ROWS = [{"name": f"d{number}", "text": text} for number, text in enumerate(texts(60))]


def chosen_ids(folder: Path, limit: int, seed: int = 4) -> list[str]:
    from pipeline.core.files.parquet.shards import read_table

    chosen, _, _ = choose(folder, limit_bytes=limit, seed=seed)
    return [name for path, rows in chosen for name in read_table(path).column("id").take(rows).to_pylist()]


def test_the_choice_depends_on_ids_and_not_on_the_files_that_they_lie_in(house: House, tmp_path_factory):
    one = folder_of(house, {"a.jsonl": ROWS})
    other = House(tmp_path_factory.mktemp("other"))
    many = folder_of(other, {"a.jsonl": ROWS[:7], "b.jsonl": ROWS[7:30], "c.jsonl": ROWS[30:]})

    assert chosen_ids(one, 2000) == chosen_ids(many, 2000)
    assert 0 < len(chosen_ids(one, 2000)) < 60


def test_a_larger_limit_keeps_what_a_smaller_one_chose(house: House):
    folder = folder_of(house, {"a.jsonl": ROWS})

    assert set(chosen_ids(folder, 1000)) < set(chosen_ids(folder, 4000))


def test_the_limit_is_reached_and_passed_by_less_than_one_document(house: House):
    folder = folder_of(house, {"a.jsonl": ROWS})
    longest = max(len(row["text"]) for row in ROWS)

    size = sum(len(text.encode()) for text in sample_texts(folder, limit_bytes=2000, seed=4))

    assert 2000 <= size < 2000 + longest


def test_a_limit_beyond_the_dataset_takes_all_of_it_in_order(house: House):
    folder = folder_of(house, {"a.jsonl": ROWS})

    assert chosen_ids(folder, 10**9) == [row["name"] for row in ROWS]


def test_another_seed_chooses_others(house: House):
    folder = folder_of(house, {"a.jsonl": ROWS})

    assert set(chosen_ids(folder, 2000, seed=4)) != set(chosen_ids(folder, 2000, seed=5))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    train_tokenizer([row["text"] for row in ROWS] * 3, path=path, vocab_size=320, seed=1)
    return path


def encode(folder: Path, tokenizer: Path, limit: int = 10**9) -> Encoded:
    return encode_dataset(
        folder, tokenizer=tokenizer, limit_bytes=limit, seed=4, executor=Local(workers=1), done=lambda count: None
    )


def test_documents_come_back_from_their_tokens(house: House, tokenizer: Path):
    folder = folder_of(house, {"a.jsonl": ROWS[:20], "b.jsonl": ROWS[20:]})

    encoded = encode(folder, tokenizer)

    decode = Tokenizer.load(tokenizer).decode
    for number, row in enumerate(ROWS):
        assert decode(encoded.tokens[encoded.offsets[number] : encoded.offsets[number + 1]]) == row["text"]
    assert encoded.ids == [row["name"] for row in ROWS]
    assert encoded.num_bytes.tolist() == [len(row["text"].encode()) for row in ROWS]
    assert encoded.sampled_fraction == 1.0 and encoded.offsets[-1] == len(encoded.tokens)


def test_what_was_saved_is_what_is_loaded(house: House, tokenizer: Path, tmp_path: Path):
    encoded = encode(folder_of(house, {"a.jsonl": ROWS}), tokenizer, limit=1500)

    saved = tmp_path / "saved"
    saved.mkdir()
    names = save_encoded(saved, encoded)
    loaded = load_encoded(saved)

    assert sorted(names) == sorted(path.name for path in saved.iterdir())
    assert np.array_equal(loaded.tokens, encoded.tokens) and np.array_equal(loaded.offsets, encoded.offsets)
    assert loaded.ids == encoded.ids and loaded.sampled_fraction == encoded.sampled_fraction < 1


def test_an_empty_dataset_has_no_tokens(house: House, tokenizer: Path):
    house.lines("a.jsonl", ["ab"])
    house.clean(["length: {min_length: 99}"])
    house.run()

    encoded = encode(house.workspace.dataset("clean")[0], tokenizer)

    assert (len(encoded.tokens), encoded.offsets.tolist(), encoded.ids, encoded.sampled_fraction) == (0, [0], [], 1.0)
