"""Questions with known answers -> whether a judge's others can be believed: five must fail, one must pass.

Each shown document carries a few labels of one of two words, drawn for it. Three are drawn blindly and two questions
ask for people who were made up, so nothing about them can differ between the sides; one label stands on the worst side
four times as often as on the neutral one. A judge who says what is wanted makes the first five pass, one who does
not look makes the last one fail, and either makes the whole round void. What is known of every document also tells how
often the judge sees what is there, and says yes to what is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.rng import generator

LABELS = 4  # the last is the planted one
WORDS = ("amber", "cobalt")
BLIND = 0.3  # share of documents with the first word on a blind label
PLANTED = (0.8, 0.2)  # of worst and neutral documents
INVENTED = 2
MUST_FAIL = LABELS - 1 + INVENTED
SYLLABLES = ("vor", "mel", "tash", "ubri", "kend", "osal", "pim", "rath", "ezu", "lind", "goth", "yaru")
LEAST_SEEING = 0.3  # of sensitivity + specificity - 1, below which a corrected effect would be more noise than fact


@dataclass(frozen=True, slots=True)
class Control:
    """One question with known answers: about a label, or whether a made-up person is named."""

    question: str
    must_pass: bool
    label: int | None  # its place, from 0; None: the person in `pattern` is asked for
    pattern: str  # that finds a yes


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How a judge answered what is known: the share of yes where it is yes, of no where it is no."""

    sensitivity: float
    specificity: float

    @property
    def seeing(self) -> float:
        """By what a true difference shrinks under such a judge."""
        return self.sensitivity + self.specificity - 1

    def corrected(self, difference: float) -> float | None:
        """Return the difference that a perfect judge would have found (Rogan and Gladen); None for a bad judge."""
        return difference / self.seeing if self.seeing >= LEAST_SEEING else None


def controls_of(seed: int) -> tuple[Control, ...]:
    """Return the five questions that must fail and, last, the one that must pass."""
    draw = generator(seed, "claims", "people")
    found = [_of_label(place, must_pass=False) for place in range(LABELS - 1)]
    for _ in range(INVENTED):
        syllables = [SYLLABLES[k] for k in draw.permutation(len(SYLLABLES))[:4]]
        name = f"{''.join(syllables[:2]).capitalize()} {''.join(syllables[2:]).capitalize()}"
        found.append(Control(f"Does the text name a person called {name}?", False, None, name))
    return (*found, _of_label(LABELS - 1, must_pass=True))


def _of_label(place: int, *, must_pass: bool) -> Control:
    words = f"label {place + 1}: {WORDS[0]}"
    return Control(f"Is label {place + 1} of the document {WORDS[0]}?", must_pass, place, words)


def labels_for(worst_D: np.ndarray, *, seed: int) -> np.ndarray:
    """Return bool[D, LABELS]: whether a document's label is the first word."""
    draw = generator(seed, "claims", "labels").random((len(worst_D), LABELS))
    share_DL = np.full((len(worst_D), LABELS), BLIND)
    share_DL[:, -1] = np.where(worst_D, *PLANTED)
    return draw < share_DL


def truths_of(controls: Sequence[Control], labels_DL: np.ndarray) -> np.ndarray:
    """Return float64[D, C]: the true answers; nobody who was made up is named."""
    nobody = np.zeros(len(labels_DL))
    columns = [nobody if control.label is None else labels_DL[:, control.label] for control in controls]
    return np.column_stack(columns).astype(float)


def accuracy_of(answers_DC: np.ndarray, truths_DC: np.ndarray) -> Accuracy:
    """Return how a judge answered the controls."""
    known = ~np.isnan(answers_DC)
    yes, no = known & (truths_DC == 1), known & (truths_DC == 0)
    return Accuracy(
        sensitivity=float(answers_DC[yes].mean()) if yes.any() else 0.0,
        specificity=float(1 - answers_DC[no].mean()) if no.any() else 0.0,
    )
