"""`per_language`: the heuristic filters judged again, with thresholds of each document's own language.

The filters measure once, with thresholds as wide as any language here needs; this step gives each language columns of
its own of what they measured, null for all other documents, and rules over them. So a threshold is a decision: another
one measures nothing again, and what-if, why and the report know it. 33 languages have the thresholds that FineWeb-2
publishes (Penedo et al. 2025, `configs/` of its code, October 2025), for words told apart by tokenizers, not by spaces
alone; any other language, and any figure, is the recipe's own. `rest` is every other document, with the filters'
defaults. Texts without spaces between words (Chinese, Japanese, Thai...) have no published figures here: by spaces,
their words are whole sentences, and with `words: characters` single characters; thresholds for
both are the recipe's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from filters.heuristics.fineweb import FineWebQuality
from filters.heuristics.gopher import GopherQuality, GopherRepetition
from filters.heuristics.published import PUBLISHED
from pipeline.core.arrow import as_numbers
from pipeline.core.errors import RecipeError, nearest_names
from pipeline.core.step import (
    Gathering,
    GatheringStep,
    MeasuringStep,
    Params,
    Quantile,
    Rule,
    Signal,
    Step,
    decides,
)

LANGUAGE = "language.language"
REST = "rest"
NAME = re.compile(r"[a-z]{2,3}")
FILTERS: dict[str, type[MeasuringStep]] = {
    kind.name: kind for kind in (GopherQuality, GopherRepetition, FineWebQuality)
}
# Parameters that depend on the language; the others stay with their filters
OF_LANGUAGE = {
    "gopher_quality": ("min_mean_word_length", "max_mean_word_length", "min_alpha_words", "min_stop_words"),
    "gopher_repetition": (
        "max_dup_line_frac", *(f"max_top_{n}_gram" for n in (2, 3, 4)), *(f"max_dup_{n}_gram" for n in range(5, 11))
    ),
    "fineweb_quality": ("min_line_punct_ratio", "max_list_ratio", "max_short_line_ratio", "max_char_dup_ratio"),
}  # fmt: skip


def _rules_of(label: str) -> list[Rule]:
    """Return the rules of a filter that depend on the language, with its defaults."""
    rules = FILTERS[label](params=FILTERS[label].Params()).rules(quantile=lambda signal, fraction: fraction)
    return [rule for rule in rules if rule.parameter in OF_LANGUAGE[label]]


def _names(by_filter: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [f"{label}.{key}" for label, limits in by_filter.items() for key in limits]


class PerLanguage(GatheringStep):
    """Judge by thresholds of each document's own language what earlier filters measured."""

    name: ClassVar[str] = "per_language"

    class Params(Params):
        languages: tuple[str, ...] = Field(
            min_length=1, description="Languages with thresholds of their own, as `language` names them: [de, fr]."
        )
        of: tuple[str, ...] = Field(
            default=tuple(FILTERS), min_length=1, description="The earlier filters whose signals are judged."
        )
        limits: dict[str, dict[str, dict[str, float]]] = decides(
            {},
            description="Thresholds instead of the published ones, by language, filter and parameter: "
            "{de: {gopher_quality: {max_mean_word_length: 14}}, rest: {...}}.",
        )

        @field_validator("of")
        @classmethod
        def known(cls, of: tuple[str, ...]) -> tuple[str, ...]:
            for name in of:
                if name not in FILTERS:
                    raise ValueError(
                        f"{name!r} has no threshold that depends on the language; {', '.join(FILTERS)} have"
                    )
            return of

        @model_validator(mode="after")
        def _limits_are_of_languages(self) -> Any:
            wrong = [name for name in self.languages if not NAME.fullmatch(name)]
            if wrong or len(set(self.languages)) < len(self.languages):
                raise ValueError(f"languages is {list(self.languages)}; it must be different codes, such as [de, fr]")
            known = [f"{label}.{key}" for label in self.of for key in OF_LANGUAGE[label]]
            for language, by_filter in self.limits.items():
                if language not in (*self.languages, REST):
                    raise ValueError(f"limits names `{language}`; it must be one of `languages`, or `{REST}`")
                for name in _names(by_filter):
                    if name not in known:
                        near = nearest_names(name, known)
                        raise ValueError(f"limits.{language} names `{name}`; did you mean {near}?")
            for language in self.languages:
                missing = [name for name in known if name not in _names(self.limits.get(language, {}))]
                if language not in PUBLISHED and missing:
                    raise ValueError(
                        f"no thresholds are published for `{language}`, and limits.{language} lacks "
                        f"{', '.join(missing)}. Give them, or leave `{language}` out: `{REST}` then judges it. "
                        f"Published: {', '.join(PUBLISHED)}"
                    )
            return self

    params: Params

    def __init__(self, *, params: Any) -> None:
        super().__init__(params=params)
        self.signals = tuple(
            Signal(column, pa.float64(), "as measured", f"{label}.{signal} of documents in {language}; null elsewhere.")
            for language in (*params.languages, REST)
            for label, signal, column in self._columns(language)
        )

    def _columns(self, language: str) -> list[tuple[str, str, str]]:
        """Return (filter, signal, column) of all columns of a language."""
        pairs = dict.fromkeys((label, rule.signal) for label in self.params.of for rule in _rules_of(label))
        return [(label, signal, f"{language}_{label}_{signal}") for label, signal in pairs]

    def limit(self, language: str, label: str, rule: Rule) -> float:
        """Return the threshold of a language: the recipe's, else the published one, else the filter's default."""
        published = PUBLISHED.get(language, {}).get(f"{label}.{rule.parameter}", rule.threshold)
        return float(self.params.limits.get(language, {}).get(label, {}).get(rule.parameter, published))

    def _all_rules(self) -> Iterator[tuple[str, str, Rule]]:
        for language in (*self.params.languages, REST):
            for label in self.params.of:
                for rule in _rules_of(label):
                    yield language, label, rule

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the filters' rules once for every language, those of the first language first."""
        return tuple(
            Rule(
                f"{language}_{rule.name}",
                f"{language}_{label}_{rule.signal}",
                rule.op,
                self.limit(language, label, rule),
                f"limits.{language}.{label}.{rule.parameter}",
            )
            for language, label, rule in self._all_rules()
        )

    def check(self, earlier: Mapping[str, Step]) -> None:
        """Raise RecipeError unless the languages are known and the filters before drop nothing that is kept here."""
        if "language" not in earlier:
            raise RecipeError("`per_language` needs to know the languages. Put `language` before it.")
        for label in self.params.of:
            if label not in earlier:
                raise RecipeError(f"of: no step `{label}` stands before `per_language`. Put it before, or name others.")
        wide: dict[str, dict[str, float]] = {label: {} for label in self.params.of}
        for language, label, rule in self._all_rules():
            limit, known = self.limit(language, label, rule), wide[label]
            wider = min if rule.op == ">=" else max
            known[rule.parameter] = wider(known.get(rule.parameter, limit), limit)
        needed = []
        for label, limits in wide.items():
            own = earlier[label].params
            short = {
                key: limit
                for key, limit in limits.items()
                if (getattr(own, key) > limit if key.startswith("min_") else getattr(own, key) < limit)
            }
            if short:
                settings = ", ".join(f"{key}: {limit:g}" for key, limit in short.items())
                needed.append(f"`{label}: {{{settings}}}`")
        if needed:
            raise RecipeError(
                "earlier filters drop what `per_language` would keep. Give them thresholds as wide as its widest, "
                f"{' and '.join(needed)}; those of each language are applied here."
            )

    def gather(self, work: Gathering) -> None:
        columns = {language: self._columns(language) for language in (*self.params.languages, REST)}
        names = sorted({f"{label}.{signal}" for label, signal, _ in columns[REST]})
        sizes = dict.fromkeys(columns, 0)
        for part in work.parts:
            table = part.load_signals([LANGUAGE, *names])
            spoken = np.array([name or "" for name in table.column(LANGUAGE).to_pylist()], dtype=str)
            values = {name: as_numbers(table.column(name)) for name in names}
            found = {}
            for language, wanted in columns.items():
                inside = ~np.isin(spoken, self.params.languages) if language == REST else spoken == language
                sizes[language] += int(inside.sum())
                for label, signal, column in wanted:
                    value = values[f"{label}.{signal}"]
                    found[column] = pa.array(value, pa.float64(), mask=~inside | np.isnan(value))
            work.write(part, found)
        work.details |= {"documents_by_language": sizes}
