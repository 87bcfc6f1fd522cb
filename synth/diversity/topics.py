"""Documents -> cells of the topics of real text, by the words that few documents have, and how many cells are in use.

A document is a vector of 256 hashed words weighted by how few documents have them; centres are found by 8 rounds of
spherical k-means that start from documents chosen far apart. Deterministic: nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.diversity.runs import Counts, count
from synth.diversity.words import Words

WIDTH = 256
CELLS = 32
ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Topics:
    """The centres, and in how many documents each word is."""

    having: Counts
    num_docs: int
    centres: np.ndarray  # float32[num_cells, WIDTH], of length 1

    @staticmethod
    def of(words: Words, *, most: int = CELLS) -> Topics:
        """Find the cells of real documents, at most so many."""
        documents = words.documents()
        pairs = np.unique(np.stack([words.hashes, documents.astype(np.uint64)]), axis=1) if len(documents) else None
        having = count(pairs[0] if pairs is not None else words.hashes)
        empty = Topics(having, len(words), np.zeros((1, WIDTH), np.float32))
        vectors = empty._vectors(words)
        centres = [vectors[0]]
        closest = vectors @ vectors[0]
        while len(centres) < min(most, max(1, len(words) // 8)):
            centres.append(vectors[int(np.argmin(closest))])
            closest = np.maximum(closest, vectors @ centres[-1])
        found = np.array(centres)
        for _ in range(ROUNDS):
            cells = np.argmax(vectors @ found.T, axis=1)
            for cell in range(len(found)):
                total = vectors[cells == cell].sum(axis=0)
                size = float(np.linalg.norm(total))
                if size > 0:
                    found[cell] = total / size
        return Topics(having, len(words), found)

    def covered(self, words: Words) -> float:
        """Return how many cells documents fill as if evenly, over all cells: exp of the entropy of their cells."""
        shares = np.bincount(self.cells(words), minlength=len(self.centres)) / max(len(words), 1)
        shares = shares[shares > 0]
        return float(np.exp(-(shares * np.log(shares)).sum()) / len(self.centres))

    def cells(self, words: Words) -> np.ndarray:
        """Return int64[num_docs]: the cell of each document."""
        found: np.ndarray = np.argmax(self._vectors(words) @ self.centres.T, axis=1)
        return found

    def _vectors(self, words: Words) -> np.ndarray:
        """Return float32[num_docs, WIDTH] of length 1, or 0 for a document without a word that real text has."""
        found = self.having.of(words.hashes)
        weights = np.where(found > 0, np.log((1 + self.num_docs) / (1 + np.maximum(found, 1))), 0)
        signs = np.where((words.hashes >> np.uint64(30)) & np.uint64(1), 1.0, -1.0)
        places = words.documents() * WIDTH + ((words.hashes >> np.uint64(50)) % np.uint64(WIDTH)).astype(np.int64)
        sums = np.bincount(places, weights=weights * signs, minlength=len(words) * WIDTH).reshape(len(words), WIDTH)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.where(norms > 0, norms, 1)).astype(np.float32)
