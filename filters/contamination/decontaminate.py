"""`decontaminate`: documents that contain a run of 13 words of an evaluation item, and which item, by what text.

Thirteen words follow GPT-3 (arXiv 2005.14165, appendix C). Words are those of `filters/words/shingles.py`, so case,
accents, punctuation and line breaks do not hide a copy. An evaluation item shorter than that counts only as a whole,
and only from 8 words on: shorter ones ("What is the capital of France?") occur by chance. A licence or a disclaimer
inside an evaluation item matches too; `max_overlap` says how many shared runs are still tolerated. Each word costs one
probe of a bit table that at most 1 in 100 other hashes passes, so the size of the evaluation sets hardly shows in the
time. `fuzzy_words` also finds items whose words were moved about or partly replaced
(`filters/contamination/containment.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from filters.contamination.containment import contained_in, sketch_items
from filters.contamination.evaluation_items import read_items
from filters.words.run_index import build_index, find_runs
from filters.words.shingles import WordHashes, words_of
from pipeline.core.errors import DataError
from pipeline.core.step import Measured, MeasuringStep, Params, Quantile, Rule, Signal, decides, input_names
from pipeline.core.text.batch import Batch

EXCERPT_CHARACTERS = 300


class DecontaminateParams(Params):
    against: tuple[str, ...] = input_names(
        min_length=1,
        description="Evaluation sets: datasets of the recipe, or .parquet, .jsonl, .jsonl.gz or .txt files.",
    )
    ngram: int = Field(default=13, ge=2, le=64, description="Consecutive words of a shared run, count (GPT-3, app. C).")
    min_item_words: int = Field(
        default=8, ge=1, le=64, description="Items below `ngram` words count as a whole from this many words on, count."
    )
    fuzzy_words: int = Field(
        default=0, ge=0, le=64,
        description="Consecutive words of a fuzzy match, count; 3 finds reordered and half reworded items. 0 for none.",
    )  # fmt: skip
    containment: float = decides(
        0.8, ge=0, le=1,
        description="Most of an item that a kept document may hold, share, estimated by MinHash; needs `fuzzy_words`.",
    )  # fmt: skip
    max_overlap: int = decides(0, ge=0, description="Shared runs of words that a kept document may have, count.")

    @model_validator(mode="after")
    def _no_setting_without_effect(self) -> Self:
        if "containment" in self.model_fields_set and self.fuzzy_words == 0:
            raise ValueError("containment has no effect while fuzzy_words is 0; set fuzzy_words, 3 for example")
        return self


class Decontaminate(MeasuringStep):
    """Drop documents that give away evaluation items."""

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 2
    Params: ClassVar[type[Params]] = DecontaminateParams
    signals = (
        Signal("overlap", pa.int32(), "runs", "Runs of `ngram` words, or whole short items, found in evaluation sets."),
        Signal("overlap_fraction", pa.float32(), "fraction", "Share of the document's words inside such a run."),
        Signal("item", pa.string(), "id", "The evaluation item that the first such run belongs to; null without one."),
        Signal("excerpt", pa.string(), "text", f"The first such stretch, {EXCERPT_CHARACTERS} characters at most."),
        Signal(
            "containment", pa.float32(), "fraction", "Largest share of an item's runs of `fuzzy_words` words found."
        ),
        Signal("contained_item", pa.string(), "id", "The evaluation item of which that share was found; else null."),
        Signal("contained_excerpt", pa.string(), "text", "Where: from the first such run to the last, cut likewise."),
    )
    params: DecontaminateParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        copied = Rule("contaminated", "overlap", "<=", self.params.max_overlap, parameter="max_overlap")
        if self.params.fuzzy_words == 0:
            return (copied,)
        return (copied, Rule("contained", "containment", "<=", self.params.containment, parameter="containment"))

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Hash the evaluation items; DataError if not one of them is long enough to be found."""
        items = read_items(inputs["against"])
        self._item_ids = [item.id for item in items]
        texts = [item.text for item in items]
        self._index = build_index(texts, ngram=self.params.ngram, min_item_words=self.params.min_item_words)
        self._sketches = None
        if self.params.fuzzy_words > 0:
            self._sketches = sketch_items(
                texts, words=self.params.fuzzy_words, min_item_words=self.params.min_item_words
            )
        if not len(self._index.hashes):
            raise DataError(
                f"decontaminate: against {', '.join(self.params.against)} holds {len(items)} items, none of "
                f"{min(self.params.min_item_words, self.params.ngram)} words or more. Name other files."
            )

    def measure(self, batch: Batch) -> Measured:
        words = words_of(batch)
        index = self._index
        found = find_runs(words.hashes, words.offsets, index.lengths, index.hashes, index.owners, index.filter)
        overlap, covered, first_word, end_word, owner = found.T
        hit = np.flatnonzero(overlap)
        excerpts = _excerpts(batch, docs=hit, first_word=first_word[hit], end_word=end_word[hit])
        place = np.zeros(len(batch), np.int64)
        place[hit] = np.arange(len(hit))
        where = pa.array(place, mask=overlap == 0)
        return Measured(
            signals={
                "overlap": overlap.astype(np.int32),
                "overlap_fraction": (covered / np.maximum(np.diff(words.offsets), 1)).astype(np.float32),
                "item": pa.array([self._item_ids[number] for number in owner[hit]], pa.string()).take(where),
                "excerpt": pa.array(excerpts, pa.string()).take(where),
                **self._contained(batch, words),
            }
        )

    def _contained(self, batch: Batch, words: WordHashes) -> dict[str, Any]:
        """Return the three signals of the fuzzy match; all null where it is not asked for."""
        if self._sketches is None:
            empty = pa.nulls(len(batch), pa.string())
            share = pa.nulls(len(batch), pa.float32())
            return {"containment": share, "contained_item": empty, "contained_excerpt": empty}
        found = contained_in(words, self._sketches)
        hit = np.flatnonzero(found.items >= 0)
        texts = _excerpts(batch, docs=hit, first_word=found.spans[hit, 0], end_word=found.spans[hit, 1])
        place = np.zeros(len(batch), np.int64)
        place[hit] = np.arange(len(hit))
        where = pa.array(place, mask=found.items < 0)
        return {
            "containment": found.shares,
            "contained_item": pa.array([self._item_ids[item] for item in found.items[hit]], pa.string()).take(where),
            "contained_excerpt": pa.array(texts, pa.string()).take(where),
        }


def _excerpts(batch: Batch, *, docs: np.ndarray, first_word: np.ndarray, end_word: np.ndarray) -> list[str]:
    """Return the stretch of text from one word to before another, for some documents."""
    chosen = Batch(ids=batch.ids.take(pa.array(docs)), text=batch.text.take(pa.array(docs)))
    words: Any = words_of(chosen, spans=True)
    starts = words.spans[words.offsets[:-1] + first_word, 0]
    ends = words.spans[words.offsets[:-1] + end_word - 1, 1]
    limit = 4 * EXCERPT_CHARACTERS  # bytes of that many characters, at most
    pieces = (chosen.data[start : min(end, start + limit)] for start, end in zip(starts, ends, strict=True))
    return [piece.tobytes().decode(errors="ignore")[:EXCERPT_CHARACTERS] for piece in pieces]
