"""`paraphrases`: documents that tell an evaluation item in other words, and which item, by what text.

`decontaminate` finds runs of words; this finds items whose words were replaced, moved, added, left out or inflected
(`filters/contamination/retold.py` says how). Which words are common, a seeded sample of the very documents says that
are cleaned. An item of less than 8 different words of content cannot be judged: the card counts these. Figures and
how the threshold was found: `filters/README.md`. Many more items, or pages of one template, need a higher one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field
from xxhash import xxh3_64_intdigest

from filters.contamination.evaluation_items import read_items
from filters.contamination.retold import LEAST_CONTENT, LEAST_TOLD, Background, Retold, Told, retold_in, told
from pipeline.core.errors import DataError
from pipeline.core.rng import derive
from pipeline.core.step import Gathering, GatheringStep, Params, Part, Quantile, Rule, Signal, decides, input_names
from pipeline.core.text.batch import Batch

EXCERPT_CHARACTERS = 300
AT_ONCE_BYTES = 4 << 20
SIMILARITY = 0.35


class ParaphrasesParams(Params):
    against: tuple[str, ...] = input_names(
        min_length=1,
        description="Evaluation sets: datasets of the recipe, or .parquet, .jsonl, .jsonl.gz or .txt files.",
    )
    similarity: float = decides(
        SIMILARITY, ge=LEAST_TOLD, le=1,
        description="Most of an item that one stretch of a kept document may tell: share of its pairs of near words, "
        "by weight.",
    )  # fmt: skip
    background: int = Field(
        default=5_000, ge=100, le=1_000_000,
        description="Documents of the dataset, drawn by their ids, that say which words are common, count.",
    )  # fmt: skip


class Paraphrases(GatheringStep):
    """Drop documents that tell evaluation items in other words."""

    name: ClassVar[str] = "paraphrases"
    Params: ClassVar[type[Params]] = ParaphrasesParams
    signals = (
        Signal(
            "similarity", pa.float32(), "fraction", f"Most of an item that a stretch tells; 0 below {LEAST_TOLD:g}."
        ),
        Signal("item", pa.string(), "id", "The evaluation item that it tells; null if none."),
        Signal("excerpt", pa.string(), "text", f"That stretch, {EXCERPT_CHARACTERS} characters at most."),
    )
    params: ParaphrasesParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("paraphrased", "similarity", "<=", self.params.similarity, parameter="similarity"),)

    def gather(self, work: Gathering) -> None:
        """Measure every document; DataError if no item is long enough to be judged."""
        items = read_items(work.inputs["against"])
        background = self._background(work)
        known = told([item.text for item in items], background=background)
        if not len(known.owners):
            raise DataError(
                f"paraphrases: against {', '.join(self.params.against)} holds {len(items)} items, none with "
                f"{LEAST_CONTENT} different words of content. Name other files."
            )
        if known.num_short:
            work.say(f"paraphrases: {known.num_short} of {len(items)} items are too short to be judged")
        ids = tuple(item.id for item in items)
        work.write_by(measure_part, [_Job(part, known, ids) for part in work.parts], label="paraphrases")
        work.details |= {
            "items": len(items), "items_too_short": known.num_short, "background_documents": background.num_docs,
        }  # fmt: skip

    def _background(self, work: Gathering) -> Background:
        total = sum(part.num_rows for part in work.parts)
        bound = min(self.params.background / max(total, 1), 1.0)
        jobs = [(part, derive(work.seed, "background"), bound) for part in work.parts]
        sampled = work.map(background_of, jobs, label="words that are common")
        return sum(sampled, Background.of(Batch.from_texts([])))


@dataclass(frozen=True, slots=True)
class _Job:
    part: Part
    items: Told
    ids: tuple[str, ...]


def background_of(job: tuple[Part, int, float]) -> Background:
    """Count the documents of a part whose ids fall below a bound, about so large a share of all."""
    part, seed, bound = job
    ids = part.load(("id",)).column("id").to_pylist()
    drawn = [at for at, name in enumerate(ids) if xxh3_64_intdigest(name.encode(), seed) < bound * 2.0**64]
    texts = part.load_some(("id", "text"), np.array(drawn, np.int64))
    return Background.of(Batch.from_table(texts))


def measure_part(job: _Job) -> dict[str, Any]:
    """Return the signals of one part's living documents."""
    batches = list(_pieces(job.part.batch()))
    found = [paraphrased(batch, job.items, ids=job.ids) for batch in batches]
    return {name: pa.concat_arrays([each[name] for each in found]) for name in found[0]}


def paraphrased(batch: Batch, items: Told, *, ids: tuple[str, ...]) -> dict[str, pa.Array]:
    """Return the step's signals of one batch."""
    found = retold_in(batch, items)
    texts = [_excerpt(batch, found, doc) for doc in range(len(batch))]
    names = [ids[item] if item >= 0 else None for item in found.items.tolist()]
    return {
        "similarity": pa.array(found.similarity),
        "item": pa.array(names, pa.string()),
        "excerpt": pa.array(texts, pa.string()),
    }


def _excerpt(batch: Batch, found: Retold, doc: int) -> str | None:
    if found.items[doc] < 0:
        return None
    start, end = (batch.offsets[doc] + found.spans[doc]).tolist()
    cut = batch.data[start : min(end, start + 4 * EXCERPT_CHARACTERS)]
    return cut.tobytes().decode(errors="ignore")[:EXCERPT_CHARACTERS]


def _pieces(batch: Batch) -> Iterator[Batch]:
    """Yield a batch in pieces of few megabytes, which stay in the caches; at least one."""
    first = 0
    while first < len(batch) or first == 0:
        past = int(np.searchsorted(batch.offsets, batch.offsets[first] + AT_ONCE_BYTES))
        past = min(max(past, first + 1), len(batch))
        rows = pa.array(np.arange(first, past))
        yield replace(batch, ids=batch.ids.take(rows), text=batch.text.take(rows), metadata=None)
        first = max(past, 1)
