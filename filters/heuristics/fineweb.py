"""Documents -> what FineWeb's own rules judge: line ends, short lines, repeated lines, lists.

Definitions follow datatrove 0.10's FineWebQualityFilter (Penedo et al. 2024, section 3.6) except where it is known to
err, listed here with the reason. A line's end is looked for before white space, closing quotes, brackets and markup
marks, so `He said "yes."` and CRLF text count as punctuated; its length is without indentation; lines that differ in
spacing only are the same; a blank line is no line; CRLF is one line end. Words are runs of non-space characters.

Every signal in plain Python: `fineweb_quality` in `filters/heuristics/definitions.py`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.heuristics.ratio import ratio
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

SOURCE = "FineWeb, section 3.6."


class FineWebQuality(MeasuringStep):
    """FineWeb's three rules and its two older ones, the empty document first."""

    name = "fineweb_quality"
    signals = (
        Signal("num_lines", pa.int64(), "lines", "Lines that are not blank."),
        Signal("line_punct_ratio", pa.float64(), "share", "Lines whose last word ends a sentence, of lines not blank."),
        Signal("short_line_ratio", pa.float64(), "share", "Lines of at most short_line_length characters."),
        Signal("char_dup_ratio", pa.float64(), "share", "Characters of lines that stood before, of all but line ends."),
        Signal("list_ratio", pa.float64(), "ratio", "Line ends per word."),
    )

    class Params(BaseParams):
        short_line_length: int = Field(
            default=30, ge=0, description=f"Longest line that counts as short, characters. {SOURCE}"
        )
        min_lines: int = decides(1, ge=0, description="Fewest lines; 1 drops what holds only white space.")
        min_line_punct_ratio: float = decides(0.12, ge=0, le=1, description=f"Least share of ended lines. {SOURCE}")
        max_short_line_ratio: float = decides(0.67, ge=0, le=1, description=f"Largest share of short lines. {SOURCE}")
        max_char_dup_ratio: float = decides(0.01, ge=0, le=1, description=f"Most characters in repeats. {SOURCE}")
        max_list_ratio: float = decides(0.3, ge=0, description="Most line ends per word. datatrove 0.10.")

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order and under its names."""
        p = self.params
        return (
            Rule("empty", "num_lines", ">=", p.min_lines, "min_lines"),
            Rule("line_punct_ratio", "line_punct_ratio", ">=", p.min_line_punct_ratio, "min_line_punct_ratio"),
            Rule("short_line_ratio", "short_line_ratio", "<=", p.max_short_line_ratio, "max_short_line_ratio"),
            Rule("char_dup_ratio", "char_dup_ratio", "<=", p.max_char_dup_ratio, "max_char_dup_ratio"),
            Rule("list_ratio", "list_ratio", "<=", p.max_list_ratio, "max_list_ratio"),
        )

    def measure(self, batch: Batch) -> Measured:
        from filters.heuristics.fineweb_kernels import count_line_shapes
        from filters.heuristics.repetition import repeated_lines

        words, lines, whole = batch.words, batch.lines, batch.segmentation
        again = repeated_lines(lines.doc_offsets, lines.word_offsets, lines.char_starts, lines.num_chars, lines.hashes)
        ended, short = count_line_shapes(
            lines.doc_offsets, lines.word_offsets, lines.num_chars, words.flags, self.params.short_line_length
        )
        num_lines = again[:, 3]
        text_chars = np.where(num_lines > 0, whole.num_chars - whole.num_line_ends, 0)
        return Measured(
            signals={
                "num_lines": num_lines,
                "line_punct_ratio": ratio(ended, num_lines),
                "short_line_ratio": ratio(short, num_lines),
                "char_dup_ratio": ratio(again[:, 5], text_chars),
                "list_ratio": ratio(whole.num_line_ends, np.diff(words.doc_offsets)),
            }
        )
