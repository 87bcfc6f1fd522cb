"""`terms`, `toxicity`: how often the words and phrases of a list occur in each document.

`terms` only measures, so that a list of names, dialects or topics shows what other rules do to them: compare its
signals among documents kept and dropped. `toxicity` is the same with a limit. Lists are the user's files, none is
shipped. Words are those of `filters/words/shingles.py`, whole words whatever their case and accents, so no list finds a
word inside another one. Term lists know no meaning: medical and minority texts use listed words too (Dodge et al. 2021
on C4's blocklist, section 5), which is why the limit is a share of the words and not a single hit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from filters.lists.word_lists import entries_of
from filters.words.run_index import build_index, find_runs
from filters.words.shingles import words_of
from pipeline.core.errors import DataError
from pipeline.core.step import Measured, MeasuringStep, Params, Quantile, Rule, Signal, decides, input_names
from pipeline.core.text.batch import Batch

MAX_WORDS = 8  # of one term; each length that occurs in a list is one pass over the words


class TermsParams(Params):
    terms: tuple[str, ...] = input_names(
        min_length=1, description=f"Files of words and phrases of up to {MAX_WORDS} words, one a line, plain or .gz."
    )
    max_fraction: float | None = decides(
        None, ge=0, le=1, description="Most of a kept document's words that listed terms may make up; null: no limit."
    )


class ToxicityParams(TermsParams):
    max_fraction: float | None = decides(
        0.01, ge=0, le=1,
        description="Most of a kept document's words that listed terms may make up; null: no limit. Not measured.",
    )  # fmt: skip


class Terms(MeasuringStep):
    """Count the words and phrases of a list in each document."""

    name: ClassVar[str] = "terms"
    Params: ClassVar[type[Params]] = TermsParams
    signals = (
        Signal("num_terms", pa.int64(), "terms", "Occurrences of listed terms; one inside a longer one counts too."),
        Signal("term_fraction", pa.float64(), "fraction", "Share of the document's words inside a listed term."),
        Signal("first_term", pa.string(), "text", "The listed term that comes first; null without one."),
    )
    params: TermsParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        limit = self.params.max_fraction
        return () if limit is None else (Rule("listed_terms", "term_fraction", "<=", limit, "max_fraction"),)

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Hash the terms; DataError if there is none, or one that is too long."""
        self._terms = list(dict.fromkeys(entries_of(inputs["terms"])))
        sizes = np.diff(words_of(Batch.from_texts(self._terms)).offsets)
        for number in np.flatnonzero(sizes > MAX_WORDS):
            raise DataError(
                f"{self.name}: `{self._terms[number][:100]}` has {sizes[number]} words; "
                f"a term has {MAX_WORDS} at most. Cut it, or look for it with decontaminate."
            )
        if not sizes.any():
            raise DataError(f"{self.name}: {', '.join(self.params.terms)} holds no word. Name other files.")
        self._index = build_index(self._terms, ngram=MAX_WORDS, min_item_words=1)

    def measure(self, batch: Batch) -> Measured:
        words, index = words_of(batch), self._index
        found = find_runs(words.hashes, words.offsets, index.lengths, index.hashes, index.owners, index.filter)
        num_terms, covered, _, _, owner = found.T
        return Measured(
            signals={
                "num_terms": num_terms,
                "term_fraction": covered / np.maximum(np.diff(words.offsets), 1),
                "first_term": pa.array(self._terms, pa.string()).take(pa.array(owner, mask=num_terms == 0)),
            }
        )


class Toxicity(Terms):
    """Count the words and phrases of a list, and drop documents in which they make up too much."""

    name: ClassVar[str] = "toxicity"
    Params: ClassVar[type[Params]] = ToxicityParams
