"""Rows of a mixture: whole datasets in the pool, shares true at every point, no document too large, draws their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.proxies.packing import Tokens
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.rng import generator
from pipeline.experiment.streams.pool import (
    Pool,
    build_pool,
    draw_rows,
    largest_share,
    load_pool,
    save_pool,
    shares_of,
    shares_read,
)

BOS, CONTEXT = 1, 8


def dataset(lengths: list[int], *, first: int = 100) -> Tokens:
    """Documents of the given lengths; document d consists of the token `first + d`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(flat=np.repeat(np.arange(first, first + len(lengths)), lengths).astype(np.uint16), offsets=offsets)


def many(documents: int, *, mean: int = 20, draw: int = 0, first: int = 100) -> Tokens:
    return dataset(generator(draw, "pool test").integers(1, 2 * mean, size=documents).tolist(), first=first)


def pool_of(datasets: dict[str, Tokens], *, num_rows: int = 64, **more: Any) -> Pool:
    settings: dict[str, Any] = {"weights": dict.fromkeys(datasets, 1.0), "seed": 0, **more}
    return build_pool(datasets, num_rows=num_rows, context=CONTEXT, bos=BOS, **settings)


def rows_of(pool: Pool, name: str, rows: np.ndarray) -> np.ndarray:
    part = next(part for part in pool.parts if part.name == name)
    return rows[(rows >= part.first_row) & (rows < part.first_row + part.num_rows)] - part.first_row


def test_the_pool_holds_every_document_whole_once_behind_its_bos() -> None:
    source = many(50)

    pool = pool_of({"a": source}, max_document_share=1.0)

    counted = np.bincount(pool.tokens, minlength=200)
    assert counted[100:150].tolist() == np.diff(source.offsets).tolist()
    assert sorted(pool.tokens[pool.starts].tolist()) == [BOS] * 50
    assert len(pool.tokens) == (pool.parts[0].num_rows + 1) * CONTEXT


def test_a_seed_reads_each_row_once_an_epoch_and_every_seed_in_an_order_of_its_own() -> None:
    pool = pool_of({"a": many(50)}, num_rows=200, max_epochs=4)
    size = pool.parts[0].num_rows

    first, second = (draw_rows(pool.parts, seed=seed) for seed in (1, 2))

    assert sorted(first[:size].tolist()) == sorted(second[:size].tolist()) == list(range(size))
    assert first[:size].tolist() != second[:size].tolist() != first[size : 2 * size].tolist()
    assert first.tolist() == draw_rows(pool.parts, seed=1).tolist()


def test_shares_are_true_at_every_point_of_the_training() -> None:
    datasets = {"a": many(300), "b": many(300, draw=1), "c": many(300, draw=2)}
    pool = pool_of(datasets, weights={"a": 0.6, "b": 0.3, "c": 0.1}, num_rows=500)

    rows = draw_rows(pool.parts, seed=3)

    part = np.searchsorted([item.first_row for item in pool.parts], rows, side="right") - 1
    for index, weight in enumerate((0.6, 0.3, 0.1)):
        ahead = np.cumsum(part == index) - weight * np.arange(1, 501)
        assert np.abs(ahead).max() <= 1


def test_shares_are_counted_from_the_rows_that_were_read() -> None:
    pool = pool_of({"a": many(300), "b": many(300, draw=1)}, weights={"a": 0.6, "b": 0.4}, num_rows=500)
    rows = draw_rows(pool.parts, seed=3)

    assert shares_read(pool.parts, rows) == {"a": 0.6, "b": 0.4}
    assert shares_read(pool.parts, rows[rows < pool.parts[1].first_row]) == {"a": 1.0, "b": 0.0}


def test_two_mixtures_read_the_rows_of_a_shared_dataset_in_the_same_order() -> None:
    datasets = {"clean": many(200), "code": many(200, draw=1), "web": many(200, draw=2)}

    orders = []
    for weights in ({"clean": 1.0}, {"clean": 0.3, "code": 0.7}, {"web": 5.0, "clean": 1.0, "code": 1.0}):
        pool = pool_of({name: datasets[name] for name in weights}, weights=weights, num_rows=300)
        orders.append(rows_of(pool, "clean", draw_rows(pool.parts, seed=9)).tolist())

    shortest = min(map(len, orders))
    assert shortest > 30
    assert orders[0][:shortest] == orders[1][:shortest] == orders[2][:shortest]


