"""Word counts -> unit vectors of a few dozen numbers, by tf-idf and a truncated singular value decomposition.

Cosines need only the space that the first singular vectors span, and no single one of them, so orthogonal iteration is
enough: multiply by the centred matrix and its transpose, make orthogonal, six times. Sparse products and the kernels
here add up in one order whatever number of threads a linear algebra library takes, so the same documents give the same
bytes. Centring takes out what all documents have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from filters.topics.word_counts import Counts, Vocabulary
from pipeline.core.process.kernels import njit
from pipeline.core.rng import generator
from pipeline.core.text.batch import Batch

ITERATIONS = 6


@dataclass(frozen=True, slots=True)
class WordSpace:
    """A vocabulary, the weight of each of its words, and where each word lies in the space."""

    vocabulary: Vocabulary
    idf: np.ndarray  # float64[num_words]
    places: np.ndarray  # float32[num_words, num_dims], weights multiplied in
    centre: np.ndarray  # float64[num_dims], the mean of the sample

    def vectors(self, batch: Batch) -> np.ndarray:
        """Return float64[num_docs, num_dims]: unit vectors; zero for a document without a word of the vocabulary."""
        return self.place(self.vocabulary.count(batch))

    def place(self, counts: Counts) -> np.ndarray:
        """Return the vectors of counted documents."""
        return _place(counts.words, counts.times, counts.starts, self.idf, self.places, self.centre)


def fit_space(vocabulary: Vocabulary, counts: Counts, *, num_dims: int, seed: int) -> WordSpace:
    """Find the space in which the documents of a sample, each with a word at least, differ most."""
    documents = np.bincount(counts.words, minlength=len(vocabulary.hashes))
    idf = np.log(len(counts) / np.maximum(documents, 1))
    basis, mean = decompose(weighted(counts, idf), num_dims=num_dims, seed=seed)
    places = (idf[:, None] * basis).astype(np.float32)
    return WordSpace(vocabulary, idf, places, mean)


def weighted(counts: Counts, idf: np.ndarray) -> Any:
    """Return the sparse matrix of (1 + log times) * idf, rows of length 1."""
    from scipy.sparse import csr_array

    values = (1 + np.log(counts.times)) * idf[counts.words]
    squares = np.add.reduceat(np.append(values * values, 0), counts.starts[:-1])
    squares[np.diff(counts.starts) == 0] = 0
    values = values / np.repeat(np.sqrt(np.maximum(squares, 1e-30)), np.diff(counts.starts))
    return csr_array((values, counts.words, counts.starts), shape=(len(counts), len(idf)))


def decompose(matrix: Any, *, num_dims: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64[num_words, num_dims], float64[num_dims]): an orthonormal basis, and the mean row in it."""
    num_docs, num_words = matrix.shape
    num_dims = min(num_dims, num_words, num_docs)
    mean = np.asarray(matrix.sum(axis=0)) / num_docs
    basis = generator(seed, "space").standard_normal((num_words, num_dims))
    turned = matrix.T.tocsr()
    make_orthonormal(basis)
    for _ in range(ITERATIONS):
        placed = matrix @ basis - add_up(basis, mean)
        basis = turned @ placed - mean[:, None] * placed.sum(axis=0)
        make_orthonormal(basis)
    return basis, add_up(basis, mean)


def add_up(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted sum of rows, one after the other."""
    total: np.ndarray = (rows * weights[:, None]).sum(axis=0)
    return total


@njit(cache=True, nogil=True)
def make_orthonormal(columns: np.ndarray) -> None:
    """Make float64[num_rows, num_columns] orthonormal in place, by Gram and Schmidt's method, twice for accuracy.

    A column that the ones before it span becomes zero.
    """
    num_rows, num_columns = columns.shape
    shares = np.empty(num_columns)
    for column in range(num_columns):
        before = 0.0
        for row in range(num_rows):
            before += columns[row, column] ** 2
        for _ in range(2):
            shares[:column] = 0.0
            for row in range(num_rows):
                value = columns[row, column]
                for other in range(column):
                    shares[other] += columns[row, other] * value
            for row in range(num_rows):
                taken = 0.0
                for other in range(column):
                    taken += columns[row, other] * shares[other]
                columns[row, column] -= taken
        left = 0.0
        for row in range(num_rows):
            left += columns[row, column] ** 2
        scale = 1 / np.sqrt(left) if left > 1e-20 * before and left > 0 else 0.0
        for row in range(num_rows):
            columns[row, column] *= scale


@njit(cache=True, nogil=True)
def _place(
    words: np.ndarray, times: np.ndarray, starts: np.ndarray, idf: np.ndarray, places: np.ndarray, centre: np.ndarray
) -> np.ndarray:
    """Return float64[num_docs, num_dims]: the weighted sum of the words' places, less the centre, at length 1."""
    num_docs, num_dims = len(starts) - 1, places.shape[1]
    vectors = np.zeros((num_docs, num_dims))
    total = np.empty(num_dims, np.float32)
    log_times = np.array([1 + np.log(max(number, 1)) for number in range(64)])
    for doc in range(num_docs):
        total[:] = 0
        square = 0.0
        for index in range(starts[doc], starts[doc + 1]):
            number = times[index]
            weight = log_times[number] if number < 64 else 1 + np.log(number)
            square += (weight * idf[words[index]]) ** 2
            row, scale = places[words[index]], np.float32(weight)
            for dim in range(num_dims):
                total[dim] += scale * row[dim]
        if square == 0:
            continue
        length = 0.0
        for dim in range(num_dims):
            vectors[doc, dim] = total[dim] / np.sqrt(square) - centre[dim]
            length += vectors[doc, dim] ** 2
        if length > 0:
            vectors[doc] /= np.sqrt(length)
    return vectors
