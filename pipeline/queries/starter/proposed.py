"""Sampled documents -> which steps suit them, by what each rule would drop, and thresholds from their own signals.

A published threshold stays where it drops at most MOST_DROPPED of the documents in a kept language. Beyond that the
rule is taken to be about other text, and its threshold becomes the sample's own: the value that OWN_SHARE of the
documents miss. Both shares are told, so that nobody has to believe either.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.arrow import as_numbers
from pipeline.core.step import MeasuringStep, Rule
from pipeline.core.text.batch import Batch
from pipeline.engine.measure import measure_batch
from pipeline.recipe.names import step_class
from pipeline.store.dataset.chain import ERROR, TEXT
from pipeline.store.dataset.decide import failures, passes

MOST_DROPPED, OWN_SHARE = 0.2, 0.05
LEAST_DOCUMENTS = 50  # of which a share is worth a threshold
LEAST_LANGUAGE = 0.1  # share from which on a language is kept
NO_LANGUAGE = ("und", "zxx")
UNSPACED = frozenset(("zh", "wuu", "yue", "ja", "th", "lo", "km", "my", "dz", "bo"))
ENGLISH_ONLY = {"gopher_quality": {"min_stop_words": 0}}  # rules that look for English words
BY_CHARACTER = {name: {"words": "characters"} for name in ("gopher_repetition", "gopher_quality")}
HEURISTICS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gopher_repetition", {}), ("gopher_quality", {}), ("c4_quality", {"terminal_punctuation": False}),
    ("fineweb_quality", {}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleShare:
    """What one rule drops of the documents in kept languages, alone, as published and as proposed."""

    step: str
    rule: str
    parameter: str
    published: float
    drops: float
    proposed: float | None  # None: as published
    then_drops: float


@dataclass(slots=True)
class Proposal:
    """Steps with the parameters that differ from the published ones, and the shares that speak for them."""

    documents: int
    languages: dict[str, float]  # share of the documents by code, the largest first
    keep: tuple[str, ...]
    other_languages: float  # share that `language` drops
    steps: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    rules: list[RuleShare] = field(default_factory=list)
    dropped: dict[str, float] = field(default_factory=dict)  # share by step, as proposed, of those in kept languages
    copies: float = 0.0  # share of documents that stand in the sample before
    private: int = 0  # documents in which `pii` finds something
    kept: float = 1.0  # share of all that is left by the proposed rules and without copies


def propose(table: pa.Table) -> Proposal:
    """Return what to do with documents such as these (columns `id`, `text`)."""
    batch = Batch.from_table(table)
    languages = _languages(batch)
    spoken = [code for code in languages if code not in NO_LANGUAGE]
    keep = tuple(code for code in spoken if languages[code] >= LEAST_LANGUAGE) or tuple(spoken[:1])
    kept: np.ndarray = np.ones(len(batch), bool)
    if keep:
        step, signals, _ = _measured("language", {"keep": sorted(keep)}, batch)
        kept = np.asarray(~failures(_rules(step), pa.table(signals)).any(axis=0))
    found = Proposal(len(batch), languages, keep, float(1 - kept.mean()) if len(batch) else 0.0)
    found.private = _private(batch)
    texts = table.column("text").to_pylist()
    seen: Counter[str] = Counter()
    first = np.array([not seen.update([text]) and seen[text] == 1 for text in texts], bool)
    found.copies = float(1 - first.mean()) if len(first) else 0.0
    left, spoken_here = kept.copy(), kept
    for name, usual in HEURISTICS:
        given = usual | (BY_CHARACTER.get(name, {}) if unspaced(keep) else {})
        step, signals, batch = _measured(name, given, batch)
        fixed = {} if keep and set(keep) == {"en"} else ENGLISH_ONLY.get(name, {})
        params, failed = _thresholds(found, step, signals, spoken_here, fixed)
        left &= ~failed
        found.dropped[name] = float(failed[spoken_here].mean()) if spoken_here.any() else 0.0
        found.steps.append((name, {**given, **params}))
    found.kept = float((left & first).mean()) if len(left) else 0.0
    return found


def _languages(batch: Batch) -> dict[str, float]:
    _, signals, _ = _measured("language", {}, batch)
    counts = Counter(signals["language"].cast(pa.string()).to_pylist())
    return {code: count / len(batch) for code, count in counts.most_common()}


def _measured(name: str, given: Mapping[str, Any], batch: Batch) -> tuple[MeasuringStep, dict[str, Any], Batch]:
    """Return a step, its signals of a batch, and the batch as the step leaves it."""
    kind = step_class(name)
    step = kind(params=kind.Params.parse(given))
    assert isinstance(step, MeasuringStep)
    step.prepare({})
    signals = measure_batch(step, batch)
    after = batch.edited(signals[TEXT]) if TEXT in signals else batch
    return step, {key: value for key, value in signals.items() if key not in (TEXT, ERROR)}, after


def _rules(step: MeasuringStep) -> tuple[Rule, ...]:
    return step.rules(quantile=_no_quantile)


def _no_quantile(signal: str, fraction: float) -> float:
    raise AssertionError(f"no heuristic rule is a share of all documents: {signal}, {fraction}")


def _private(batch: Batch) -> int:
    step, signals, _ = _measured("pii", {}, batch)
    counts = [as_numbers(signals[signal.name]) for signal in step.signals]
    return int((np.nansum(counts, axis=0) > 0).sum()) if len(batch) else 0


def _thresholds(
    found: Proposal, step: MeasuringStep, signals: Mapping[str, Any], among: np.ndarray, fixed: Mapping[str, Any]
) -> tuple[dict[str, Any], np.ndarray]:
    """Note what each rule of a step drops; return the parameters to write and bool[num_docs] of who is dropped."""
    params, failed = dict[str, Any](), np.zeros(len(among), bool)
    for rule in _rules(step):
        values = as_numbers(signals[rule.signal])
        as_published = ~passes(rule, values)
        share = float(as_published[among].mean()) if among.any() else 0.0
        proposed: float | None = None
        if rule.parameter in fixed:
            proposed = fixed[rule.parameter]
        elif share > MOST_DROPPED and among.sum() >= LEAST_DOCUMENTS and rule.parameter:
            proposed = _own(rule, values[among], whole=_is_whole(step, rule.parameter))
        after = as_published
        if proposed is not None:
            params[rule.parameter] = proposed
            own = Rule(rule.name, rule.signal, rule.op, proposed, rule.parameter)
            after = ~passes(own, values)
        then = float(after[among].mean()) if among.any() else 0.0
        found.rules.append(RuleShare(step.name, rule.name, rule.parameter, rule.threshold, share, proposed, then))
        failed |= after
    return params, failed


def _is_whole(step: MeasuringStep, parameter: str) -> bool:
    return "int" in str(type(step.params).model_fields[parameter].annotation)


def _own(rule: Rule, values: np.ndarray, *, whole: bool) -> float:
    """Return the value that OWN_SHARE of the documents miss, rounded so that fewer do; never below 0."""
    least = rule.op in (">=", ">")
    value = float(np.nanquantile(values, OWN_SHARE if least else 1 - OWN_SHARE, method="lower" if least else "higher"))
    if whole:
        return max(0, math.floor(value) if least else math.ceil(value))
    scale = 10.0 ** (2 - math.floor(math.log10(abs(value)))) if value else 1.0
    rounded = (math.floor if least else math.ceil)(value * scale) / scale
    return max(0.0, min(rounded, 1.0) if 0 <= rule.threshold <= 1 and np.nanmax(values) <= 1 else rounded)


def unspaced(keep: Sequence[str]) -> bool:
    """Say whether one of the languages is written without spaces between its words."""
    return not UNSPACED.isdisjoint(keep)
