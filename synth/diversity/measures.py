"""Numbers that say how diverse a window of documents is, each at equal size, and what each is held against.

Compression, long repetition, skeletons and rare types follow Shaib et al. (arXiv 2403.00553) and what recursive
training loses first: types that are rare in real text. Words that come again in their own document tell text of a
person, who stays with a matter, from text of a model that looks back a few words only. No number means anything alone:
`bands.py` says between which bounds windows of real text lie. All are functions of a window and of what is known of
real text; nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import zstandard

from synth.diversity.runs import Counts, Model, came_before, count, runs_of
from synth.diversity.topics import Topics
from synth.diversity.words import Words

LONG_RUN = 8  # words: a canned phrase
NEAR_RUN = 5  # words, of which a near duplicate shares more than half
NEAR = 0.5
OPENING = 4  # words
APART = 5  # words, farther than a model of short runs looks back
RARE = (2, 5)  # occurrences in the real half


@dataclass(frozen=True, slots=True)
class Number:
    """One number: what it is, which side of the band is bad, and the least step that means anything."""

    name: str
    title: str
    unit: str
    bad: Literal["low", "high", "both"]


NUMBERS = (
    Number("rare_types", "rare words of real text that it has", "share", "low"),
    Number("self_repetition", f"runs of {LONG_RUN} words that an earlier document has", "share", "high"),
    Number("skeleton_entropy", "entropy of the order of kinds of lines", "bits", "low"),
    Number("compression", "bytes over bytes under zstd 3, equal bytes", "ratio", "high"),
    Number("near_duplicates", "documents of which an earlier one has over half", "share", "high"),
    Number("near_known", "documents of which seeds or real text have over half", "share", "high"),
    Number("openings", f"different first {OPENING} words", "share", "low"),
    Number("topics", "effective share of the topics of real text", "share", "low"),
    Number("recurrence", f"words that came {APART} or more words before in their document, by rarity", "share", "low"),
    Number("loss_from_real", "a word of it under a model of real text", "bits", "both"),
    Number("loss_to_real", "a word of real text under a model of it", "bits", "high"),
)
NAMES = tuple(number.name for number in NUMBERS)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a window is, so that all numbers are taken of equally much."""

    documents: int
    words: int
    bytes: int

    def fits(self, words: Words) -> bool:
        """Whether so many documents, words and bytes are there."""
        return (
            len(words) >= self.documents and len(words.hashes) >= self.words and len(words.data) >= self.bytes
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one half of the real text."""

    types: Counts
    rare: np.ndarray  # uint64, types with RARE occurrences
    runs: Counts  # of NEAR_RUN words, of seeds and real text
    topics: Topics
    model: Model
    held: Words  # real text that a window's model is tried on

    @staticmethod
    def of(words: Words, *, held: int, seeds: Words | None = None) -> Known:
        """Learn from documents; the first `held` are what models of windows are tried on."""
        types = count(words.hashes)
        often = (types.counts >= RARE[0]) & (types.counts <= RARE[1])
        runs = runs_of(words, length=NEAR_RUN).hashes
        if seeds is not None:
            runs = np.concatenate([runs, runs_of(seeds, length=NEAR_RUN).hashes])
        return Known(
            types, types.keys[often], count(runs), Topics.of(words), Model.of(words), words.take(np.arange(held))
        )  # fmt: skip


def measure(window: Words, *, known: Known, size: Size) -> np.ndarray:
    """Return float64[len(NUMBERS)] of a window that `size` fits; more documents or words than that are not read."""
    documents = window.take(np.arange(size.documents))
    words = first_words(window, size.words)
    own = count(words.hashes)
    near = runs_of(documents, length=NEAR_RUN)
    earlier, seen = came_before(near), known.runs.of(near.hashes) > 0
    long = runs_of(words, length=LONG_RUN)
    again = came_before(long)
    skeletons = np.unique(documents.skeletons, return_counts=True)[1] / size.documents
    return np.array(
        [
            float((own.of(known.rare) > 0).mean()) if len(known.rare) else 1.0,
            float(again.mean()) if len(again) else 0.0,
            float(-(skeletons * np.log2(skeletons)).sum()),
            size.bytes / len(zstandard.ZstdCompressor(level=3).compress(window.data[: size.bytes].tobytes())),
            _mostly(earlier, near.documents, size.documents),
            _mostly(seen, near.documents, size.documents),
            len(np.unique(_openings(documents))) / size.documents,
            known.topics.covered(documents),
            _recurrence(words, known.types, known.model.num_words),
            known.model.bits_per_word(words),
            Model.of(words).bits_per_word(known.held),
        ]
    )


def first_words(window: Words, most: int) -> Words:
    """Return a window up to so many words, its last document cut."""
    last = int(np.searchsorted(window.offsets, most))
    taken = window.take(np.arange(min(last, len(window))))
    return Words(
        taken.hashes[:most], np.minimum(taken.offsets, most), taken.skeletons, taken.data, taken.byte_offsets
    )  # fmt: skip


def novelty_keys(window: Words, *, one_in: int) -> np.ndarray:
    """Return uint64[], the different runs of NEAR_RUN words of a window, one in so many of them by their hash."""
    runs = np.unique(runs_of(window, length=NEAR_RUN).hashes)
    return runs[(runs >> np.uint64(40)) % np.uint64(one_in) == 0]


def _mostly(hit: np.ndarray, documents: np.ndarray, num_docs: int) -> float:
    """Return the share of documents more than NEAR of whose runs are hit."""
    runs = np.bincount(documents, minlength=num_docs)
    hits = np.bincount(documents, weights=hit, minlength=num_docs)
    return float((hits > NEAR * runs).mean())


def _recurrence(words: Words, types: Counts, num_words: int) -> float:
    """Return the share of words that came before in their own document, each counted by its bits in real text."""
    if not len(words.hashes):
        return 0.0
    own = words.hashes ^ (words.documents().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    order = np.argsort(own, kind="stable")
    again = np.flatnonzero(own[order[1:]] == own[order[:-1]])
    back = np.zeros(len(own), np.int64)
    back[order[again + 1]] = order[again + 1] - order[again]
    bits = np.log2((num_words + 1) / (types.of(words.hashes) + 1))
    return float(bits[back >= APART].sum() / bits.sum())


def _openings(documents: Words) -> np.ndarray:
    """Return uint64[num_docs]: the first words as one number."""
    value = np.zeros(len(documents), np.uint64)
    for step in range(OPENING):
        place = documents.offsets[:-1] + step
        there = place < documents.offsets[1:]
        word = np.zeros(len(documents), np.uint64)
        word[there] = documents.hashes[place[there]]
        value = value * np.uint64(0xBF58476D1CE4E5B9) + word
    return value
