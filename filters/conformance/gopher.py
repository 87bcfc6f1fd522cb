"""Documents -> what datatrove 0.10's GopherQualityFilter and GopherRepetitionFilter judge, verdict for verdict.

Definitions are theirs, with what `filters/heuristics/gopher.py` puts right left as it is: words are spaCy's tokens, so
punctuation counts among them; stop words match in lower case only; blank lines are lines; `*` is no bullet; CRLF leaves
a carriage return on every line, and an n-gram that occurs once is the top one. Every signal is measured for every
document, also behind the first rule that fails. A threshold of null switches its rule off, as it does there.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa

from filters.conformance.spacy.words import spacy_words
from filters.heuristics.ratio import ratio
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

PLACE = "datatrove 0.10, gopher_quality_filter.py."


def at_most(reason: str, signal: str, threshold: float | None, key: str) -> tuple[Rule, ...]:
    """Return the rule `signal <= threshold`, or none where the threshold is null."""
    return () if threshold is None else (Rule(reason, signal, "<=", threshold, key),)


class GopherQuality(MeasuringStep):
    """Gopher's quality rules as datatrove 0.10 has them."""

    name = "gopher_quality@datatrove-0.10"
    leans_on = ("spacy",)
    signals = (
        Signal("num_words", pa.int64(), "words", "Tokens with a character that is not punctuation."),
        Signal("mean_word_length", pa.float64(), "characters", "Mean length of those tokens. Null without any."),
        Signal("hash_ratio", pa.float64(), "ratio", "`#` characters per token."),
        Signal("ellipsis_ratio", pa.float64(), "ratio", "`...` (not overlapping) and U+2026 per token."),
        Signal("bullet_line_frac", pa.float64(), "share", "Lines that begin with U+2022 or `-`, of all lines."),
        Signal("ellipsis_line_frac", pa.float64(), "share", "Lines that end in `...` or U+2026, of all lines."),
        Signal("alpha_word_frac", pa.float64(), "share", "Tokens that hold a letter, of all tokens."),
        Signal("num_stop_words", pa.int64(), "words", "How many of the, be, to, of, and, that, have, with occur."),
    )

    class Params(BaseParams):
        min_words: int = decides(50, ge=0, description=f"Fewest tokens that are not punctuation. {PLACE}")
        max_words: int | None = decides(100_000, ge=1, description=f"Most of them. {PLACE}")
        min_mean_word_length: float = decides(3.0, ge=0, description=f"Least mean token length, characters. {PLACE}")
        max_mean_word_length: float | None = decides(
            10.0, gt=0, description=f"Greatest mean token length, characters. {PLACE}"
        )
        max_hash_ratio: float | None = decides(0.1, gt=0, description=f"Most `#` per token. {PLACE}")
        max_ellipsis_ratio: float | None = decides(0.1, gt=0, description=f"Most ellipses per token. {PLACE}")
        max_bullet_lines: float | None = decides(0.9, gt=0, le=1, description=f"Largest share of bullets. {PLACE}")
        max_ellipsis_lines: float | None = decides(
            0.3, gt=0, le=1, description=f"Largest share of cut-off lines. {PLACE}"
        )
        min_alpha_words: float = decides(0.8, ge=0, le=1, description=f"Least share with a letter. {PLACE}")
        min_stop_words: int = decides(2, ge=0, le=8, description=f"Fewest different stop words. {PLACE}")

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order and under its names."""
        p = self.params
        long = at_most("gopher_above_avg_threshold", "mean_word_length", p.max_mean_word_length, "max_mean_word_length")
        return (
            Rule("gopher_short_doc", "num_words", ">=", p.min_words, "min_words"),
            *at_most("gopher_long_doc", "num_words", p.max_words, "max_words"),
            Rule(
                "gopher_below_avg_threshold", "mean_word_length", ">=", p.min_mean_word_length, "min_mean_word_length"
            ),
            *long,
            *at_most("gopher_too_many_hashes", "hash_ratio", p.max_hash_ratio, "max_hash_ratio"),
            *at_most("gopher_too_many_ellipsis", "ellipsis_ratio", p.max_ellipsis_ratio, "max_ellipsis_ratio"),
            *at_most("gopher_too_many_bullets", "bullet_line_frac", p.max_bullet_lines, "max_bullet_lines"),
            *at_most("gopher_too_many_end_ellipsis", "ellipsis_line_frac", p.max_ellipsis_lines, "max_ellipsis_lines"),
            Rule("gopher_below_alpha_threshold", "alpha_word_frac", ">=", p.min_alpha_words, "min_alpha_words"),
            Rule("gopher_enough_stop_words", "num_stop_words", ">=", p.min_stop_words, "min_stop_words"),
        )

    def measure(self, batch: Batch) -> Measured:
        from filters.conformance.gopher_kernels import count_lines, count_words
        from filters.conformance.spacy.spacy_rules import tokenizer
        from filters.heuristics.gopher_kernels import count_symbols
        from pipeline.core.text.characters import character_table

        words = spacy_words(batch)
        num_words, letters, with_letter, stop_words = count_words(words.doc_offsets, words.num_chars, words.flags)
        hashes, ellipses = count_symbols(batch.data, batch.offsets)
        bits = tokenizer().rules.bits
        lines, bullets, cut_off = count_lines(batch.data, batch.offsets, character_table(), bits)
        all_words = np.diff(words.doc_offsets)
        return Measured(
            signals={
                "num_words": num_words,
                "mean_word_length": ratio(letters, num_words),
                "hash_ratio": ratio(hashes, all_words),
                "ellipsis_ratio": ratio(ellipses, all_words),
                "bullet_line_frac": ratio(bullets, lines),
                "ellipsis_line_frac": ratio(cut_off, lines),
                "alpha_word_frac": ratio(with_letter, all_words),
                "num_stop_words": stop_words,
            }
        )


REPETITION = "datatrove 0.10, gopher_repetition_filter.py."


def _share(name: str, meaning: str) -> Signal:
    return Signal(name, pa.float64(), "share", meaning + " Null where the document is empty.")


def _limit(default: float, what: str) -> float | None:
    limit: float | None = decides(default, ge=0, description=f"Most {what} (share). {REPETITION}")
    return limit


class GopherRepetition(MeasuringStep):
    """Gopher's thirteen repetition rules as datatrove 0.10 has them."""

    name = "gopher_repetition@datatrove-0.10"
    leans_on = ("spacy",)
    signals = (
        Signal("num_chars", pa.int64(), "characters", "Length of the document."),
        _share("dup_para_frac", "Paragraphs that stood before, of all: parted by two line feeds or more."),
        _share("dup_para_char_frac", "Characters of paragraphs that stood before, of all characters."),
        _share("dup_line_frac", "Lines that stood before, of all: parted by line feeds, empty ends included."),
        _share("dup_line_char_frac", "Characters of lines that stood before, of all characters."),
        *(
            _share(
                f"top_{size}_gram_char_frac",
                f"Characters of the most frequent {size} tokens in a row, joined by spaces, times its count, of all "
                "characters; overlaps count, so it can pass 1; the first on a tie, also where none occurs twice.",
            )
            for size in (2, 3, 4)
        ),
        *(
            _share(
                f"dup_{size}_gram_char_frac",
                f"Characters of {size} tokens in a row whose letters stood before as {size} tokens, walking left to "
                "right and jumping over each that counts, of all characters.",
            )
            for size in (5, 6, 7, 8, 9, 10)
        ),
    )

    class Params(BaseParams):
        min_chars: int = decides(1, ge=0, description="Fewest characters; an empty document fails as `empty`.")
        max_dup_para_frac: float | None = _limit(0.3, "repeated paragraphs")
        max_dup_para_char_frac: float | None = _limit(0.2, "characters in repeated paragraphs")
        max_dup_line_frac: float | None = _limit(0.3, "repeated lines")
        max_dup_line_char_frac: float | None = _limit(0.2, "characters in repeated lines")
        max_top_2_gram: float | None = _limit(0.2, "characters in the top 2-gram")
        max_top_3_gram: float | None = _limit(0.18, "characters in the top 3-gram")
        max_top_4_gram: float | None = _limit(0.16, "characters in the top 4-gram")
        max_dup_5_gram: float | None = _limit(0.15, "characters in repeated 5-grams")
        max_dup_6_gram: float | None = _limit(0.14, "characters in repeated 6-grams")
        max_dup_7_gram: float | None = _limit(0.13, "characters in repeated 7-grams")
        max_dup_8_gram: float | None = _limit(0.12, "characters in repeated 8-grams")
        max_dup_9_gram: float | None = _limit(0.11, "characters in repeated 9-grams")
        max_dup_10_gram: float | None = _limit(0.10, "characters in repeated 10-grams")

    params: Params
    PARTS: ClassVar = ("dup_para_frac", "dup_para_char_frac", "dup_line_frac", "dup_line_char_frac")

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order and under its names."""

        def rule(reason: str, signal: str, key: str) -> tuple[Rule, ...]:
            return at_most(reason, signal, getattr(self.params, key), key)

        return (
            Rule("empty", "num_chars", ">=", self.params.min_chars, "min_chars"),
            *(one for part in self.PARTS for one in rule(part, part, f"max_{part}")),
            *(one for n in (2, 3, 4) for one in rule(f"top_{n}_gram", f"top_{n}_gram_char_frac", f"max_top_{n}_gram")),
            *(
                one
                for n in range(5, 11)
                for one in rule(f"duplicated_{n}_n_grams", f"dup_{n}_gram_char_frac", f"max_dup_{n}_gram")
            ),
        )

    def measure(self, batch: Batch) -> Measured:
        from filters.conformance.gopher_kernels import repeated_grams, repeated_pieces
        from filters.conformance.spacy.spacy_rules import tokenizer

        words = spacy_words(batch)
        num_chars, paragraphs, dup_paragraphs, para_chars, lines, dup_lines, line_chars = repeated_pieces(
            batch.data, batch.offsets, tokenizer().rules.bits
        )
        of_grams = repeated_grams(words.doc_offsets, words.hashes, words.powers, words.num_chars)
        empty = num_chars == 0
        shares: dict[str, object] = {
            "num_chars": num_chars,
            "dup_para_frac": ratio(dup_paragraphs, np.where(empty, 0, paragraphs)),
            "dup_para_char_frac": ratio(para_chars, num_chars),
            "dup_line_frac": ratio(dup_lines, np.where(empty, 0, lines)),
            "dup_line_char_frac": ratio(line_chars, num_chars),
        }
        for row, size in enumerate(range(2, 11)):
            kind = "top" if size <= 4 else "dup"
            shares[f"{kind}_{size}_gram_char_frac"] = ratio(of_grams[row], num_chars)
        return Measured(signals=shares)
