"""Claims without a model: words, up to three in a row, and shapes of text that tell the worst from the neutral ones.

Each claim is a pattern, and a yes is a match. The most telling features of the documents to propose from are taken by
their log-odds, of features that stand in the same documents only one; the test on other documents is that of any claim.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from eval.claims.contrast import contrast
from eval.claims.sides import Sides
from pipeline.queries.errors.masked import without_personal
from pipeline.queries.errors.material import Material
from pipeline.queries.errors.proposal import MOST_CLAIMS, MOST_QUOTE, Proposal, Proposed, Shown

WORD = re.compile(r"\w+")
LONGEST = 3  # words of a feature
LEAST_SHARE, LEAST_DOCUMENTS = 0.04, 4  # in which a feature must stand, of both sides together
TELLING = 2.0  # standard errors from which a feature is worth a claim
SAME = 0.6  # overlap of the documents of two features (Jaccard) from which they count as one
AROUND = 40  # characters of a quote to each side of a match
BY = "words"
SHAPES = {
    "Does the text hold a digit?": r"\d",
    "Does the text hold a web address?": r"(?i)https?://|www\.",
    "Does a line of the text begin with four spaces or more?": r"(?m)^ {4,}\S",
    "Does a line of the text begin with a bullet or a number?": r"(?m)^[ \t]*(?:[-*+]|\d+[.)])[ \t]",
    "Does the text hold curly brackets?": r"[{}]",
    "Does the text hold square brackets?": r"[\[\]]",
    "Does the text hold a Python prompt (>>>)?": r">>>",
    "Does the text hold a character outside of ASCII?": r"[^\x00-\x7f]",
    "Does the text hold a word of three capitals or more?": r"\b[A-Z]{3,}\b",
    "Does the text hold a word with an underscore?": r"[A-Za-z]_[A-Za-z]",
    "Does the text hold a blank line?": r"\n[ \t]*\n",
    "Does the text hold a tag in angle brackets?": r"</?[A-Za-z][^<>]*>",
    "Does the text hold a question mark?": r"\?",
    "Does the text hold a vertical bar?": r"\|",
    "Does the text hold text between double backquotes?": r"``[^`]+``",
    "Does the text end without a full stop?": r"[^.!?\"')\s]\s*\Z",
    "Does the text begin with a small letter?": r"\A\s*[a-z]",
}


def propose_words(material: Material, sides: Sides) -> Proposed:
    """State at most ten claims about the documents of two sides."""
    rows = [*sides.worst.tolist(), *sides.neutral.tolist()]
    texts, num_worst = [material.texts[row] for row in rows], len(sides.worst)
    features = dict(_features(texts, [material.whole(row) for row in rows]))
    names = list(features)
    counts = [np.array([(places < num_worst).sum(), (places >= num_worst).sum()]) for places in features.values()]
    per_side = np.array(counts).reshape(-1, 2).astype(float)
    scores = contrast(per_side[:, 0], per_side[:, 1], num_worst=num_worst, num_neutral=len(rows) - num_worst)
    chosen: list[int] = []
    for place in sorted(range(len(names)), key=lambda place: (-abs(scores[place]), names[place])):
        if abs(scores[place]) < TELLING or len(chosen) == MOST_CLAIMS:
            break
        mine = set(features[names[place]].tolist())
        if all(_overlap(mine, set(features[names[other]].tolist())) < SAME for other in chosen):
            chosen.append(place)
    shown = [Shown(material.ids[row], material.texts[row], whole=material.whole(row)) for row in rows]
    shares = per_side / [max(num_worst, 1), max(len(rows) - num_worst, 1)]
    proposals = [
        _proposal(
            names[place], features[names[place]], shown, more=bool(scores[place] > 0), num_worst=num_worst,
            predicted=(float(shares[place, 0]), float(shares[place, 1])),
        )
        for place in chosen
    ]  # fmt: skip
    return Proposed(by=BY, shown=shown, proposals=proposals)


def _features(texts: Sequence[str], wholes: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield features that enough of the texts have, and not all, with the places of those; no word is personal data."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, (text, whole) in enumerate(zip(texts, wholes, strict=True)):
        grams = set[str]()
        for piece in without_personal(whole, until=len(text)):
            words = WORD.findall(piece.lower())
            grams |= {" ".join(words[k : k + n]) for n in range(1, LONGEST + 1) for k in range(len(words) - n + 1)}
        for gram in sorted(grams):
            found[gram].append(place)
    for question, pattern in SHAPES.items():
        matching = re.compile(pattern)
        found[question] = [place for place, text in enumerate(texts) if matching.search(text)]
    least = max(LEAST_DOCUMENTS, LEAST_SHARE * len(texts))
    yield from ((name, np.array(places)) for name, places in found.items() if least <= len(places) < len(texts))


def _overlap(one: set[int], other: set[int]) -> float:
    return len(one & other) / len(one | other)


def _proposal(
    name: str, places: np.ndarray, shown: Sequence[Shown], *, more: bool, num_worst: int,
    predicted: tuple[float, float],
) -> Proposal:  # fmt: skip
    """State the claim of a feature, with three places where it stands on the side that has more of it."""
    pattern = SHAPES.get(name) or pattern_of(name)
    said = f'the words "{name}", one after the other' if " " in name else f'the word "{name}"'
    question = name if name in SHAPES else f"Does the text hold {said}?"
    mine = [int(place) for place in places if (place < num_worst) == more][:3]
    quotes = [(place, quote) for place in mine if (quote := _around(shown[place].text, pattern))]
    return Proposal(question, more, tuple(quotes), pattern=pattern, predicted=predicted)


def pattern_of(words: str) -> str:
    """Return what finds words one after the other, whatever stands between them that is no word."""
    return r"(?i)(?<!\w)" + r"\W+".join(map(re.escape, words.split())) + r"(?!\w)"


def _around(text: str, pattern: str) -> str:
    """Return a match with what stands around it, from the text letter by letter; nothing where case hides it."""
    found = re.search(pattern, text)
    if found is None:
        return ""
    start = max(found.start() - AROUND, 0)
    return text[start : min(found.end() + AROUND, start + MOST_QUOTE)]
