"""Grouping equal keys and joining edges: the result must not depend on any order."""

from __future__ import annotations

import numpy as np

from filters.clusters import best_rows, cluster_sizes, equal_key_edges, fold_runs, new_forest, settle, unite
from pipeline.core.rng import generator


def clusters_of(edges: list[tuple[int, int]], *, num_rows: int) -> list[int]:
    parents = new_forest(num_rows)
    left, right = np.array(edges, np.int64).reshape(-1, 2).T.copy()
    unite(parents, left, right)
    return settle(parents).tolist()


def test_clusters_are_named_by_their_smallest_row() -> None:
    assert clusters_of([(4, 5), (5, 2), (0, 6)], num_rows=7) == [0, 1, 2, 3, 2, 2, 0]
    assert clusters_of([], num_rows=3) == [0, 1, 2]
    assert clusters_of([], num_rows=0) == []


def test_the_order_of_edges_does_not_show() -> None:
    draw = generator(5, "edges")
    edges = draw.integers(0, 500, (300, 2))
    expected = clusters_of(edges.tolist(), num_rows=500)

    for _ in range(5):
        shuffled = draw.permuted(draw.permutation(edges), axis=1)
        assert clusters_of(shuffled.tolist(), num_rows=500) == expected


def test_a_chain_of_a_million_rows_is_one_cluster() -> None:
    parents = new_forest(1_000_000)
    rows = np.arange(999_999)

    unite(parents, rows[::-1].copy(), rows[::-1] + 1)

    assert (settle(parents) == 0).all()


def test_equal_keys_tie_to_the_first_row() -> None:
    keys = np.array([7, 3, 7, 9, 7, 3], np.uint64)

    edges = equal_key_edges(keys, rows=np.array([10, 11, 12, 13, 14, 15]))
    chained = equal_key_edges(keys, rows=np.array([10, 11, 12, 13, 14, 15]), chains=True)

    assert sorted(zip(edges.left, edges.right, strict=True)) == [(10, 12), (10, 14), (11, 15)]
    assert sorted(zip(chained.left, chained.right, strict=True)) == [(10, 12), (10, 14), (11, 15), (12, 14)]


def test_the_best_row_wins_and_the_first_of_equals() -> None:
    clusters = np.array([0, 1, 0, 1, 4, 1, 0])

    kept = best_rows(clusters, np.array([1.0, np.nan, 3.0, 2.0, np.nan, 2.0, 3.0]))

    assert kept.tolist() == [2, 3, 2, 3, 4, 3, 2]
    assert cluster_sizes(clusters).tolist() == [3, 3, 3, 3, 1, 3, 3]


def test_runs_of_equal_keys_fold_into_their_first_row() -> None:
    parents = new_forest(8)
    keys = np.array([1, 1, 4, 7, 7, 7], np.uint64)

    first = fold_runs(keys, np.array([2, 5, 3, 0, 5, 6]), parents)

    assert first.tolist() == [True, False, True, True, False, False]
    assert settle(parents).tolist() == [0, 1, 0, 3, 4, 0, 0, 7]
