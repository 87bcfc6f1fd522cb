"""Documents -> whether they hold a word of a list, as datatrove 0.10's C4BadWordsFilter looks for it.

A word counts between characters that no word has (`re`'s \\W), in the lower-cased text; in Japanese, Thai and Chinese
anywhere. datatrove downloads one list per language (LDNOOBW, commits 25e679f0 for `en`, 5faf2ba4 for others); here the
list is the recipe's file, one word a line, and the language its parameter instead of each document's metadata. The
words that datatrove allows (ja: sm and two more, zh: one) are taken out as there. There is no `keep_fraction`.
The words are a trie walked from every place where one may begin: about 200 MB/s with 400 words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.core.errors import DataError
from pipeline.core.process.kernels import njit
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides, input_names
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch
from pipeline.core.text.segment import character_start, decode

PLACE = "datatrove 0.10, c4_filters.py."
ALLOWED = {"sm", "\u30b0\u30ed", "\u5973\u306e\u5b50", "\u6027"}
WITHOUT_SPACES = ("ja", "th", "zh")
NOT_ASCII = -1
AS_IT_IS = np.arange(256, dtype=np.uint8)
LOWER = np.frombuffer(bytes(range(128)).lower(), np.uint8)


class C4BadWords(MeasuringStep):
    """C4's rule against pages with words of a list, as datatrove 0.10 has it."""

    name = "c4_badwords@datatrove-0.10"
    signals = (Signal("has_bad_word", pa.int8(), "0 or 1", "1 if a word of the list occurs."),)

    class Params(BaseParams):
        words: tuple[str, ...] = input_names(min_length=1, description="Text files of words, one a line, lower case.")
        language: str = Field(
            default="en", pattern="^[a-z]{2,3}(-[A-Za-z-]+)?$",
            description=f"Language of the list; in ja, th and zh a word need not stand alone. {PLACE}",
        )  # fmt: skip
        max_bad_words: int = decides(0, ge=0, le=1, description=f"1 keeps documents with a word of the list. {PLACE}")

    params: Params
    trie: tuple[np.ndarray, np.ndarray] | None = None

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Read the words; DataError where a file is not UTF-8 text."""
        words: set[str] = set()
        for path in inputs["words"]:
            try:
                with path.open(encoding="utf-8") as lines:
                    words.update(line.strip() for line in lines)
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: byte {error.start} is not UTF-8; a list is text, one word a line.") from error
        self.trie = trie_of(sorted(words - ALLOWED) or [""])  # no word at all is found everywhere, there too

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the one rule, under datatrove's name."""
        return (
            Rule("document_removed_with_badwords", "has_bad_word", "<=", self.params.max_bad_words, "max_bad_words"),
        )

    def measure(self, batch: Batch) -> Measured:
        assert self.trie is not None, "prepare comes before measure"
        alone = self.params.language not in WITHOUT_SPACES
        found = holds_word(batch.data, batch.offsets, *self.trie, LOWER, word_characters(), alone)
        rows = np.flatnonzero(found == NOT_ASCII)
        if len(rows):  # their lower case is Python's to say
            lowered = Batch.from_texts([batch.text[row].as_py().lower() for row in rows.tolist()])
            found[rows] = holds_word(lowered.data, lowered.offsets, *self.trie, AS_IT_IS, word_characters(), alone)
        return Measured(signals={"has_bad_word": found})


def trie_of(words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (int32[nodes, 256]: next node by byte or 0; bool[nodes]: a word ends here); node 0 is the root."""
    moves: list[dict[int, int]] = [{}]
    ends = [False]
    for word in words:
        node = 0
        for byte in word.encode():
            if byte not in moves[node]:
                moves[node][byte] = len(moves)
                moves.append({})
                ends.append(False)
            node = moves[node][byte]
        ends[node] = True
    table = np.zeros((len(moves), 256), np.int32)
    for node, row in enumerate(moves):
        table[node, list(row)] = list(row.values())
    return table, np.array(ends)


@cache
def word_characters() -> np.ndarray:
    """Return bool[0x110000]: what `\\w` of a regular expression matches."""
    table = np.zeros(0x110000, np.bool_)
    table[[code for code in range(0x110000) if chr(code).isalnum()]] = True
    table[ord("_")] = True
    table.flags.writeable = False
    return table


@njit(cache=True, nogil=True)
def holds_word(data: Any, offsets: Any, moves: Any, ends: Any, fold: Any, wordy: Any, alone: Any) -> Any:
    """Return int8[num_docs]: 1 if a word of the trie occurs; `alone`, only between ends or characters not `wordy`.

    Bytes are read through `fold`; a document with bytes beyond its length is NOT_ASCII.
    """
    found = np.zeros(len(offsets) - 1, np.int8)
    for doc in range(len(offsets) - 1):
        start, end = offsets[doc], offsets[doc + 1]
        highest = np.uint8(0)
        for at in range(start, end):
            highest = max(highest, data[at])
        found[doc] = NOT_ASCII if highest >= len(fold) else occurs(data, start, end, moves, ends, fold, wordy, alone)
    return found


@njit(cache=True, nogil=True)
def occurs(data: Any, start: Any, end: Any, moves: Any, ends: Any, fold: Any, wordy: Any, alone: Any) -> Any:
    """Say whether a word of the trie occurs in data[start:end]."""
    for begin in range(start, end + 1):
        if begin < end and data[begin] & 0xC0 == 0x80:
            continue  # inside a character
        if alone and begin > start:
            before = np.int64(data[begin - 1])
            if before >= 0x80:
                before, _ = decode(data, character_start(data, begin, start))
            if wordy[before]:
                continue
        node, at = 0, begin
        while True:
            if ends[node]:
                after, _ = decode(data, at) if at < end else (0x20, 1)
                if not alone or not wordy[after]:
                    return True
            node = moves[node, fold[data[at]]] if at < end else 0
            if node == 0:
                break
            at += 1
    return False
