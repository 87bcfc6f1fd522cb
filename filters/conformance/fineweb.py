"""Documents -> what datatrove 0.10's FineWebQualityFilter judges, verdict for verdict.

Lines are what stands between line feeds, with their indentation and carriage returns, so a space, a quotation mark or
CRLF at the end hides a full stop; words are spaCy's tokens. `filters/heuristics/fineweb.py` is the definition without
these.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.conformance.gopher import at_most
from filters.conformance.spacy.marks import TERMINAL
from filters.conformance.spacy.words import spacy_words
from filters.heuristics.ratio import ratio
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

PLACE = "datatrove 0.10, fineweb_quality_filter.py."


class FineWebQuality(MeasuringStep):
    """FineWeb's rules as datatrove 0.10 has them."""

    name = "fineweb_quality@datatrove-0.10"
    leans_on = ("spacy",)
    signals = (
        Signal("num_lines", pa.int64(), "lines", "Lines that are not blank."),
        Signal("line_punct_ratio", pa.float64(), "share", "Lines whose last character ends a sentence."),
        Signal("short_line_ratio", pa.float64(), "share", "Lines of at most short_line_length characters."),
        Signal(
            "char_dup_ratio", pa.float64(), "share", "Characters of lines that stood before, of all but line feeds."
        ),
        Signal("list_ratio", pa.float64(), "ratio", "Line feeds per token."),
    )

    class Params(BaseParams):
        short_line_length: int = Field(
            default=30, ge=0, description=f"Longest line that counts as short, characters. {PLACE}"
        )
        line_punct_exclude_zero: bool = Field(
            default=False, description=f"Measure no line_punct_ratio where no line ends a sentence. {PLACE}"
        )
        min_lines: int = decides(1, ge=0, description="Fewest lines; a document without any fails as `empty`.")
        min_line_punct_ratio: float = decides(0.12, ge=0, le=1, description=f"Least share of ended lines. {PLACE}")
        max_short_line_ratio: float = decides(0.67, ge=0, le=1, description=f"Largest share of short lines. {PLACE}")
        max_char_dup_ratio: float = decides(0.01, ge=0, le=1, description=f"Most characters in repeats. {PLACE}")
        max_list_ratio: float = decides(0.3, ge=0, description=f"Most line feeds per token. {PLACE}")

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order and under its names."""
        p = self.params
        return (
            Rule("empty", "num_lines", ">=", p.min_lines, "min_lines"),
            Rule("line_punct_ratio", "line_punct_ratio", ">=", p.min_line_punct_ratio, "min_line_punct_ratio"),
            *at_most("short_line_ratio", "short_line_ratio", p.max_short_line_ratio, "max_short_line_ratio"),
            *at_most("char_dup_ratio", "char_dup_ratio", p.max_char_dup_ratio, "max_char_dup_ratio"),
            *at_most("list_ratio", "list_ratio", p.max_list_ratio, "max_list_ratio"),
        )

    def measure(self, batch: Batch) -> Measured:
        from filters.conformance.fineweb_kernels import count_lines
        from filters.conformance.spacy.spacy_rules import tokenizer

        words = spacy_words(batch)
        lines, ended, short, repeated, feeds, others = count_lines(
            batch.data, batch.offsets, tokenizer().rules.bits, terminal_table(), self.params.short_line_length
        )
        judged = np.where(ended == 0, 0, lines) if self.params.line_punct_exclude_zero else lines
        return Measured(
            signals={
                "num_lines": lines,
                "line_punct_ratio": ratio(ended, judged),
                "short_line_ratio": ratio(short, lines),
                "char_dup_ratio": ratio(repeated, np.where(lines > 0, others, 0)),
                "list_ratio": ratio(feeds, np.diff(words.doc_offsets)),
            }
        )


@cache
def terminal_table() -> np.ndarray:
    """Return bool[0x110000]: the characters that end a sentence."""
    table = np.zeros(0x110000, np.bool_)
    table[[ord(char) for char in TERMINAL]] = True
    table.flags.writeable = False
    return table
