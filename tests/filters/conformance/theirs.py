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

from pipeline.catalog import step_class
from pipeline.core.step import MeasuringStep, as_column
from pipeline.core.text import Batch
from pipeline.decide import failures

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


def judged_by_us(step: MeasuringStep, batch: Batch) -> Judged:
    """Measure a batch, apply the rules, and return first reasons and rewritten texts."""
    measured = step.measure(batch)
    columns = {signal.name: as_column(measured.signals[signal.name], signal=signal) for signal in step.signals}
    rules = step.rules(quantile=lambda signal, fraction: 0.0)
    failed = failures(rules, pa.table(columns)) if rules else np.zeros((0, len(batch)), bool)
    firsts = [np.flatnonzero(failed[:, row]) for row in range(len(batch))]
    texts = batch.strings()
    if measured.text is not None:
        measured.text.validate(full=True)
        new = measured.text.to_pylist()
        texts = [old if text is None else text for text, old in zip(new, texts, strict=True)]
    return Judged([rules[first[0]].name if len(first) else None for first in firsts], texts)


def judged_by_them(their_filter: Any, texts: Sequence[str]) -> Judged:
    """Filter each text with a datatrove filter; a dropped document keeps its text."""
    verdicts: list[Verdict] = []
    rewritten = []
    for text in texts:
        document = Document(text=text, id="")
        answer = their_filter.filter(document)
        verdicts.append(None if answer is True else answer[1])
        rewritten.append(document.text)
    return Judged(verdicts, rewritten)


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
