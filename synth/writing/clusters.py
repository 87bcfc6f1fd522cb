"""Documents to write from -> a few clusters by their words, each with a name, to tell where made texts collapse."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.core.text.batch import Batch
from synth.diversity.topics import Topics
from synth.diversity.words import read_words

CLUSTERS = 6  # few, as each needs a window of rows
MOST_WORDS = 200  # of a document
NAMED_BY = 2  # words
_WORD = re.compile(r"[^\W\d_]{4,}")


class Clusters:
    """Clusters of documents, named by the words that stand in theirs more than in others."""

    def __init__(self, texts: Sequence[str]) -> None:
        words = read_words(Batch.from_texts(list(texts)), most=MOST_WORDS)
        self._topics = Topics.of(words, most=CLUSTERS)
        cells = self._topics.cells(words)
        having = [set(_WORD.findall(text.lower())) for text in texts]
        everywhere = Counter(word for own in having for word in own)
        self._names = [
            _name(
                [having[row] for row in np.flatnonzero(cells == cell).tolist()], everywhere, len(texts), number=cell + 1
            )
            for cell in range(len(self._topics.centres))
        ]

    def of(self, texts: Sequence[str]) -> list[str]:
        """Return the name of each text's cluster."""
        words = read_words(Batch.from_texts(list(texts)), most=MOST_WORDS)
        return [self._names[cell] for cell in self._topics.cells(words).tolist()]


def _name(documents: Sequence[set[str]], everywhere: Counter[str], num_docs: int, *, number: int) -> str:
    having = Counter(word for own in documents for word in own)

    def tells(word: str) -> float:
        share = having[word] / len(documents)
        return share * float(np.log(share * num_docs / everywhere[word]))

    words = sorted(having, key=lambda word: (-tells(word), word))[:NAMED_BY]
    return " ".join([str(number), *words])
