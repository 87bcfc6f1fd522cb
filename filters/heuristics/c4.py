"""Documents -> documents without the lines that C4 calls boilerplate, and what its page rules judge.

Definitions follow datatrove 0.10's C4QualityFilter (Raffel et al. 2020, section 2.2) except where it is known to err,
listed here with the reason. The lines that stay keep their indentation, and blank lines between them stay, so code and
paragraphs survive; nothing is rewritten where no line is dropped and no marker removed. A citation marker is `[1]` to
`[999]`, `[edit]` or `[citation needed]`; `[]` and `[0]` are code. So is `result[1]`, which looks like a citation and
loses its index: where documents hold code, say `citations: keep`. Line rules see the line after its markers are gone,
so `fine. [3]` ends a sentence. Closing brackets and markup after a full stop do not hide it. `lorem ipsum` and braces
count in the whole document, as in the paper, not only in lines that pass. Sentences are counted by a cheap rule (see
`num_sentences`), not by spaCy. A blank line is never a short line.

Every signal in plain Python: `c4_quality` in `filters/heuristics/definitions.py`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.core.step import EditingStep, Measured, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

SOURCE = "C4, section 2.2."
LINE_SIGNALS = (
    ("num_lines_kept", "Lines that stay, blank ones aside."),
    ("num_lines_long_word", "Lines dropped for a word longer than max_word_length."),
    ("num_lines_not_ended", "Lines dropped for not ending in terminal punctuation or a quotation mark, or in `...`."),
    ("num_lines_few_words", "Lines dropped for fewer than min_words_per_line words."),
    ("num_lines_javascript", "Lines dropped for the word javascript."),
    ("num_lines_policy", "Lines dropped for terms of use, privacy policy or cookies."),
)


class C4Quality(EditingStep):
    """C4's line rules, applied, and its page rules."""

    name = "c4_quality"
    version = 3
    cuts = True
    signals = (
        *(Signal(name, pa.int64(), "lines", meaning) for name, meaning in LINE_SIGNALS),  # the first failure counts
        Signal(
            "num_sentences", pa.int64(), "sentences",
            "In the lines that stay: words that end in terminal punctuation, closing marks aside, but not in an "
            "ellipsis or in a lone letter or digit and a full stop (J. e.g. 3. 1.5.), and one more for "
            "each line whose last word does not.",
        ),
        Signal("num_citations", pa.int64(), "markers", "Citation markers removed from the lines that stay."),
        Signal("num_lorem_ipsum", pa.int64(), "phrases", "`lorem ipsum` in any case, in the whole document."),
        Signal("num_curly_brackets", pa.int64(), "characters", "Left braces in the whole document."),
    )  # fmt: skip

    class Params(BaseParams):
        terminal_punctuation: bool = Field(
            default=True, description=f"Drop lines that do not end a sentence; FineWeb switches this off. {SOURCE}"
        )
        min_words_per_line: int = Field(default=3, ge=0, description=f"Drop lines with fewer words. {SOURCE}")
        max_word_length: int = Field(
            default=1000, ge=1, description="Drop lines with a word of more characters. datatrove 0.10."
        )
        javascript_lines: Literal["drop", "keep"] = Field(
            default="drop", description=f"What to do with lines that say javascript. {SOURCE}"
        )
        policy_lines: Literal["drop", "keep"] = Field(
            default="drop", description=f"What to do with lines about terms of use, privacy and cookies. {SOURCE}"
        )
        citations: Literal["remove", "keep"] = Field(
            default="remove",
            description="What to do with `[1]` to `[999]`, `[edit]`, `[citation needed]`. `keep` where documents hold "
            "code, of which `remove` takes `x[1]` for a citation. datatrove 0.10.",
        )
        max_lorem_ipsum: int | None = decides(0, ge=0, description=f"Most `lorem ipsum`; null: any number. {SOURCE}")
        max_curly_brackets: int | None = decides(0, ge=0, description=f"Most left braces; null for code. {SOURCE}")
        min_sentences: int = decides(5, ge=0, description=f"Fewest sentences in the lines that stay. {SOURCE}")

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the page rules; a limit of null is no rule."""
        p = self.params
        rules = []
        if p.max_lorem_ipsum is not None:
            rules.append(Rule("lorem_ipsum", "num_lorem_ipsum", "<=", p.max_lorem_ipsum, "max_lorem_ipsum"))
        if p.max_curly_brackets is not None:
            rules.append(Rule("curly_bracket", "num_curly_brackets", "<=", p.max_curly_brackets, "max_curly_brackets"))
        rules.append(Rule("too_few_sentences", "num_sentences", ">=", p.min_sentences, "min_sentences"))
        return tuple(rules)

    def measure(self, batch: Batch) -> Measured:
        from filters.heuristics.c4_kernels import NUM_ACTIONS, judge_lines, kept_ranges, kept_runs
        from filters.heuristics.c4_words import words_left
        from pipeline.core.text.characters import character_table
        from pipeline.core.text.cut import cut, masked, ranges_array

        p, words, lines = self.params, batch.words, batch.lines
        actions, counts = judge_lines(
            batch.data,
            batch.offsets,
            (words.starts, words.num_bytes, words.num_chars, words.flags),
            (lines.doc_offsets, lines.starts, lines.ends, lines.word_offsets),
            (
                p.max_word_length,
                p.terminal_punctuation,
                p.min_words_per_line,
                p.javascript_lines == "drop",
                p.policy_lines == "drop",
                p.citations == "remove",
            ),
            character_table(),
        )
        counts = np.ascontiguousarray(counts.T)
        edited = (counts[1:NUM_ACTIONS].sum(axis=0) + counts[7]) > 0
        runs = kept_runs(lines.doc_offsets, lines.word_offsets, actions, edited)
        ends, ranges = kept_ranges(
            batch.data, batch.offsets, (lines.starts, lines.ends), actions, edited, runs, counts[7].sum()
        )
        kept = ranges_array(ends, ranges, present=edited)
        whole = cut(batch.text, kept)
        text = masked(whole, present=edited)
        left = (actions, runs, ends, ranges)
        batch.foresee(
            text, whole=whole, segmentation=lambda before: words_left(before, whole, left, edited, counts[7] > 0)
        )
        signals = {signal.name: counts[row] for row, signal in enumerate(self.signals)}
        return Measured(signals=signals, text=text, kept=kept)
