"""`vote`: the scores of several classifiers become one, with a line of its own for every language or source.

`mean`, `max` and `min` need scores on one scale. `buckets` asks for none: each score becomes its place among all
documents, 0 to 19 with 20 buckets, and the highest place counts, so a document that any classifier puts first is first
(Nemotron-CC, arXiv 2412.02595). Equal scores share the place of their middle. `by: language` gives each of `groups` its
own column, and `keep_by` its own line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from filters.classifier.operating import Keep, check_scale, rule_for
from pipeline.core.arrow import as_numbers
from pipeline.core.errors import DataError, RecipeError, did_you_mean
from pipeline.core.step import Gathering, GatheringStep, Params, Part, Quantile, Rule, Scale, Signal, Step, decides

REST = "rest"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
LANGUAGE = "language.language"
MEANING = "What the classifiers say together; null where none says anything."


class VoteParams(Params):
    """Whose scores count, and where the line is."""

    of: tuple[str, ...] = Field(
        min_length=1, description="Earlier steps whose `score` counts, or STEP.SIGNAL, such as [quality, quality_2]."
    )
    how: Literal["mean", "max", "min", "buckets"] = Field(
        default="mean", description="How they become one; `buckets` takes the highest place, whatever their scales."
    )
    buckets: int = Field(
        default=20, ge=2, le=1000, description="For `how: buckets`: places to tell apart (Nemotron-CC)."
    )
    by: Literal["language", "source"] | None = Field(
        default=None, description="What `groups` names: languages, by an earlier `language`, or sources."
    )
    groups: tuple[str, ...] = Field(default=(), description="Languages or sources with a line of their own.")
    keep: Keep | None = decides(
        None,
        description="Where the line is: {share: 0.2}, {score: 3} or {tokens: 1B} of 4 bytes; of each group, with `by`.",
    )
    keep_by: dict[str, Keep] = decides(
        {}, description="The same for some groups alone: {de: {share: 0.3}, rest: {score: 2}}; `rest` is all others."
    )

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        if (self.by is None) != (not self.groups):
            raise ValueError("`by` and `groups` go together: {by: language, groups: [en, de]}")
        wrong = [name for name in self.groups if not NAME.fullmatch(name) or name == REST]
        if wrong or len(set(self.groups)) < len(self.groups):
            raise ValueError(
                f"groups is {list(self.groups)}; it must be different names of letters, digits, - and _, not `{REST}`"
            )
        for name in self.keep_by:
            if name not in (*self.groups, REST) or not self.groups:
                raise ValueError(f"keep_by names `{name}`; it must be one of `groups`, or `{REST}`")
        if self.how != "buckets" and "buckets" in self.model_fields_set:
            raise ValueError(f"`buckets` has no effect with `how: {self.how}`")
        if any("precision" in keep for keep in (self.keep or {}, *self.keep_by.values())):
            raise ValueError("a precision is known of `quality` alone; keep by share, score or tokens")
        return self


class Vote(GatheringStep):
    """Make one score of several, and keep the best by it, of each language or source."""

    name: ClassVar[str] = "vote"
    version: ClassVar[int] = 2
    Params: ClassVar[type[Params]] = VoteParams
    params: VoteParams

    def __init__(self, *, params: VoteParams) -> None:
        super().__init__(params=params)
        scale = Scale(0, params.buckets - 1) if params.how == "buckets" else None
        self.signals = _signals(params.groups, scale)

    def check(self, earlier: Mapping[str, Step]) -> None:
        found = [(name, _signal_of(name, earlier)) for name in self.params.of]
        if self.params.by == "language" and "language" not in earlier:
            raise RecipeError("`by: language` needs to know the languages. Put `language` before `vote`.")
        if self.params.how != "buckets":
            self.signals = _signals(self.params.groups, _common_scale(found, how=self.params.how))
        scale = self.signals[0].scale
        check_scale(self.params.keep, scale=scale, where="keep.score")
        for name, keep in self.params.keep_by.items():
            check_scale(keep, scale=scale, where=f"keep_by.{name}.score")

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        if not self.params.groups:
            return (
                () if self.params.keep is None else (rule_for(self.params.keep, quantile=quantile, name="low_score"),)
            )
        return tuple(self._rules_of_groups(quantile))

    def _rules_of_groups(self, quantile: Quantile) -> Iterator[Rule]:
        for name in (*self.params.groups, REST):
            keep = self.params.keep_by.get(name, self.params.keep)
            if keep is not None:
                parameter = f"keep_by.{name}" if name in self.params.keep_by else "keep"
                yield rule_for(
                    keep, quantile=quantile, signal=f"score_{name}", name=f"low_score_{name}", parameter=parameter
                )

    def gather(self, work: Gathering) -> None:
        names = [_full(name) for name in self.params.of]
        edges = [_edges(work, name, self.params.buckets) for name in names] if self.params.how == "buckets" else None
        sizes = dict.fromkeys((*self.params.groups, REST), 0)
        for part in work.parts:
            table = part.load_signals(names)
            columns = np.stack([as_numbers(table.column(name)) for name in names])
            score = _together(columns, how=self.params.how, edges=edges).astype(np.float32)
            found = {"score": _nullable(score)}
            if self.params.groups:
                group = self._groups(part)
                for name in sizes:
                    inside = ~np.isin(group, self.params.groups) if name == REST else group == name
                    sizes[name] += int(inside.sum())
                    found[f"score_{name}"] = _nullable(np.where(inside, score, np.float32(np.nan)))
            work.write(part, found)
        if self.params.groups:
            work.details |= {"documents_by_group": sizes}

    def _groups(self, part: Part) -> np.ndarray:
        table = part.load(("source",)) if self.params.by == "source" else part.load_signals([LANGUAGE])
        return np.array([name or "" for name in table.column(0).to_pylist()], dtype=str)


def _signals(groups: tuple[str, ...], scale: Scale | None) -> tuple[Signal, ...]:
    unit = "score" if scale is None else f"score, {scale}"
    names = (*groups, REST) if groups else ()
    return (
        Signal("score", pa.float32(), unit, MEANING, scale),
        *(Signal(f"score_{name}", pa.float32(), unit, f"The same, of {name} alone.", scale) for name in names),
    )


def _full(name: str) -> str:
    return name if "." in name else f"{name}.score"


def _signal_of(name: str, earlier: Mapping[str, Step]) -> Signal:
    """Return an earlier step's signal by its name; RecipeError if there is none, or it is no number."""
    label, _, wanted = _full(name).partition(".")
    if label not in earlier:
        raise RecipeError(f"of: no step `{label}` stands before `vote` in this dataset.{did_you_mean(label, earlier)}")
    signals = {signal.name: signal for signal in earlier[label].signals}
    signal = signals.get(wanted)
    if signal is None:
        raise RecipeError(f"of: `{label}` has no signal `{wanted}`.{did_you_mean(wanted, signals)}")
    if not (pa.types.is_floating(signal.type) or pa.types.is_integer(signal.type)):
        raise RecipeError(f"of: `{label}.{wanted}` is of type {signal.type}, and a vote counts numbers.")
    return signal