def test_the_order_in_which_datasets_are_named_does_not_show() -> None:
    datasets = {"a": many(100), "b": many(100, draw=1)}

    first = pool_of(datasets, weights={"a": 1.0, "b": 2.0})
    second = pool_of(datasets, weights={"b": 2.0, "a": 1.0})

    assert first.tokens.tobytes() == second.tokens.tobytes()
    assert first.parts == second.parts


def test_one_long_document_gives_no_more_than_its_share_and_the_card_says_so() -> None:
    """As the list of words that filled 15 of 100 tokens of a proxy: here it is half of the dataset."""
    source = dataset([20] * 2000 + [42_000])

    pool = pool_of({"a": source}, num_rows=512, max_document_share=0.01)

    (share,) = shares_of(pool, sampled={"a": 1.0}, ids={"a": [f"d{index}" for index in range(2001)]})
    assert share["largest_document"] == "d2000"
    assert share["largest_before"] == pytest.approx(0.5, abs=0.01)
    assert share["cut_documents"] == 1
    assert largest_share(pool, draw_rows(pool.parts, seed=0)) < 0.04
    whole = pool_of({"a": source}, num_rows=512, max_document_share=1.0)
    assert largest_share(whole, draw_rows(whole.parts, seed=0)) == pytest.approx(0.5, abs=0.1)


def test_documents_of_a_small_dataset_are_left_whole() -> None:
    pool = pool_of({"a": dataset([500] * 10)}, max_document_share=0.01)

    assert pool.parts[0].cut_documents == 0


def test_the_largest_share_counts_what_a_lane_really_read() -> None:
    pool = pool_of({"a": dataset([8 * CONTEXT - 1, 8 * CONTEXT - 1])}, num_rows=4, max_document_share=1.0)
    first = int(np.argmin(pool.starts))

    rows = np.arange(4)

    assert first in (0, 1)
    assert largest_share(pool, rows) == pytest.approx(1.0)
    assert largest_share(pool, np.array([0, 1, 8, 9])) == pytest.approx(0.5)


def test_what_a_capped_dataset_cannot_give_goes_to_the_others() -> None:
    datasets = {"small": dataset([79]), "large": many(500)}

    pool = pool_of(datasets, num_rows=200, max_epochs=2)

    small = next(part for part in pool.parts if part.name == "small")
    assert (small.drawn_rows, small.capped) == (2 * small.num_rows, True)
    assert sum(part.drawn_rows for part in pool.parts) == 200


def test_a_pool_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    pool = pool_of({"a": many(100), "b": many(100, draw=1)})

    save_pool(tmp_path, pool)
    again = load_pool(tmp_path)

    assert (again.parts, again.context) == (pool.parts, pool.context)
    assert np.array_equal(again.tokens, pool.tokens)
    assert np.array_equal(again.starts, pool.starts)


def test_too_little_text_for_the_tokens_asked_says_how_much_there_is() -> None:
    with pytest.raises(RecipeError, match=r"8,000 tokens are asked for, but its datasets give .* Lower proxy\.tokens"):
        pool_of({"a": many(20)}, num_rows=1000, max_epochs=2)


@pytest.mark.parametrize(("lengths", "word"), [([], "no tokens"), ([0, 0], "no tokens"), ([3], "less than one row")])
def test_a_dataset_without_a_row_is_refused(lengths: list[int], word: str) -> None:
    with pytest.raises(DataError, match=word):
        pool_of({"a": dataset(lengths)})


def test_a_cap_on_epochs_is_of_the_whole_dataset_however_little_of_it_was_encoded() -> None:
    source = many(200)
    rows = pool_of({"a": source}).parts[0].num_rows

    pool = pool_of({"a": source}, num_rows=rows // 2, max_epochs=0.05, sampled={"a": 0.05})

    assert pool.parts[0].drawn_rows == rows // 2
    with pytest.raises(RecipeError, match="tokens are asked for"):
        pool_of({"a": source}, num_rows=rows // 2, max_epochs=0.05)
