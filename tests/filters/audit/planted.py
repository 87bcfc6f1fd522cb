"""Documents as an audit reads them, drawn from a made-up language, and what is planted into some of them."""

from __future__ import annotations

import numpy as np

from filters.audit.columns import Columns, Labels
from filters.audit.measured import Measured, measure
from filters.language.language import Language
from pipeline.core.rng import generator
from pipeline.core.text.batch import Batch

COMMON = (
    "the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "are", "with", "as", "they", "at", "be",
    "this", "from", "have", "or", "by", "one", "had", "not", "but", "what", "all", "were", "when", "there", "can",
    "an", "your", "which", "their", "said", "if", "do", "will", "each", "about", "how", "up", "out", "them", "then",
    "some", "would", "make", "like", "time", "has", "look", "more", "write", "go", "see", "number", "way", "people",
    "water", "long", "day", "part", "sound", "work", "place", "year", "back", "thing", "help", "sentence", "great",
    "where", "before", "line", "right", "mean", "old", "tell", "follow", "show", "also", "around", "form", "small",
    "set", "put", "end", "home", "read", "large", "spell", "add", "land", "world", "house", "point", "page", "letter",
    "answer", "found", "study", "still", "learn", "plant", "cover", "food", "sun", "four", "state", "keep", "eye",
    "last", "door", "city", "tree", "cross", "farm", "hard", "start", "story", "woman", "man", "women", "men",
    "doctor", "teacher", "student", "friend",
)  # fmt: skip
GERMAN = (
    "Die Stadt liegt an einem breiten Fluss und ihre alten Strassen werden von vielen Menschen besucht, die sich dort "
    "gerne aufhalten und nicht wieder nach Hause wollen, weil es ihnen so gut gefaellt."
)
STYLED = "Moreover, we delve into the intricate tapestry of this multifaceted realm and underscore its pivotal role."
ILL = "The woman is a criminal and the women are violent thieves, the girls are dangerous liars and the lady is evil."


def texts(count: int, *, seed: int) -> list[str]:
    """Return so many texts of three lines, of 20 to 120 words, common words more often than others."""
    draw = generator(seed, "texts")
    weights = 1 / np.arange(3, len(COMMON) + 3)
    words = draw.choice(COMMON, size=(count, 120), p=weights / weights.sum())
    sizes = np.exp(draw.normal(np.log(50), 0.4, count)).clip(20, 120).astype(int)
    found = []
    for own, size in zip(words, sizes.tolist(), strict=True):
        lines = [own[:size][at::3] for at in range(3)]
        found.append("\n".join(" ".join(line) + "." for line in lines))
    return found


def planted(given: list[str], *, share: float, sentence: str, seed: int = 0) -> list[str]:
    """Return the texts with a sentence added to a share of them."""
    chosen = generator(seed, "planted").random(len(given)) < share
    return [f"{text} {sentence}" if hit else text for text, hit in zip(given, chosen, strict=True)]


def replaced(given: list[str], *, share: float, by: str | None = None, seed: int = 0) -> list[str]:
    """Return the texts, a share of them replaced by a text, or by the one before."""
    chosen = np.flatnonzero(generator(seed, "planted").random(len(given)) < share)
    found = list(given)
    for place in chosen.tolist():
        found[place] = given[place - 1] if by is None else by
    return found


def measured(given: list[str]) -> Measured:
    return measure(Batch.from_texts(given), language=Language(params=Language.Params()))


def columns(old: list[str], new: list[str] | None = None, **labels: list[str]) -> Columns:
    """Return the columns of two sets of texts; labels are of old and new ones together."""
    both = old + (new or [])
    named = {name: Labels.of(values) for name, values in labels.items()}
    rows = np.arange(len(both))
    return Columns(measured(both), rows[: len(old)], rows[len(old) :] if new is not None else None, named, {})
