"""Documents -> what Gopher's quality and repetition rules judge.

Definitions follow datatrove 0.10's GopherQualityFilter and GopherRepetitionFilter (Rae et al. 2021, appendix A.1)
except where those are known to err, listed here with the reason. Both: words are runs of non-space characters, so
`10km`, `state-of-the-art` and `can't` are one word and punctuation is none; CRLF is one line end, so CRLF prose is not
a document of repeated carriage returns; every signal is measured for every document, whatever the first rule says.

Quality: stop words match in any case and without the punctuation around them, so a sentence may begin with `The` (those
of another language, or of a file, as `stop_word_kernels.py` says); blank lines are not counted among the lines, or they
would hide bullets; `*` and the usual bullets count beside `-`.

Repetition: a line is its words, so indentation and spacing do not hide a repeat; blank lines, also at the start and
the end, are no repeats; paragraphs are parted by blank lines even if those hold spaces; an n-gram that occurs once
is not repetition, so `Hello world.` passes; n-grams are told apart by their words, not by their glued letters.

Every signal in plain Python: `gopher_quality` and `gopher_repetition` in `filters/heuristics/definitions.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from filters.heuristics.ratio import ratio
from pipeline.core.errors import DataError, nearest_names
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides, input_names
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

SOURCE = "Gopher, A.1.1."
Words = Literal["spaces", "characters"]
WORDS = (
    "`characters`: each character of a script without spaces (Chinese, Japanese, Thai, Lao, Burmese, Khmer) is a word, "
    "as if a space followed it; all else as with `spaces`."
)


ENGLISH = "en"


class GopherQuality(MeasuringStep):
    """Gopher's quality rules."""

    name = "gopher_quality"
    signals: tuple[Signal, ...] = (
        Signal("num_words", pa.int64(), "words", "Runs of non-space characters that hold a letter or digit."),
        Signal("mean_word_length", pa.float64(), "characters", "Mean length of those words. Null without any."),
        Signal("hash_ratio", pa.float64(), "ratio", "`#` characters per run of non-space characters."),
        Signal("ellipsis_ratio", pa.float64(), "ratio", "`...` (not overlapping) and U+2026 per run of non-space."),
        Signal("bullet_line_frac", pa.float64(), "share", "Lines that begin with a bullet, of lines not blank."),
        Signal("ellipsis_line_frac", pa.float64(), "share", "Lines that end in `...` or U+2026, of lines not blank."),
        Signal("alpha_word_frac", pa.float64(), "share", "Runs of non-space characters that hold a letter."),
        Signal("num_stop_words", pa.int64(), "words", "How many of the, be, to, of, and, that, have, with occur."),
    )

    class Params(BaseParams):
        words: Words = Field(default="spaces", description=WORDS)
        stop_words: str = Field(default=ENGLISH, description="The language whose stop words are counted: de, fr, zh...")
        stop_word_files: tuple[str, ...] = input_names(
            (), description="Files of stop words instead, UTF-8, one a line, plain or .gz."
        )
        min_words: int = decides(50, ge=0, description=f"Fewest words. {SOURCE}")
        max_words: int = decides(100_000, ge=0, description=f"Most words. {SOURCE}")
        min_mean_word_length: float = decides(3.0, ge=0, description=f"Least mean word length, characters. {SOURCE}")
        max_mean_word_length: float = decides(
            10.0, ge=0, description=f"Greatest mean word length, characters. {SOURCE}"
        )
        max_hash_ratio: float = decides(0.1, ge=0, description=f"Most `#` per word. {SOURCE}")
        max_ellipsis_ratio: float = decides(0.1, ge=0, description=f"Most ellipses per word. {SOURCE}")
        max_bullet_lines: float = decides(0.9, ge=0, le=1, description=f"Largest share of bullet lines. {SOURCE}")
        max_ellipsis_lines: float = decides(0.3, ge=0, le=1, description=f"Largest share of cut-off lines. {SOURCE}")
        min_alpha_words: float = decides(0.8, ge=0, le=1, description=f"Least share of words with a letter. {SOURCE}")
        min_stop_words: int = decides(2, ge=0, le=8, description=f"Fewest different stop words. {SOURCE}")

        @field_validator("stop_words")
        @classmethod
        def _known(cls, language: str) -> str:
            from filters.heuristics.stop_words import packaged

            known = (ENGLISH, *packaged())
            if language not in known:
                near = nearest_names(language, known)
                raise ValueError(
                    f"no list of stop words comes with Tamis for `{language}`. Did you mean {near}? "
                    f"There are {', '.join(known)}. Give words of your own in a file: stop_word_files: [FILE]"
                )
            return language

        @model_validator(mode="after")
        def _one_list(self) -> Self:
            if self.stop_word_files and self.stop_words != ENGLISH:
                raise ValueError("stop_words and stop_word_files name a list each; keep one of them")
            return self

    params: Params

    def __init__(self, *, params: Any) -> None:
        super().__init__(params=params)
        self._listed: Any = None  # a StopWords; None: Gopher's English words, whose flags the batch has
        if not self._english:
            which = f"the list {params.stop_words}" if params.stop_words != ENGLISH else "stop_word_files"
            counted = Signal("num_stop_words", pa.int64(), "words", f"How many of {which} occur.")
            self.signals = (*self.signals[:-1], counted)

    @property
    def _english(self) -> bool:
        return self.params.stop_words == ENGLISH and not self.params.stop_word_files

    def identity_extras(self) -> dict[str, Any]:
        """Return the words of a packaged list: results do not outlive another list."""
        if self.params.stop_words == ENGLISH:
            return super().identity_extras()
        from filters.heuristics.stop_words import packaged

        return super().identity_extras() | {"stop_words": list(packaged()[self.params.stop_words])}

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Load the stop words; DataError if files hold none, or fewer than a document needs."""
        if self._english:
            return
        from filters.heuristics.stop_word_kernels import StopWords
        from filters.heuristics.stop_words import packaged, read_lists

        paths = inputs.get("stop_word_files", ())
        entries = read_lists(paths) if paths else packaged()[self.params.stop_words]
        self._listed = StopWords.of(entries)
        if len(self._listed) < self.params.min_stop_words:
            raise DataError(
                f"{self.name}: {', '.join(map(str, paths))} has {len(self._listed)} different words, and no document "
                f"can hold min_stop_words {self.params.min_stop_words}. Add words, or lower min_stop_words."
            )

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order and under its names."""
        p = self.params
        return (
            Rule("gopher_short_doc", "num_words", ">=", p.min_words, "min_words"),
            Rule("gopher_long_doc", "num_words", "<=", p.max_words, "max_words"),
            Rule(
                "gopher_below_avg_threshold", "mean_word_length", ">=", p.min_mean_word_length, "min_mean_word_length"
            ),
            Rule(
                "gopher_above_avg_threshold", "mean_word_length", "<=", p.max_mean_word_length, "max_mean_word_length"
            ),
            Rule("gopher_too_many_hashes", "hash_ratio", "<=", p.max_hash_ratio, "max_hash_ratio"),
            Rule("gopher_too_many_ellipsis", "ellipsis_ratio", "<=", p.max_ellipsis_ratio, "max_ellipsis_ratio"),
            Rule("gopher_too_many_bullets", "bullet_line_frac", "<=", p.max_bullet_lines, "max_bullet_lines"),
            Rule(
                "gopher_too_many_end_ellipsis", "ellipsis_line_frac", "<=", p.max_ellipsis_lines, "max_ellipsis_lines"
            ),
            Rule("gopher_below_alpha_threshold", "alpha_word_frac", ">=", p.min_alpha_words, "min_alpha_words"),
            Rule("gopher_enough_stop_words", "num_stop_words", ">=", p.min_stop_words, "min_stop_words"),
        )

    def measure(self, batch: Batch) -> Measured:
        from filters.heuristics.gopher_kernels import count_lines, count_symbols, count_words
        from pipeline.core.text.characters import character_table

        listed = None if self._listed is None else self._listed.count(batch)
        batch = as_counted(batch, words=self.params.words)
        words, lines = batch.words, batch.lines
        num_words, letters, with_letter, stop_words = count_words(words.doc_offsets, words.num_chars, words.flags)
        hashes, ellipses = count_symbols(batch.data, batch.offsets)
        full_lines, bullets, cut_off = count_lines(
            batch.data,
            batch.offsets,
            words.starts,
            words.num_bytes,
            lines.doc_offsets,
            lines.word_offsets,
            character_table(),
        )
        all_words = np.diff(words.doc_offsets)
        return Measured(
            signals={
                "num_words": num_words,
                "mean_word_length": ratio(letters, num_words),
                "hash_ratio": ratio(hashes, all_words),
                "ellipsis_ratio": ratio(ellipses, all_words),
                "bullet_line_frac": ratio(bullets, full_lines),
                "ellipsis_line_frac": ratio(cut_off, full_lines),
                "alpha_word_frac": ratio(with_letter, all_words),
                "num_stop_words": stop_words if listed is None else listed,
            }
        )


