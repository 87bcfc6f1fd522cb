"""Documents -> documents as datatrove 0.10's C4QualityFilter rewrites them, what it judges, and C4ParagraphFilter's.

Definitions are theirs: lines are `str.splitlines`, stripped; a line's words are counted before its citation markers
are removed and its end is looked at after; `lorem ipsum` or a brace drops the document only in a line that passed the
rules before; sentences are spaCy's, line by line. The text is rewritten for every document, also where nothing was
dropped: kept lines, stripped, joined by line feeds. What would follow a line that drops the document is measured as
if that line were dropped alone. There is no `split_paragraph: false`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.conformance.spacy.words import words_of
from pipeline.core.step import EditingStep, Measured, MeasuringStep, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch, text_array

PLACE = "datatrove 0.10, c4_filters.py."
LINE_SIGNALS = (
    ("num_lines_kept", "Lines that stay."),
    ("num_lines_long_word", "Lines dropped for a word longer than max_word_length."),
    ("num_lines_not_ended", "Lines dropped for not ending in one of . ? ! \" ', or for ending in `...`."),
    ("num_lines_few_words", "Lines dropped for fewer than min_words_per_line words."),
    ("num_lines_lorem_ipsum", "Lines that passed the rules before and say lorem ipsum."),
    ("num_lines_javascript", "Lines dropped for the word javascript."),
    ("num_lines_curly_bracket", "Lines that passed the rules before and hold a left brace."),
    ("num_lines_policy", "Lines dropped for terms of use, privacy policy or cookies."),
)
Action = Literal["drop", "keep"]


class C4Quality(EditingStep):
    """C4's line rules, applied, and its page rules, as datatrove 0.10 has them."""

    name = "c4_quality@datatrove-0.10"
    leans_on = ("spacy",)
    signals = (
        *(Signal(name, pa.int64(), "lines", meaning) for name, meaning in LINE_SIGNALS),  # the first failure counts
        Signal("num_citations", pa.int64(), "markers", "Citation markers removed from the lines that stay."),
        Signal("lorem_ipsum", pa.int8(), "0 or 1", "1 if the first line that drops the document says lorem ipsum."),
        Signal("curly_bracket", pa.int8(), "0 or 1", "1 if the first line that drops the document holds a left brace."),
        Signal("num_sentences", pa.int64(), "sentences", "In the lines that stay, at least one a line."),
    )

    class Params(BaseParams):
        terminal_punctuation: bool = Field(
            default=True, description=f"Drop lines that do not end a sentence; FineWeb switches this off. {PLACE}"
        )
        min_words_per_line: int = Field(default=3, ge=0, description=f"Drop lines with fewer words. {PLACE}")
        max_word_length: int | None = Field(
            default=1000, ge=0, description=f"Drop lines with a word of more characters; null: none. {PLACE}"
        )
        lorem_ipsum: Action = Field(default="drop", description=f"Documents that say lorem ipsum. {PLACE}")
        javascript: Action = Field(default="drop", description=f"Lines that say javascript. {PLACE}")
        curly_bracket: Action = Field(default="drop", description=f"Documents with a left brace. {PLACE}")
        policy: Action = Field(default="drop", description=f"Lines about terms of use, privacy, cookies. {PLACE}")
        citations: Literal["remove", "keep"] = Field(
            default="remove", description=f"What to do with `[1]`, `[]`, `[edit]`, `[citation needed]`. {PLACE}"
        )
        min_sentences: int = decides(5, ge=0, description=f"Fewest sentences in the lines that stay. {PLACE}")

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rules under datatrove's names; of the first two, one signal at most is not 0."""
        return (
            Rule("lorem_ipsum", "lorem_ipsum", "<=", 0),
            Rule("curly_bracket", "curly_bracket", "<=", 0),
            Rule("too_few_sentences", "num_sentences", ">=", self.params.min_sentences, "min_sentences"),
        )

    def measure(self, batch: Batch) -> Measured:
        from filters.conformance.c4_kernels import (
            CITATIONS,
            FIRST_CURLY,
            FIRST_LOREM,
            count_sentences,
            keep_lines,
            strip_documents,
        )
        from filters.conformance.spacy.spacy_rules import tokenizer
        from pipeline.core.text.characters import character_table

        p = self.params
        actions = (p.lorem_ipsum, p.javascript, p.curly_bracket, p.policy)
        limits = (
            -1 if p.max_word_length is None else p.max_word_length, int(p.terminal_punctuation), p.min_words_per_line,
            *(int(action == "drop") for action in actions), int(p.citations == "remove"),
        )  # fmt: skip
        data, offsets = batch.data[: int(batch.offsets[-1])], batch.offsets
        bits = tokenizer().rules.bits
        num_lines = len(data) + len(batch)  # of one byte each, at most
        out, lines = np.empty(num_lines, np.uint8), (np.empty(num_lines, np.int32), np.empty(num_lines, np.int32))
        out_offsets, doc_lines, counts = keep_lines(data, offsets, limits, (character_table(), bits), out, lines)
        out = out[: int(out_offsets[-1])]
        words = words_of(out, out_offsets)
        sentences = count_sentences(out, doc_lines, lines, (words.starts, words.ends, words.flags, words.doc_offsets))
        kept, kept_offsets = strip_documents(out, out_offsets, bits)
        return Measured(
            signals={
                **{name: counts[action] for action, (name, _) in enumerate(LINE_SIGNALS)},
                "num_citations": counts[CITATIONS],
                "lorem_ipsum": counts[FIRST_LOREM].astype(np.int8),
                "curly_bracket": counts[FIRST_CURLY].astype(np.int8),
                "num_sentences": sentences,
            },
            text=text_array(kept, kept_offsets),
        )


class C4Paragraph(MeasuringStep):
    """C4's rule of three long paragraphs, as datatrove 0.10 has it."""

    name = "c4_paragraph@datatrove-0.10"
    signals = (
        Signal(
            "third_longest_line", pa.int64(), "characters",
            "Third-longest of what stands between line feeds; -1 with fewer than three such pieces.",
        ),
    )  # fmt: skip

    class Params(BaseParams):
        min_third_longest_line: int = decides(
            200, ge=0, description=f"Least length of the third-longest line; fixed there. {PLACE}"
        )

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the one rule."""
        least = self.params.min_third_longest_line
        return (Rule("< 3 paragraphs", "third_longest_line", ">=", least, "min_third_longest_line"),)

    def measure(self, batch: Batch) -> Measured:
        from filters.conformance.c4_kernels import third_longest

        return Measured(signals={"third_longest_line": third_longest(batch.data, batch.offsets)})
