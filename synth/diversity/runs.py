"""Runs of n words -> which came before, how often each occurs, and a small model of which word follows which.

Tables are open addressing in two arrays, filled to a half at most. The model is a trigram whose estimates are drawn
towards those of the shorter context as if it had seen `PULL` words more there (Dirichlet smoothing): one pass to train
and one to score, so that it can be trained on every window of 100 documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.process.kernels import njit
from synth.diversity.words import Words

VOCABULARY = 65536.0  # words that a text might hold; what a word costs that was never seen
PULL = 3.0  # words
_FACTOR, _MIX, _SHIFT = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(31)


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs of so many words that lie in one document."""

    hashes: np.ndarray  # uint64[num_runs], never 0
    documents: np.ndarray  # int64[num_runs]
    places: np.ndarray  # int64[num_runs], where in the words of all documents each begins


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each hash occurs; 0 is an empty place."""

    keys: np.ndarray  # uint64[2^bits]
    counts: np.ndarray  # int32[2^bits]

    def of(self, hashes: np.ndarray) -> np.ndarray:
        """Return int32[len(hashes)]."""
        return _look_up(self.keys, self.counts, hashes)


def runs_of(words: Words, *, length: int) -> Runs:
    """Hash every run of `length` words."""
    count = len(words.hashes) - length + 1
    if count <= 0:
        return Runs(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    value = words.hashes[:count].copy()
    for step in range(1, length):
        value = value * _FACTOR + words.hashes[step : count + step]
    value = (value ^ (value >> _SHIFT)) * _MIX
    documents = words.documents()
    inside = np.flatnonzero(documents[:count] == documents[length - 1 :])
    return Runs(value[inside] | np.uint64(1), documents[inside], inside)


def count(hashes: np.ndarray) -> Counts:
    """Count every hash."""
    return Counts(*_count(hashes, _bits_for(len(hashes))))


def came_before(runs: Runs) -> np.ndarray:
    """Return bool[num_runs]: whether an earlier document has the run."""
    return _came_before(runs.hashes, runs.documents, _bits_for(len(runs.hashes)))


@dataclass(frozen=True, slots=True)
class Model:
    """Which word follows which two."""

    single: Counts
    pairs: Counts
    triples: Counts
    num_words: int

    @staticmethod
    def of(words: Words) -> Model:
        """Train on documents."""
        pairs, triples = (count(runs_of(words, length=length).hashes) for length in (2, 3))
        return Model(count(words.hashes), pairs, triples, len(words.hashes))

    def bits_per_word(self, words: Words) -> float:
        """Return what a word of these documents costs on average, bits; nan without words."""
        if not len(words.hashes):
            return float("nan")
        alone = (self.single.of(words.hashes) + PULL / VOCABULARY) / (self.num_words + PULL)
        chance = alone
        for length, table, context in ((2, self.pairs, self.single), (3, self.triples, self.pairs)):
            runs = runs_of(words, length=length)
            before = runs_of(words, length=length - 1) if length > 2 else None
            seen = table.of(runs.hashes)
            # a run's context is the run one shorter that begins at the same word
            keys = words.hashes if before is None else _at_places(before, len(words.hashes))
            contexts = context.of(keys[runs.places])
            last = runs.places + length - 1
            better = chance.copy()
            better[last] = (seen + PULL * chance[last]) / (contexts + PULL)
            chance = better
        return float(-np.log2(chance).mean())


def _at_places(runs: Runs, num_words: int) -> np.ndarray:
    found = np.ones(num_words, np.uint64)
    found[runs.places] = runs.hashes
    return found


def _bits_for(size: int) -> int:
    return max(4, int(2 * size).bit_length())


@njit(cache=True, nogil=True)
def _place(keys: np.ndarray, key: np.uint64) -> int:
    mask = np.uint64(len(keys) - 1)
    place = (key >> np.uint64(16)) & mask
    while keys[place] != 0 and keys[place] != key:
        place = (place + np.uint64(1)) & mask
    return int(place)


@njit(cache=True, nogil=True)
def _count(hashes: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    keys, counts = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.int32)
    for key in hashes:
        place = _place(keys, key)
        keys[place] = key
        counts[place] += 1
    return keys, counts


@njit(cache=True, nogil=True)
def _look_up(keys: np.ndarray, counts: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    found = np.empty(len(hashes), np.int32)
    for index in range(len(hashes)):
        found[index] = counts[_place(keys, hashes[index])]
    return found


@njit(cache=True, nogil=True)
def _came_before(hashes: np.ndarray, documents: np.ndarray, bits: int) -> np.ndarray:
    keys, first = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.int64)
    found = np.zeros(len(hashes), np.bool_)
    for index in range(len(hashes)):
        place = _place(keys, hashes[index])
        if keys[place] == 0:
            keys[place], first[place] = hashes[index], documents[index]
        else:
            found[index] = first[place] < documents[index]
    return found
