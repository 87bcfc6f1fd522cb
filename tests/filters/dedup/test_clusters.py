"""Grouping equal keys and joining edges: the result must not depend on any order."""

from __future__ import annotations

import numpy as np

from filters.dedup.clusters import (
    best_rows,
    candidate_edges,
    cluster_sizes,
    equal_key_edges,
    fold_runs,
    new_forest,
    settle,
    smallest_rows,
    unite,
)
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

    assert sorted(zip(edges.left, edges.right, strict=True)) == [(10, 12), (10, 14), (11, 15)]


def candidates(keys: list[int], *, rows: list[int], wholes: list[int], num_documents: int = 99) -> set:
    edges = candidate_edges(
        np.array(keys, np.uint64), rows=np.array(rows), wholes=np.array(wholes, np.uint64), num_documents=num_documents
    )
    return set(zip(*edges.tolist(), strict=True))


def test_candidates_meet_the_first_and_the_one_before() -> None:
    found = candidates([7, 3, 7, 9, 7, 3], rows=[14, 11, 12, 13, 10, 15], wholes=[1, 2, 3, 4, 5, 6])

    assert found == {(10, 12), (10, 14), (12, 14), (11, 15)}


def test_equal_documents_change_no_other_pair() -> None:
    """So a part may let one of them stand for all of it, and the cutting into parts does not show."""
    keys, rows, wholes = [7] * 8, [20, 21, 22, 23, 24, 25, 26, 27], [5, 6, 5, 8, 6, 6, 5, 9]

    every = candidates(keys, rows=rows, wholes=wholes)
    first = [0, 1, 3, 7]
    folded = candidates([7] * 4, rows=[rows[i] for i in first], wholes=[wholes[i] for i in first])

    assert folded == {(20, 21), (20, 23), (21, 23), (20, 27), (23, 27)}
    assert every - folded == {(20, 22), (20, 26), (21, 24), (21, 25)}


def test_planted_copies_meet_documents_and_tie_none_together() -> None:
    found = candidates([7, 7, 7, 7, 3, 3], rows=[1, 2, 10, 11, 12, 13], wholes=[5, 6, 0, 0, 0, 0], num_documents=10)

    assert found == {(1, 2), (1, 10), (2, 10), (1, 11), (2, 11)}


def test_groups_are_named_by_their_smallest_row() -> None:
    assert smallest_rows(np.array([2, 1, 2, 5, 2, 5])).tolist() == [0, 1, 0, 3, 0, 3]


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