TABLE_A1 = "Gopher, table A1."


def _share(name: str, meaning: str) -> Signal:
    return Signal(name, pa.float64(), "share", meaning + " Null where the document has no words.")


def _limit(default: float, what: str) -> float:
    limit: float = decides(default, ge=0, description=f"Most {what} (share). {TABLE_A1}")
    return limit


class GopherRepetition(MeasuringStep):
    """Gopher's thirteen repetition rules."""

    name = "gopher_repetition"
    signals = (
        Signal("num_words", pa.int64(), "words", "Maximal runs of characters that are not white space."),
        _share("dup_para_frac", "Paragraphs that stood before in the document, of all paragraphs."),
        _share("dup_para_char_frac", "Characters of paragraphs that stood before, of all characters."),
        _share("dup_line_frac", "Lines that stood before in the document, of all lines that are not blank."),
        _share("dup_line_char_frac", "Characters of lines that stood before, of all characters."),
        *(
            _share(
                f"top_{size}_gram_char_frac",
                f"Characters of the most frequent {size} words in a row, joined by spaces, times its count, of all "
                "characters; overlaps count, so it can pass 1; 0 where none occurs twice; the first on a tie.",
            )
            for size in (2, 3, 4)
        ),
        *(
            _share(
                f"dup_{size}_gram_char_frac",
                f"Characters, spaces aside, of {size} words in a row that stood before, walking left to right and "
                "jumping over each that counts, of all characters.",
            )
            for size in (5, 6, 7, 8, 9, 10)
        ),
    )

    class Params(BaseParams):
        words: Words = Field(default="spaces", description=WORDS)
        min_words: int = decides(
            1, ge=0, description="Fewest words; an empty document repeats nothing and is still dropped."
        )
        max_dup_para_frac: float = _limit(0.3, "repeated paragraphs")
        max_dup_para_char_frac: float = _limit(0.2, "characters in repeated paragraphs")
        max_dup_line_frac: float = _limit(0.3, "repeated lines")
        max_dup_line_char_frac: float = _limit(0.2, "characters in repeated lines")
        max_top_2_gram: float = _limit(0.2, "characters in the top 2-gram")
        max_top_3_gram: float = _limit(0.18, "characters in the top 3-gram")
        max_top_4_gram: float = _limit(0.16, "characters in the top 4-gram")
        max_dup_5_gram: float = _limit(0.15, "characters in repeated 5-grams")
        max_dup_6_gram: float = _limit(0.14, "characters in repeated 6-grams")
        max_dup_7_gram: float = _limit(0.13, "characters in repeated 7-grams")
        max_dup_8_gram: float = _limit(0.12, "characters in repeated 8-grams")
        max_dup_9_gram: float = _limit(0.11, "characters in repeated 9-grams")
        max_dup_10_gram: float = _limit(0.10, "characters in repeated 10-grams")

    params: Params
    PARTS: ClassVar = ("dup_para_frac", "dup_para_char_frac", "dup_line_frac", "dup_line_char_frac")

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order."""

        def at_most(reason: str, signal: str, key: str) -> Rule:
            return Rule(reason, signal, "<=", getattr(self.params, key), key)

        return (
            Rule("empty", "num_words", ">=", self.params.min_words, "min_words"),
            *(at_most(part, part, f"max_{part}") for part in self.PARTS),
            *(at_most(f"top_{n}_gram", f"top_{n}_gram_char_frac", f"max_top_{n}_gram") for n in (2, 3, 4)),
            *(at_most(f"duplicated_{n}_n_grams", f"dup_{n}_gram_char_frac", f"max_dup_{n}_gram") for n in range(5, 11)),
        )

    def measure(self, batch: Batch) -> Measured:
        from filters.heuristics.repetition import repeated_grams, repeated_lines

        batch = as_counted(batch, words=self.params.words)
        words, lines = batch.words, batch.lines
        of_lines = repeated_lines(
            lines.doc_offsets, lines.word_offsets, lines.char_starts, lines.num_chars, lines.hashes
        )
        of_grams = repeated_grams(words.doc_offsets, words.hashes, words.num_chars)
        num_words = np.diff(words.doc_offsets)
        shares: dict[str, object] = {
            "num_words": num_words,
            "dup_para_frac": ratio(of_lines[:, 1], of_lines[:, 0]),
            "dup_line_frac": ratio(of_lines[:, 4], of_lines[:, 3]),
        }
        num_chars = np.where(num_words > 0, batch.segmentation.num_chars, 0)
        shares["dup_para_char_frac"] = ratio(of_lines[:, 2], num_chars)
        shares["dup_line_char_frac"] = ratio(of_lines[:, 5], num_chars)
        for column, size in enumerate((2, 3, 4, 5, 6, 7, 8, 9, 10)):
            kind = "top" if size <= 4 else "dup"
            shares[f"{kind}_{size}_gram_char_frac"] = ratio(of_grams[:, column], num_chars)
        return Measured(signals=shares)


def as_counted(batch: Batch, *, words: Words) -> Batch:
    """Return the batch in which words are told apart by spaces, made so where characters are words."""
    if words == "spaces":
        return batch
    from filters.words.apart import apart

    return apart(batch)
