"""Words of short lists in texts: how many of each list, and which groups of people stand near to words that speak ill.

Words are those of `filters/words/shingles.py`, known by their hashes; a word's lists are the bits of one number, so a
text is walked once whatever the number of lists. Association is by windows of ten words on both sides (WIMBD's, arXiv
2310.20707): the share of a group's windows that holds an ill word, as the mean of documents, shrunk towards that of all
groups together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from filters.topics.word_counts import Vocabulary, find
from filters.words.shingles import words_of
from pipeline.core.odds import log_odds, variance_of_odds
from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch

WINDOW = 10  # words on each side
LISTS = Path(__file__).with_name("lists")
TOXIC, MARKER, NEGATIVE = 0, 1, 2  # bits of the lists; groups have those after them
FIRST_GROUP = 3
PRIOR = 20.0  # votes


@dataclass(frozen=True, slots=True)
class Terms:
    """The words of all lists, and the groups' names in the order of their bits."""

    vocabulary: Vocabulary
    bits: np.ndarray  # int64[num_words], the lists of each word of the vocabulary
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TermCounts:
    """What stands in each document. Windows are of a group's words, ill ones hold a word of the list `negative`."""

    toxic: np.ndarray  # int64[num_docs]
    markers: np.ndarray  # int64[num_docs]
    windows: np.ndarray  # int32[num_docs, num_groups]
    ill: np.ndarray  # int32[num_docs, num_groups]


@cache
def load_terms() -> Terms:
    """Read the lists that lie beside this module."""
    lists: dict[str, int] = {}
    for name, bit in (("toxic", TOXIC), ("markers", MARKER), ("negative", NEGATIVE)):
        for line in _lines(name):
            for word in line.split():
                lists[word] = lists.get(word, 0) | 1 << bit
    groups = [line.partition(":") for line in _lines("groups")]
    for number, (_, _, words) in enumerate(groups):
        for word in words.split():
            lists[word] = lists.get(word, 0) | 1 << (FIRST_GROUP + number)
    hashes = words_of(Batch.from_texts([" ".join(lists)])).hashes
    order = np.argsort(hashes)
    bits = np.array(list(lists.values()), np.int64)[order]
    return Terms(Vocabulary(hashes[order]), bits, tuple(name for name, _, _ in groups))


def _lines(name: str) -> Iterator[str]:
    for line in (LISTS / f"{name}.txt").read_text(encoding="ascii").splitlines():
        if line and not line.startswith("#"):
            yield line


def count_terms(hashes: np.ndarray, offsets: np.ndarray, *, terms: Terms) -> TermCounts:
    """Count the words of the lists, and the groups' windows, by the word hashes of a batch."""
    toxic, markers, windows, ill = _count(hashes, offsets, *terms.vocabulary.slots, terms.bits, len(terms.groups))
    return TermCounts(toxic, markers, windows, ill)


@njit(cache=True, nogil=True)
def _count(
    hashes: np.ndarray, offsets: np.ndarray, keys: np.ndarray, numbers: np.ndarray, bits: np.ndarray, num_groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    num_docs = len(offsets) - 1
    toxic, markers = np.zeros(num_docs, np.int64), np.zeros(num_docs, np.int64)
    windows, ill = np.zeros((num_docs, num_groups), np.int32), np.zeros((num_docs, num_groups), np.int32)
    longest = 0
    for doc in range(num_docs):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    places, members = np.empty(longest, np.int64), np.empty(longest, np.int64)  # of the words that are in a list
    for doc in range(num_docs):
        start, count = offsets[doc], 0
        for index in range(start, offsets[doc + 1]):
            word = find(hashes[index], keys, numbers)
            if word >= 0:
                member = bits[word]
                toxic[doc] += member >> TOXIC & 1
                markers[doc] += member >> MARKER & 1
                places[count], members[count] = index, member
                count += 1
        for at in range(count):
            if members[at] >> FIRST_GROUP == 0:
                continue
            near = False
            before = at - 1
            while before >= 0 and places[at] - places[before] <= WINDOW:
                near |= members[before] >> NEGATIVE & 1 == 1
                before -= 1
            after = at + 1
            while after < count and places[after] - places[at] <= WINDOW:
                near |= members[after] >> NEGATIVE & 1 == 1
                after += 1
            for group in range(num_groups):
                if members[at] >> (FIRST_GROUP + group) & 1:
                    windows[doc, group] += 1
                    ill[doc, group] += near
    return toxic, markers, windows, ill


def votes(ill: np.ndarray, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float64[num_docs, num_groups], twice: which share of its windows is ill, and 1 where it has a window.

    A document has one vote for each group that it names, however often it does: its windows overlap and are of one
    mind, so they are no independent sample. (Whether any window is ill would grow with their number.)
    """
    named = windows > 0
    return ill / np.where(named, windows, 1), named.astype(np.float64)


def shrunk_odds(ill: np.ndarray, windows: np.ndarray, *, prior: float = PRIOR) -> np.ndarray:
    """Return float64[num_groups]: log-odds of ill votes beside those of all groups, shrunk towards none.

    Each group gets `prior` votes more with the share of all groups together, so a group that is seldom met says little.
    """
    total, all_ill = windows.sum(), ill.sum()
    share = (all_ill + 0.5) / (total + 1.0)
    odds: np.ndarray = log_odds(ill + prior * share, windows + prior) - log_odds(share, 1.0)
    return odds


def odds_errors(ill: np.ndarray, windows: np.ndarray, *, prior: float = PRIOR) -> np.ndarray:
    """Return float64[num_groups]: the standard errors of `shrunk_odds`, of counts that are independent: see `votes`."""
    share = (ill.sum() + 0.5) / (windows.sum() + 1.0)
    errors: np.ndarray = np.sqrt(variance_of_odds(ill + prior * share, windows + prior))
    return errors


def false_discovery(p_values: np.ndarray) -> np.ndarray:
    """Return the q-values of Benjamini and Hochberg (1995): the false share if all up to this one are called found."""
    order = np.argsort(p_values)
    scaled = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    found = np.empty(len(p_values))
    found[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.minimum(found, 1.0)