def _common_scale(found: list[tuple[str, Signal]], *, how: str) -> Scale | None:
    """Return the scale of all signals; RecipeError if they have several, or none that is known."""
    scales = {name: signal.scale for name, signal in found}
    if len(set(scales.values())) > 1 or (None in scales.values() and len(scales) > 1):
        told = ", ".join(
            f"`{name}` {'on none that is known' if scale is None else scale}" for name, scale in scales.items()
        )
        raise RecipeError(
            f"of: the scores stand on different scales ({told}), and `how: {how}` would add what is not alike. Use "
            "`how: buckets`, which compares places."
        )
    return next(iter(scales.values()))


def _edges(work: Gathering, name: str, count: int) -> np.ndarray:
    """Return float64[count - 1]: the least score of every place but the lowest; DataError if all scores are one.

    A place is that of the middle of equal scores: where nine of ten documents score 0, those are not among the best.
    """
    values = [as_numbers(part.load_signals([name]).column(name)) for part in work.parts]
    known = np.concatenate([np.zeros(0), *values])
    known = known[~np.isnan(known)]
    if not len(known):
        return np.zeros(count - 1)
    levels, times = np.unique(known, return_counts=True)
    if len(levels) == 1 and len(known) > 1:
        raise DataError(
            f"vote: `{name}` is {levels[0]:g} for all {len(known)} documents, so it puts none before another. Leave it "
            "out of `of`."
        )
    places = np.floor((np.cumsum(times) - times / 2) / len(known) * count)
    edges: np.ndarray = np.append(levels, np.inf)[np.searchsorted(places, np.arange(1, count))]
    return edges


def _together(columns: np.ndarray, *, how: str, edges: Any) -> np.ndarray:
    """Return float64[num_docs] of float64[num_scores, num_docs]; NaN counts as nothing said."""
    said = ~np.isnan(columns)
    if edges is not None:
        places = [np.searchsorted(edge, column, side="right") for edge, column in zip(edges, columns, strict=True)]
        columns = np.where(said, np.stack(places), np.nan)
    if how == "mean":
        total = np.where(said, columns, 0).sum(axis=0) / np.maximum(said.sum(axis=0), 1)
    elif how == "min":
        total = np.where(said, columns, np.inf).min(axis=0)
    else:
        total = np.where(said, columns, -np.inf).max(axis=0)
    return np.where(said.any(axis=0), total, np.nan)


def _nullable(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.float32(), mask=np.isnan(values))
