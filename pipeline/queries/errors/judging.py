"""Questions and documents -> yes or no of each: what every judge takes and gives, and the judge that only matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.claims.known_answers import WORDS

MATCHED = "matching"  # the title of the judge that asks nobody


@dataclass(frozen=True, slots=True)
class Question:
    """One question under a key that says nothing of where it comes from; `pattern` finds a yes without a model."""

    key: str
    words: str
    pattern: str = ""
    of_labels: bool = False  # the pattern is looked for among the labels, not in the text


@dataclass(frozen=True, slots=True)
class Specimen:
    """One document with the labels that were drawn for it, True for the first word."""

    text: str
    labels: Sequence[bool]

    @property
    def head(self) -> str:
        return "\n".join(f"label {k}: {WORDS[0] if first else WORDS[1]}" for k, first in enumerate(self.labels, 1))

    @property
    def shown(self) -> str:
        return f"{self.head}\n\n{self.text}"


@dataclass(frozen=True, slots=True)
class Judged:
    """Answers as 1 and 0, NaN where there is none, and what became of every document."""

    answers: np.ndarray  # float64[D, Q]
    outcomes: Sequence[str]  # "answered", or why not
    agreement: float | None = None  # of the documents that were read twice
    reread: int = 0


Judge = Callable[[Sequence[Question], Sequence[Specimen]], Judged]


def match(questions: Sequence[Question], specimens: Sequence[Specimen]) -> Judged:
    """Answer by patterns alone."""
    patterns = [re.compile(each.pattern) for each in questions]
    answers = [
        [
            float(pattern.search(specimen.head if each.of_labels else specimen.text) is not None)
            for each, pattern in zip(questions, patterns, strict=True)
        ]
        for specimen in specimens
    ]
    return Judged(np.array(answers).reshape(len(specimens), len(questions)), ["answered"] * len(specimens))
