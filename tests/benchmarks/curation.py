"""What is measured of cleaning: the floor, each rule set, the fused pass, and both ways of deduplication.

A rule set alone works on text in memory and splits it into words and lines itself; the fused passes go through the
engine's own task, parquet in, signals out, every rule and signal of every document. Rivals stop at a document's first
failed rule and keep no value.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core import rng
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.step import Gathering, GatheringStep, Part, as_column
from pipeline.engine.measure import MeasureTask, StepRef, measure_batch, measure_part, prepared
from pipeline.store.dataset.chain import ERROR, Chain, Link, part_name, write_signals
from tests.benchmarks.clock import Work
from tests.benchmarks.corpus import SEED, Text

HEURISTICS = {
    "gopher_quality": "{}",
    "gopher_repetition": "{}",
    "c4_quality": '{"terminal_punctuation": false}',
    "fineweb_quality": "{}",
}
PRESETS = {f"{name}@datatrove-0.10": params for name, params in HEURISTICS.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a benchmark run keeps its files."""

    folder: Path
    held_out: Path  # the evaluation set of `decontaminate`

    def fresh(self, name: str) -> Path:
        """Return an empty folder."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


def steps_of(place: Place, *names: str) -> dict[str, StepRef]:
    """Return steps as the engine refers to them."""
    inputs = {"decontaminate": (("against", (str(place.held_out),)),)}
    params = {**HEURISTICS, **PRESETS, "decontaminate": '{"against": ["held_out"]}'}
    return {
        name: StepRef(name=name, params=params.get(name, "{}"), inputs=inputs.get(name, ()), identity=name)
        for name in names
    }


def reading(text: Text, place: Place) -> Work:
    """Read ids and texts from parquet."""

    def run() -> None:
        read_table(text.part.path, columns=["id", "text"])

    return _work("read", run, text)


def copying(text: Text, place: Place) -> Work:
    """Copy all columns from parquet to parquet, the floor of every pass that writes its documents."""
    folder = place.folder / "copy"

    def run() -> None:
        write_table(folder / text.part.path.name, read_table(text.part.path))

    return _work("copy", run, text, before=lambda: place.fresh("copy"))


def segmenting(text: Text, place: Place) -> Work:
    """Find words and lines, which all rule sets share."""

    def run() -> None:
        for batch in text.batches():
            assert batch.segmentation is not None

    return _work("segmentation", run, text)


def rule_set(name: str) -> Callable[[Text, Place], Work]:
    """Return the maker of one rule set's work on text in memory."""

    def make(text: Text, place: Place) -> Work:
        step = prepared(steps_of(place, name)[name])

        def run() -> None:
            for batch in text.batches():
                measure_batch(step, batch)

        return _work(name, run, text)

    return make


def fused(name: str, *steps: str) -> Callable[[Text, Place], Work]:
    """Return the maker of one pass through the engine: parquet in, one signals file per step out."""

    def make(text: Text, place: Place) -> Work:
        refs = steps_of(place, *steps)
        folder = place.folder / name
        edits = {label: prepared(ref).edits for label, ref in refs.items()}
        links = {label: Link(label=label, folder=folder / label, rules=(), edits=edits[label]) for label in refs}
        pairs = tuple((ref, links[label]) for label, ref in refs.items())
        task = MeasureTask(label=name, reader=Chain(base=(text.part,)).reader(text.part), steps=pairs)

        def before() -> None:
            place.fresh(name)
            for link in links.values():
                link.folder.mkdir()

        return _work(name, lambda: measure_part(task), text, before=before)

    return make


def signatures(text: Text, place: Place) -> Work:
    """Compute MinHash signatures of text in memory: 112 values, 5-word shingles."""
    from filters.dedup.minhash_kernels import hash_family, signatures_of

    family = hash_family(SEED, num_values=14 * 8)

    def run() -> None:
        for batch in text.batches():
            signatures_of(batch, family=family, shingle_words=5)

    return _work("minhash_signatures", run, text)


def minhash(text: Text, place: Place) -> Work:
    """Find near-duplicates from parquet to stored signals: signatures, bands, clusters, the one to keep."""
    from filters.dedup.minhash import MinHashDedup

    return gathering(MinHashDedup(params=MinHashDedup.Params()), text, place)


def exact(text: Text, place: Place) -> Work:
    """Find exact copies from parquet to stored signals."""
    from filters.dedup.exact_dedup import ExactDedup

    return gathering(ExactDedup(params=ExactDedup.Params()), text, place)


def substrings(text: Text, place: Place) -> Work:
    """Cut repeated spans of 50 words from parquet to stored signals and texts."""
    from filters.dedup.substring_dedup import SubstringDedup

    return gathering(SubstringDedup(params=SubstringDedup.Params()), text, place)


def classifying(text: Text, place: Place) -> Work:
    """Score text in memory with the classifier of the default size; its weights do not change the time."""
    from filters.classifier.model import TOP_GRADE, GradeModel, Settings
    from filters.classifier.quality import QualityParams

    default = QualityParams()
    draw = rng.generator(SEED, "benchmarks", "weights")
    model = GradeModel(
        weights=draw.standard_normal(default.buckets, dtype=np.float32),
        biases=np.zeros(TOP_GRADE, np.float32),
        settings=Settings(default.buckets, default.ngrams, default.excerpt_chars),
    )
    read = sum(len(string[: default.excerpt_chars].encode()) for string in text.strings())

    def run() -> None:
        for batch in text.batches():
            model.score(batch)

    return Work(name="quality_scoring", run=run, num_documents=text.num_documents, size_bytes=read)


def gathering(step: GatheringStep, text: Text, place: Place, *, details: dict[str, Any] | None = None) -> Work:
    """Run a gathering step as the engine does, in this process; what it tells of itself goes into `details`."""
    output = place.folder / step.name
    chain = Chain(base=(text.part,))

    def write(part: Part, values: Mapping[str, Any]) -> None:
        columns = {signal.name: as_column(values[signal.name], signal=signal) for signal in step.signals}
        if step.edits:
            columns["text"] = values["text"]
        columns[ERROR] = pa.nulls(part.num_rows, pa.string())
        write_signals(output / part_name(part.index), columns, ids=part.load(("id",)).column("id"))

    def run() -> None:
        scratch = output / "scratch"
        scratch.mkdir()
        work = Gathering(
            parts=chain.parts(), scratch=scratch, output=output, seed=SEED, inputs={}, map=_map, write=write,
            say=lambda line: None, ledger=output / "ledger", details={} if details is None else details,
        )  # fmt: skip
        step.gather(work)

    return _work(step.name, run, text, before=lambda: place.fresh(step.name))


def _map(function: Callable[[Any], Any], items: Any, *, label: str, done: Any = None) -> list[Any]:
    return [function(item) for item in items]


def _work(name: str, run: Callable[[], object], text: Text, *, before: Callable[[], object] | None = None) -> Work:
    return Work(
        name=name,
        run=run,
        num_documents=text.num_documents,
        size_bytes=text.size_bytes,
        before=before or (lambda: None),
    )
