"""Documents -> documents without the lines that RefinedWeb calls undesirable, and what share of the text that was.

RefinedWeb (Penedo et al. 2023, arXiv 2306.01116, appendix G.2) removes lines mainly of capitals, of numbers only, of
one word, and counters of social media, and drops a document of which that takes more than 5 % of the words. The rules
are for web prose: code, tables and poems lose lines that they need. Mainly is more than half of a line's letters, a
number has a digit and no letter, a counter is a number and one of 45 words. Three phrases that the paper cuts out of
short lines (sign-in, read more..., items in cart) are left alone.

Every signal in plain Python: `refinedweb_lines` in `filters/heuristics/definitions.py`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.core.step import EditingStep, Measured, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch, text_array

SOURCE = "RefinedWeb, app. G.2."


class RefinedWebLines(EditingStep):
    """RefinedWeb's line corrections, applied, and its rule on how much they may take."""

    name = "refinedweb_lines"
    signals = (
        Signal("num_lines_one_word", pa.int64(), "lines", "Lines removed for holding one word."),
        Signal("num_lines_uppercase", pa.int64(), "lines", "Lines removed for their capitals."),
        Signal("num_lines_numeric", pa.int64(), "lines", "Lines removed for holding numbers and no letter."),
        Signal("num_lines_counter", pa.int64(), "lines", "Lines removed for being a counter, as `3 likes`."),
        Signal("removed_fraction", pa.float64(), "fraction", "Share of the document's words in removed lines."),
    )  # the first three in the order in which the first hit counts

    class Params(BaseParams):
        max_uppercase_fraction: float = Field(
            default=0.5, ge=0, le=1, description=f"Most capitals among the letters of a line, fraction. {SOURCE}"
        )
        max_removed_fraction: float | None = decides(
            0.05, ge=0, le=1, description=f"Most of a kept document's words in removed lines; null: any. {SOURCE}"
        )

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rule on what was removed; a limit of null is no rule."""
        limit = self.params.max_removed_fraction
        if limit is None:
            return ()
        return (Rule("too_much_removed", "removed_fraction", "<=", limit, "max_removed_fraction"),)

    def measure(self, batch: Batch) -> Measured:
        from filters.heuristics.refinedweb_kernels import KEPT, judge_lines, uppercase_table
        from filters.words.without_lines import without_lines
        from pipeline.core.text.characters import character_table

        words, lines = batch.words, batch.lines
        shape = (lines.doc_offsets, lines.starts, lines.ends, lines.word_offsets)
        actions, counts = judge_lines(
            batch.data, batch.offsets, (words.starts, words.num_bytes), shape,
            self.params.max_uppercase_fraction, character_table(), uppercase_table(),
        )  # fmt: skip
        edited = counts[KEPT + 1 :].sum(axis=0) > 0
        data, offsets = without_lines(batch.data, batch.offsets, shape, actions != KEPT, edited)
        removed = np.concatenate([[0], np.cumsum(np.diff(lines.word_offsets) * (actions != KEPT))])
        num_removed = np.diff(removed[lines.doc_offsets])
        names = [signal.name for signal in self.signals]
        signals = {name: counts[KEPT + 1 + row] for row, name in enumerate(names[:-1])}
        signals[names[-1]] = num_removed / np.maximum(np.diff(words.doc_offsets), 1)
        return Measured(signals=signals, text=text_array(data, offsets, present=edited))
