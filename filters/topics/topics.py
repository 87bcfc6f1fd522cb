"""`topics`: every document gets a topic, found in the dataset itself without a downloaded model, or with one of yours.

A seeded sample gives a vocabulary, weights and a space of a few dozen dimensions (tf-idf and a truncated singular value
decomposition), and its clusters in it are the topics, the largest 0. Then every document is placed in that space and
gets the nearest one. `keep` only decides: datasets that keep other topics of the same documents share one measurement,
so a dataset is mixed by topic by naming it once for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from filters.topics.clusters import STARTS, find_centres, nearest, silhouettes
from filters.topics.embedding import Embedding, files_of_folder, fit_embedding, folder_of
from filters.topics.latent import WordSpace, fit_space
from filters.topics.quality import judge, telling_words
from filters.topics.word_counts import Counts, Vocabulary, batches_of, excerpts
from pipeline.core.errors import DataError
from pipeline.core.sketch import order_of
from pipeline.core.step import Gathering, GatheringStep, Params, Part, Quantile, Rule, Signal, decides, input_names
from pipeline.core.text.batch import Batch

NAMING = 3  # words of a topic's name
TOLD = 10  # words of a topic in the card
NO_TOPIC = -1


class TopicsParams(Params):
    """How topics are found, and which are kept."""

    count: int = Field(default=16, ge=2, le=256, description="Topics to find.")
    keep: tuple[int, ...] = decides(
        (), description="Topics to keep, by number; none named keeps all. Run once to see which there are."
    )
    model: str | tuple[str, ...] | None = input_names(
        None,
        description="Folder of a model2vec or sentence-transformers model (extra `[topics]`); without it, the words.",
    )
    sample: int = Field(
        default=10_000, ge=100, le=1_000_000, description="Documents from which topics are found, drawn blindly, count."
    )
    dimensions: int = Field(default=32, ge=2, le=512, description="Dimensions of the space, without a model, count.")
    excerpt_chars: int = Field(default=6000, ge=200, description="Characters read of a document, from its start.")

    @field_validator("model", mode="before")
    @classmethod
    def _files_of_the_folder(cls, given: Any) -> Any:
        """Take a folder for the files in it, so that it counts by its content."""
        return files_of_folder(given)

    @model_validator(mode="after")
    def _topics_exist(self) -> Self:
        wrong = [topic for topic in self.keep if not 0 <= topic < self.count]
        if wrong:
            raise ValueError(
                f"keep names topic {wrong[0]}, and with count: {self.count} there are 0 to {self.count - 1}"
            )
        if len(set(self.keep)) == self.count:
            raise ValueError(f"keep names all {self.count} topics; leave it out to keep every document")
        return self


class Topics(GatheringStep):
    """Find the topics of a dataset, give every document one, and keep those of some."""

    name: ClassVar[str] = "topics"
    version: ClassVar[int] = 1
    Params: ClassVar[type[Params]] = TopicsParams
    signals = (
        Signal("topic", pa.int32(), "number", "The topic, 0 the largest of the sample; -1: no word is known."),
        Signal("topic_name", pa.string(), "words", "Its three most telling words; null without a topic."),
        Signal("closeness", pa.float32(), "cosine", "To the centre of the topic; null without one."),
        Signal("margin", pa.float32(), "cosine", "Closeness less that to the second nearest topic; null without one."),
    )
    params: TopicsParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        kept = set(self.params.keep)
        if len(kept) == 1:
            return (Rule("other_topic", "topic", "==", min(kept), "keep"),)
        others = [topic for topic in range(NO_TOPIC, self.params.count) if kept and topic not in kept]
        return tuple(
            Rule(f"topic_{topic}" if topic != NO_TOPIC else "no_topic", "topic", "!=", topic, "keep")
            for topic in others
        )

    def gather(self, work: Gathering) -> None:
        params = self.params
        sample = draw_sample(work, count=params.sample, chars=params.excerpt_chars)
        work.say(f"topics: {params.count} topics of {sample.num_rows} documents")
        finder, details = self._find(work, sample)
        jobs = [_Job(part, finder, params.excerpt_chars) for part in work.parts]
        found: list[pa.Table] = work.map(assign_part, jobs, label="topics")
        sizes = np.zeros(params.count + 1, np.int64)
        for part, columns in zip(work.parts, found, strict=True):
            sizes += np.bincount(columns.column("topic").to_numpy() + 1, minlength=params.count + 1)
            names = finder.names_of(columns.column("topic"))
            work.write(part, {"topic_name": names} | {name: columns.column(name) for name in columns.column_names})
        for topic, size in zip(details["topics"], sizes[1:].tolist(), strict=True):
            topic["documents"] = size
        details |= {"documents": int(sizes.sum()), "documents_without_topic": int(sizes[0])}
        work.details.update(details)
        for warning in details["warnings"]:
            work.say(warning)

    def _find(self, work: Gathering, sample: pa.Table) -> tuple[Finder, dict[str, Any]]:
        """Find the topics of a sample; return what finds them in other documents, and what the card says of them."""
        params, seed = self.params, work.seed
        vocabulary = Vocabulary.of(sample)
        counts = vocabulary.count_all(sample)
        space: WordSpace | Embedding
        if params.model:
            space = fit_embedding(folder_of(work.inputs["model"]), sample)
            vectors = np.concatenate([space.vectors(batch) for batch in batches_of(sample)])
        else:
            counts = counts.where(np.diff(counts.starts) > 0)
            _require(len(counts), params.count)
            space = fit_space(vocabulary, counts, num_dims=params.dimensions, seed=seed)
            vectors = space.place(counts)
        known = np.asarray(vectors.any(axis=1))
        vectors, counts = vectors[known], counts.where(known)
        _require(len(vectors), params.count)
        centres = find_centres(vectors, count=params.count, seed=seed, starts=STARTS)
        cluster = nearest(vectors, centres).cluster
        words = _spelled(vocabulary, counts, cluster, count=params.count, table=sample)
        quality = judge(vectors, centres, seed=seed)
        clear = silhouettes(vectors, cluster, params.count)
        topics = [
            {"topic": topic, "name": _name(told), "documents": 0, "words": told,
             "silhouette": round(float(clear[cluster == topic].mean()), 4) if (cluster == topic).any() else 0.0}
            for topic, told in enumerate(words)
        ]  # fmt: skip
        details = {"sample": len(vectors), "vocabulary": len(vocabulary.hashes), **quality.describe()}
        names = tuple(str(topic["name"]) for topic in topics)
        return Finder(space, centres, names), details | {"topics": topics, "warnings": quality.doubts()}


@dataclass(frozen=True)
class Finder:
    """What gives a document its topic. Picklable."""

    space: WordSpace | Embedding
    centres: np.ndarray  # float64[count, num_dims]
    names: tuple[str, ...]

    def find(self, batch: Batch) -> pa.Table:
        """Return the step's signals of a batch but the names, 12 bytes a document, for all parts at once."""
        vectors = self.space.vectors(batch)
        found, unknown = nearest(vectors, self.centres), ~vectors.any(axis=1)
        topic = np.where(unknown, NO_TOPIC, found.cluster).astype(np.int32)
        return pa.table({
            "topic": pa.array(topic),
            "closeness": pa.array(found.closeness.astype(np.float32), mask=unknown),
            "margin": pa.array(found.margin.astype(np.float32), mask=unknown),
        })  # fmt: skip

    def names_of(self, topic: pa.ChunkedArray) -> pa.Array:
        """Return the name of each topic, null without one."""
        numbers = topic.to_numpy()
        return pa.array(self.names, pa.string()).take(pa.array(numbers, mask=numbers == NO_TOPIC))


