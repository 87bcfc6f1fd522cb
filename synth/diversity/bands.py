"""Real text -> the band that every number of `measures.py` lies in for windows of real text, and what has left it.

One half of the real documents is what windows are held against, the other half gives windows: DRAWS times as many
documents as a window has. The band is their mean and REACH deviations to each side, the deviation made larger for
windows that share documents, and never narrower than what so many documents can tell apart. So the band holds real text
against real text of the same kind, cut to the same length, in windows of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.rng import generator
from pipeline.core.text.batch import Batch
from synth.diversity.measures import NUMBERS, Known, Size, measure
from synth.diversity.words import Words, read_words

DRAWS = 24
REACH = 4.0  # deviations: of 10 numbers in 10,000 windows of real text, about 6 leave it
FAR = 3.0  # bands from the middle: one window is enough
LEAST_WINDOW = 30  # documents


@dataclass(frozen=True, slots=True)
class Bands:
    """What is known of real text, how large a window is, and where windows of real text lie."""

    known: Known
    num_documents: int  # that they were made of
    size: Size
    most_words: int  # of a document that are read
    middle: np.ndarray  # float64[len(NUMBERS)]
    reach: np.ndarray  # float64[len(NUMBERS)], from the middle to each end
    deviation: np.ndarray  # float64[len(NUMBERS)], of one window

    @staticmethod
    def of(texts: Batch, *, most_words: int, window: int = 100, seed: int = 0, seeds: Batch | None = None) -> Bands:
        """Find the bands of real documents cut after `most_words`, in windows of at most `window` documents.

        `seeds` are texts that the documents to be watched were made from. ValueError for too few documents: four
        windows are needed, of LEAST_WINDOW documents each.
        """
        words = read_words(texts, most=most_words)
        words = words.take(np.flatnonzero(words.counts))
        if len(words) < 4 * LEAST_WINDOW:
            raise ValueError(f"{len(words)} real documents with words; a band needs {4 * LEAST_WINDOW}")
        order = generator(seed, "diversity", "halves").permutation(len(words))
        half = len(words) // 2
        first, second = words.take(order[:half]), words.take(order[half:])
        documents = min(window, len(second) // 2)
        draw = generator(seed, "diversity", "windows")
        rows = [draw.permutation(len(second))[:documents] for _ in range(DRAWS)]
        counts, sizes = second.counts, np.diff(second.byte_offsets)
        size = Size(
            documents, int(min(counts[own].sum() for own in rows)), int(min(sizes[own].sum() for own in rows))
        )  # fmt: skip
        read = None if seeds is None else read_words(seeds, most=most_words)
        known = Known.of(first, held=min(half, 2 * documents), seeds=read)
        found = np.array([measure(second.take(own), known=known, size=size) for own in rows])
        deviation = found.std(axis=0, ddof=1) / np.sqrt(1 - documents / len(second))
        reach = np.maximum(REACH * deviation * np.sqrt(1 + 1 / DRAWS), _least(size))
        return Bands(known, len(words), size, most_words, found.mean(axis=0), reach, deviation)

    def read(self, texts: Batch) -> Words:
        """Read documents as those of the bands were read."""
        return read_words(texts, most=self.most_words)

    def measure(self, window: Words) -> np.ndarray:
        """Return float64[len(NUMBERS)] of a window that `size` fits."""
        return measure(window, known=self.known, size=self.size)

    def ends(self) -> np.ndarray:
        """Return float64[len(NUMBERS), 2]: where each band begins and ends."""
        return np.stack([self.middle - self.reach, self.middle + self.reach], axis=1)

    def strays(self, found: np.ndarray) -> np.ndarray:
        """Return float64[len(NUMBERS)]: how many reaches each number lies from the middle on its bad side; 1 is out."""
        apart = (found - self.middle) / self.reach
        signs = np.array([{"low": -1.0, "high": 1.0, "both": 0.0}[number.bad] for number in NUMBERS])
        return np.where(signs == 0, np.abs(apart), np.maximum(apart * signs, 0))


def _least(size: Size) -> np.ndarray:
    """Return the steps that so many documents and words cannot tell from chance, one for each number."""
    some = 4 / size.documents
    steps = {
        "rare_types": 0.01, "self_repetition": 40 / size.words, "skeleton_entropy": 0.2, "compression": 0.05,
        "near_duplicates": some, "near_known": some, "openings": some, "topics": 0.05,
        "recurrence": 0.01, "loss_from_real": 0.1,
        "loss_to_real": 0.1,
    }  # fmt: skip
    return np.array([steps[number.name] for number in NUMBERS])
