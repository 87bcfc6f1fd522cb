"""Any measuring step of ours as a block of a datatrove pipeline: `tamis_step("gopher_quality", min_words=30)`.

The block measures some megabytes of text at a time, as a run does, and keeps the order. It writes every signal into a
document's metadata as `step.signal`, rewrites the text where the step edits, and drops by the step's rules: the name
of the first that fails is the reason in datatrove's statistics (`dropped_<reason>`) and, with an `exclusion_writer`,
in the metadata of what was dropped (`filter_reason`). A document that breaks the step is dropped as `error` and costs
nobody else. Gathering and making steps need a whole dataset, which one datatrove task does not have.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.typeshelper import StatHints

from pipeline.core.arrow import as_flags
from pipeline.core.files.parquet.shards import GROUP_BYTES
from pipeline.core.process.kernel_cache import use_own_cache
from pipeline.core.step import Rule
from pipeline.core.text.batch import Batch
from pipeline.engine.measure import StepRef, measure_batch, prepared
from pipeline.engine.single_step import Caller, ready_step
from pipeline.recipe.plugins import add_plugin
from pipeline.store.dataset.chain import EDITS, ERROR, KEPT, TEXT
from pipeline.store.dataset.decide import Reasons, failures

CALLER = Caller(name="tamis_step", place="tamis_step: ", sees="the documents of its own task only")
BATCH_DOCUMENTS = 4096  # so that short documents do not wait for megabytes
REASON = "filter_reason"  # datatrove's own key


def tamis_step(
    name: str, *, exclusion_writer: Any = None, plugins: Sequence[str | Path] = (), **params: Any
) -> TamisStep:
    """Return a measuring step as a datatrove `PipelineStep`; RecipeError for what no recipe could say either.

    The step is one of Tamis's or of an installed package, or of a file in `plugins`, whose code travels with it.
    `params` are the step's parameters as in a recipe; `exclusion_writer` is a datatrove writer for what is dropped.
    """
    use_own_cache()  # datatrove's workers inherit it, and compile no kernel again
    for path in plugins:
        add_plugin(Path(path))
    ready = ready_step(name, params, caller=CALLER)
    return TamisStep(ready.ref, rules=ready.rules, exclusion_writer=exclusion_writer)


class TamisStep(PipelineStep):
    """Documents through one measuring step. Holds names and numbers only, so it pickles; each worker prepares it."""

    type = "FILTER"

    def __init__(self, ref: StepRef, *, rules: Sequence[Rule], exclusion_writer: Any) -> None:
        self.name = f"tamis {ref.name}"
        super().__init__()
        self.ref = ref
        self.rules = tuple(rules)
        self.exclusion_writer = exclusion_writer

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Yield the documents that pass, in order, with signals in their metadata."""
        with self.exclusion_writer or contextlib.nullcontext() as writer:
            for documents in _batches(data or ()):
                with self.track_time("batch"):
                    reasons = self._answer(documents)
                for document, reason in zip(documents, reasons, strict=True):
                    self.stat_update(StatHints.total)
                    if reason is None:
                        self.stat_update(StatHints.forwarded)
                        self.update_doc_stats(document)
                        yield document
                        continue
                    self.stat_update(StatHints.dropped, f"dropped_{reason}")
                    if writer is not None:
                        document.metadata[REASON] = reason
                        writer.write(document, rank)

    def _answer(self, documents: list[Any]) -> list[str | None]:
        """Measure documents, write what was found into them, and return why each is dropped, or None."""
        sound = [place for place, document in enumerate(documents) if _is_unicode(document.text)]
        reasons: list[str | None] = ["lone_surrogate"] * len(documents)
        found = measure_batch(prepared(self.ref), _batch([documents[place] for place in sound]))
        signals = {name: column for name, column in found.items() if name not in (ERROR, *EDITS)}
        found_against = Reasons(len(sound))
        found_against.add(failures(self.rules, pa.table(signals)), broken=as_flags(found[ERROR].is_valid()))
        values = {name: column.to_pylist() for name, column in found.items() if name != KEPT}
        for row, place in enumerate(sound):
            document = documents[place]
            document.metadata |= {f"{self.ref.name}.{name}": values[name][row] for name in signals}
            if TEXT in values and values[TEXT][row] is not None:
                document.text = values[TEXT][row]
            broken = values[ERROR][row]
            if broken is not None:
                document.metadata[f"{self.ref.name}.{ERROR}"] = broken
            rule = int(found_against.rule[row])
            reasons[place] = ERROR if broken is not None else self.rules[rule].name if rule >= 0 else None
        return reasons


def _batches(data: Any) -> Iterator[list[Any]]:
    """Yield runs of documents of about GROUP_BYTES of text."""
    held: list[Any] = []
    size = 0
    for document in data:
        held.append(document)
        size += len(document.text)
        if size >= GROUP_BYTES or len(held) >= BATCH_DOCUMENTS:
            yield held
            held, size = [], 0
    if held:
        yield held


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _batch(documents: list[Any]) -> Batch:
    columns = {
        "id": pa.array([str(document.id) for document in documents], pa.string()),
        "text": pa.array([document.text for document in documents], pa.large_string()),
        "metadata": pa.array([json.dumps(document.metadata, default=str) for document in documents], pa.string()),
    }
    return Batch.from_table(pa.table(columns))