def draw_sample(work: Gathering, *, count: int, chars: int) -> pa.Table:
    """Return the beginnings of so many documents in a seeded order of their ids, whatever parts they lie in."""
    asked: list[np.ndarray] = work.map(_places, [(part, work.seed, count) for part in work.parts], label="sample")
    every = np.concatenate([np.zeros((2, 0), np.uint64), *asked], axis=1)
    last = np.sort(every[0])[min(count, every.shape[1]) - 1] if every.size else np.uint64(0)
    jobs = [(part, found[:, found[0] <= last], chars) for part, found in zip(work.parts, asked, strict=True)]
    empty = pa.table({"id": pa.array([], pa.string()), "text": pa.array([], pa.large_string())})
    drawn = pa.concat_tables([empty, *work.map(_texts, jobs, label="sample")])
    places = np.concatenate([np.zeros(0, np.uint64), *(job[1][0] for job in jobs)])
    return drawn.take(pa.array(np.argsort(places, kind="stable"))).combine_chunks()


def _places(job: tuple[Part, int, int]) -> np.ndarray:
    """Return uint64[2, num_docs]: the places in the order, and the positions, of a part's first documents."""
    part, seed, count = job
    order = order_of(part.load(("id",)).column("id"), seed=seed)
    first = np.sort(np.argsort(order, kind="stable")[:count])
    return np.stack([order[first], first.astype(np.uint64)])


def _texts(job: tuple[Part, np.ndarray, int]) -> pa.Table:
    part, found, chars = job
    return excerpts(part.load_some(("id", "text"), found[1].astype(np.int64)), chars=chars)


@dataclass(frozen=True, slots=True)
class _Job:
    part: Part
    finder: Finder
    chars: int


def assign_part(job: _Job) -> pa.Table:
    """Return the signals of one part's live documents."""
    table = job.part.load(("id", "text"))
    pieces = [job.finder.find(batch) for batch in batches_of(excerpts(table, chars=job.chars))]
    return pa.concat_tables(pieces) if pieces else job.finder.find(Batch.from_texts([]))


def _require(found: int, count: int) -> None:
    if found < 2 * count:
        raise DataError(
            f"topics: {found} documents of the sample share words with others, and {count} topics need {2 * count} at "
            "least. Lower `count`, or give more documents."
        )


def _spelled(
    vocabulary: Vocabulary, counts: Counts, cluster: np.ndarray, *, count: int, table: pa.Table
) -> list[list[str]]:
    """Return the telling words of every topic, as they stand in the sample."""
    telling = telling_words(counts, cluster, count=count, num_words=len(vocabulary.hashes), most=TOLD)
    spelled = vocabulary.spell(np.unique(np.concatenate(telling)), table)
    return [[spelled[word] for word in words.tolist()] for words in telling]


def _name(words: Sequence[str]) -> str:
    return " ".join(words[:NAMING])
