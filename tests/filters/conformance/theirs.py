"""Ours and datatrove's side by side: the same text into both, verdicts and rewritten text out of both.

Everything here needs the extra `conformance`; a test module says so with `pytest.importorskip("spacy")`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4ParagraphFilter,
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

from pipeline.core.step import MeasuringStep, Rule, as_column
from pipeline.core.text.batch import Batch
from pipeline.recipe.names import step_class
from pipeline.store.dataset.decide import failures

Verdict = str | None  # the first reason, or None for a document that is kept


@dataclass(frozen=True)
class Pair:
    """One preset and the filter that it stands for."""

    name: str
    key: str  # of the golden vectors
    make: Callable[[], Any]
    params: dict[str, Any]

    def ours(self) -> MeasuringStep:
        kind = step_class(f"{self.name}@datatrove-0.10")
        step = kind(params=kind.Params.parse(self.params))
        assert isinstance(step, MeasuringStep)
        return step


PAIRS = (
    Pair("gopher_repetition", "gopher_repetition", GopherRepetitionFilter, {}),
    Pair("gopher_quality", "gopher_quality", GopherQualityFilter, {}),
    Pair("c4_quality", "c4", C4QualityFilter, {}),
    Pair(
        "c4_quality", "c4_fineweb", lambda: C4QualityFilter(filter_no_terminal_punct=False),
        {"terminal_punctuation": False},
    ),
    Pair("c4_paragraph", "c4_paragraph", C4ParagraphFilter, {}),
    Pair("fineweb_quality", "fineweb", FineWebQualityFilter, {}),
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """What one side says of a list of texts."""

    verdicts: list[Verdict]
    texts: list[str]  # as the next step sees them


@dataclass(frozen=True)
class Decided:
    """What a step of ours says of a batch, as the engine has it."""

    rules: tuple[Rule, ...]
    failed: np.ndarray  # bool[num_rules, num_docs]
    text: pa.Array | None  # null where it stays

    def judged(self, batch: Batch) -> Judged:
        """Return first reasons and texts as Python's values."""
        firsts = [np.flatnonzero(column) for column in self.failed.T]
        texts = batch.strings()
        if self.text is not None:
            self.text.validate(full=True)
            texts = [old if new is None else new for new, old in zip(self.text.to_pylist(), texts, strict=True)]
        return Judged([self.rules[first[0]].name if len(first) else None for first in firsts], texts)


def decided(step: MeasuringStep, batch: Batch) -> Decided:
    """Measure a batch and apply the rules."""
    measured = step.measure(batch)
    columns = {signal.name: as_column(measured.signals[signal.name], signal=signal) for signal in step.signals}
    rules = step.rules(quantile=lambda signal, fraction: 0.0)
    failed = failures(rules, pa.table(columns)) if rules else np.zeros((0, len(batch)), bool)
    return Decided(rules=rules, failed=failed, text=measured.text)


def judged_by_us(step: MeasuringStep, batch: Batch) -> Judged:
    """Measure a batch, apply the rules, and return first reasons and rewritten texts."""
    return decided(step, batch).judged(batch)


class NoWriter:
    """An exclusion writer that writes nothing; with one a filter notes its reason in the document."""

    def __enter__(self) -> NoWriter:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def write(self, document: Document, rank: int) -> None: ...


def documents_of(texts: Sequence[str]) -> list[Document]:
    """Return texts as datatrove's documents."""
    return [Document(text=text, id="") for text in texts]


def run_theirs(filters: Sequence[Any], documents: Sequence[Document]) -> None:
    """Send documents through filters as datatrove's pipeline does; a reason to drop one stands in its metadata."""
    passing: Any = iter(documents)
    for their_filter in filters:
        if hasattr(their_filter, "exclusion_writer"):
            their_filter.exclusion_writer = NoWriter()
        passing = their_filter.run(passing, 0, 1)
    for _ in passing:
        pass


def judged(documents: Sequence[Document]) -> Judged:
    """Return what `run_theirs` made of documents; a dropped document keeps the text that it had then."""
    verdicts = [document.metadata.get("filter_reason") for document in documents]
    return Judged(verdicts, [document.text for document in documents])


def judged_by_them(their_filter: Any, texts: Sequence[str]) -> Judged:
    """Filter each text with a datatrove filter."""
    documents = documents_of(texts)
    run_theirs([their_filter], documents)
    return judged(documents)


def differences(pair: Pair, texts: Sequence[str]) -> list[str]:
    """Say where the two sides differ: the verdict, the first reason, or the text of a document that both keep."""
    batch = Batch.from_texts(list(texts))
    ours, theirs = judged_by_us(pair.ours(), batch), judged_by_them(pair.make(), texts)
    return compare(pair.name, texts, ours=ours, theirs=theirs)


def compare(name: str, texts: Sequence[str], *, ours: Judged, theirs: Judged) -> list[str]:
    """Say where two judgements of the same texts differ."""
    told = []
    for row, text in enumerate(texts):
        if ours.verdicts[row] != theirs.verdicts[row]:
            told.append(f"{name}: {ours.verdicts[row]} for {theirs.verdicts[row]} of {text[:200]!r}")
        elif theirs.verdicts[row] is None and ours.texts[row] != theirs.texts[row]:
            told.append(f"{name}: wrote {ours.texts[row][:200]!r} for {theirs.texts[row][:200]!r}")
    return told
