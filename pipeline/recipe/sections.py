"""The sections of a recipe that are not steps, as strict models, and the words for what pydantic finds wrong.

Numbers of tokens may be written with a suffix: `300k`, `20M`, `1.5B`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from pipeline.core.amounts import SUFFIXED, count_of
from pipeline.core.document import Origin
from pipeline.core.errors import nearest_names, shortened
from pipeline.core.strict_model import StrictModel
from pipeline.recipe.proxy_settings import NAMES, SettingsSection

_WRITTEN: dict[str, Any] = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": SUFFIXED}]}
Count = Annotated[int, BeforeValidator(count_of), Field(ge=1), WithJsonSchema(_WRITTEN)]


MOST_FIRST_SEED = 900  # searches count theirs from 1,000


class Section(StrictModel):
    """Base of the recipe's sections."""

    model_config = ConfigDict(populate_by_name=True)


class MixtureSection(Section):
    """Datasets with weights. Weights are shares of training tokens and are normalised to one."""

    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1, description="Share of tokens by dataset.")
    max_epochs: float = Field(
        default=4.0, gt=0, description="Most repetitions of a dataset (Muennighoff 2023: 4 are nearly free)."
    )
    max_document_share: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="Most that one document gives of a dataset's tokens, or ten times the mean; the rest is cut.",
    )


class ProxySection(Section):
    """How large the small models are that judge a mixture, and how many."""

    tier: str = Field(default="t0", description="Size of the proxy, a row of the table in eval/proxies/tiers.py.")
    tokens: Count = Field(default=1_000_000, description="Training tokens of each proxy.")
    seeds: int = Field(
        default=3, ge=3, le=64, description="Paired seeds of initialisation and data order; the gate needs 3."
    )
    first_seed: int = Field(
        default=0,
        ge=0,
        le=MOST_FIRST_SEED,
        description="First of these seeds; another one judges both mixtures by fresh proxies.",
    )
    learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(1.0,),
        min_length=1,
        description="Multiples of the tier's rate; the first decides, the rest must not contradict.",
    )
    held_out_bytes: Count = Field(
        default=300_000,
        description="Text scored of each held-out set, bytes: the first context of each document.",
    )
    tokenizer_on: tuple[str, ...] = Field(
        default=(),
        description="Datasets that the tokenizer is trained on; all that the mixtures name unless given. Fixed, it "
        "stays the same when another dataset is tried.",
    )

    settings: SettingsSection = Field(
        default=SettingsSection(), description="How they are trained where not as the tier says."
    )
    of: dict[str, SettingsSection] = Field(
        default={},
        description="Settings of the proxies of single mixtures, beside `settings`. What is compared is then how "
        "proxies are trained: all mixtures must be one, and each proxy does the same operations.",
    )
    stream: Count | None = Field(
        default=None,
        description="Tokens that a mixture is drawn for, of which each proxy of `of` reads the first; `tokens` unless "
        "given.",
    )

    @property
    def seed_numbers(self) -> range:
        """The seeds of a gate's proxies."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def tier_of(self, mixture: str | None = None) -> str:
        """Return the name of the tier that a mixture's proxies are of, with all settings."""
        from eval.proxies.tiers import name_of

        return name_of(self.tier, self._settings(mixture).changes)

    def tokens_of(self, mixture: str) -> int:
        """Return how many tokens a mixture's proxies read: as many as take the operations of `tokens` of the others."""
        from eval.proxies.tiers import tier_called

        usual, own = (tier_called(name).flops_per_token for name in (self.tier_of(), self.tier_of(mixture)))
        return self.tokens if usual == own else int(self.tokens * usual / own)

    def setting(self, name: str) -> float:
        """Return a setting by its name, the tier's own where it is not given."""
        from eval.proxies.tiers import TIERS, usual_of

        given = getattr(self.settings, name)
        found: float = getattr(usual_of(TIERS[self.tier]), NAMES[name]) if given is None else given
        return found

    def _settings(self, mixture: str | None) -> SettingsSection:
        return self.settings.beside(self.of[mixture]) if mixture in self.of else self.settings

    @model_validator(mode="after")
    def _stream_holds_all(self) -> ProxySection:
        from eval.proxies.tiers import TIERS

        if self.tier in TIERS:
            wanted = {name: self.tokens_of(name) for name in self.of} | {"": self.tokens}
            name = max(wanted, key=lambda each: wanted[each])
            if wanted[name] > (self.stream or self.tokens):
                raise ValueError(
                    f"`stream` must hold the {wanted[name]:,} tokens that proxies of {name or 'other mixtures'} read"
                )
        return self

    @field_validator("learning_rates")
    @classmethod
    def _rates_differ(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if len({f"{rate:g}" for rate in rates}) < len(rates):  # a lane is named by its rate, six digits of it
            raise ValueError("it must not name a rate twice")
        return rates


class SweepSection(Section):
    """A search for weights: rounds of proxies on many mixtures, each round where the one before it promises most."""

    around: str = Field(
        description="Mixture whose datasets and caps are searched; its weights are the prior, and rerun to see chance."
    )
    on: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1,
        description="Held-out datasets that the search looks at, with what each counts; bits per byte are minimised.",
    )
    as_: str = Field(
        default="proposed",
        alias="as",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Name of the mixture that is found; a gate may have it as its candidate.",
    )
    proxies: int = Field(
        default=24, ge=8, le=4096, description="Mixtures to train one proxy on, all rounds together; 64 find more."
    )
    rounds: int = Field(default=3, ge=1, le=64, description="Rounds; from the second on, earlier ones choose mixtures.")
    anchors: int = Field(
        default=3, ge=2, le=64, description="Proxies on `around`, which differ by chance alone, beside the others."
    )
    least: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={}, description="Least weight of a dataset; 0 unless given."
    )
    most: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={}, description="Most weight of a dataset; 1 unless given, or what its supply allows."
    )
    pull: float = Field(
        default=0.0,
        ge=0,
        description="What a step away from the prior must bring, in bits per byte per nat of divergence.",
    )
    stops: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(),
        description="Shares of their tokens after which the worst of a round are dropped, such as [0.35].",
    )
    keep: float = Field(
        default=0.34,
        gt=0,
        le=1,
        description="Share of a round's mixtures that goes on after each of `stops`, the best.",
    )

    @field_validator("stops")
    @classmethod
    def _stops_rise(cls, stops: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= earlier for earlier, later in itertools.pairwise(stops)):
            raise ValueError("each must be later than the one before it")
        return stops

    @field_validator("rounds")
    @classmethod
    def _rounds_fit(cls, rounds: int, info: ValidationInfo) -> int:
        proxies = info.data.get("proxies")
        if proxies is not None and proxies < 4 * rounds:
            raise ValueError(f"{proxies} proxies in {rounds} rounds are fewer than four to a round")
        return rounds

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return how many mixtures each round tries; the first tries as many as half where there are several."""
        first = self.proxies if self.rounds == 1 else max(4, self.proxies // 2)
        rest, later = self.proxies - first, self.rounds - 1
        return (first, *(rest * (k + 1) // later - rest * k // later for k in range(later)))


class TrialsSection(Section):
    """Proxies on mixtures of which nothing is claimed, scored on open held-out sets: for a reader, or for research."""

    on: tuple[str, ...] = Field(min_length=1, description="Held-out datasets to score on; never trained on.")
    seeds: dict[str, Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]] = Field(
        min_length=1, description="Seeds of the proxies to train, by mixture."
    )
    sealed: float = Field(
        default=0.0, ge=0, le=0.9, description="Share of each held-out set that is kept for a gate, as `gate.sealed`."
    )
    group_by: str | None = Field(
        default=None, description="Key of the metadata by which the sealed share is chosen, as `gate.group_by`."
    )


class GateSection(Section):
    """The rule, fixed before the experiment, by which a candidate replaces a baseline."""

    candidate: str = Field(description="Mixture that wants to be promoted.")
    baseline: str = Field(description="Mixture that it must beat.")
    metric: Literal["bits_per_byte"] = Field(
        default="bits_per_byte", description="What is compared, on raw text: fewer bits per byte are better."
    )
    on: tuple[str, ...] = Field(min_length=1, description="Held-out datasets, one domain each; never trained on.")
    sealed: float = Field(
        default=0.0,
        ge=0,
        le=0.9,
        description="Share of each held-out set that only a verdict looks at; searches and ablations see the rest.",
    )
    min_gain: float = Field(default=0.004, ge=0, description="Smallest gain worth promoting, bits per byte.")
    guards: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default={}, description="Largest loss allowed by domain, bits per byte."
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Confidence of the interval.")
    verdict: bool = Field(
        default=True, description="false: compare only; nothing is decided or promoted, and no look is counted."
    )
    group_by: str | None = Field(
        default=None,
        description="Key of the metadata, such as a site: held-out documents with equal values count as one group.",
    )

    @field_validator("baseline")
    @classmethod
    def _two_mixtures(cls, baseline: str, info: ValidationInfo) -> str:
        if baseline == info.data.get("candidate"):
            raise ValueError("it must be another mixture than the candidate")
        return baseline

    @field_validator("on")
    @classmethod
    def _domains_differ(cls, on: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(on)) < len(on):
            raise ValueError("it must not name a set twice, whose documents would count twice")
        if "overall" in on:
            raise ValueError("no set may be called `overall`, which is what the mean over all of them is called")
        return on


class PromoteSection(Section):
    """Where a promoted mixture is registered."""

    as_: str = Field(alias="as", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Name in the registry.")
    origins: tuple[Origin, ...] | None = Field(
        default=None, min_length=1, description="Whose words a version may hold; null: anybody's, by `terms`."
    )
    terms: tuple[str, ...] = Field(
        default=(),
        description="Providers whose terms for texts by their models are settled; for Claude's: Anthropic.",
    )


def explain_invalid(
    error: ValidationError, kind: type[BaseModel], body: Mapping[str, Any], where: str
) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield (place inside the section, message) for everything that pydantic found wrong."""
    keys = [field.alias or name for name, field in kind.model_fields.items()]
    for problem in error.errors(include_url=False):
        place = tuple(problem["loc"])
        dotted = ".".join([where, *map(str, place)])
        if problem["type"] == "extra_forbidden":
            yield (
                place,
                f"{where}: `{place[-1]}` is not known here. Did you mean {nearest_names(str(place[-1]), keys)}?",
            )
        elif problem["type"] == "missing":
            yield place[:-1], f"{where}: `{place[-1]}` is missing. It has no default; add it."
        else:
            rule = _rule(problem["msg"], _value(body, place))
            if problem["type"] == "string_pattern_mismatch" and (meaning := _meaning(kind, place)):
                rule = f"it must be one of what this says: {meaning.rstrip('.')}"
            found = shortened(json.dumps(_value(body, place), ensure_ascii=False))
            end = "" if rule.endswith("?") else "."
            yield place, f"{dotted} is {found}; {rule}{end}{_way_out(kind, place)}"


def _rule(told: str, found: Any) -> str:
    """Return pydantic's rule in the words of a recipe, which knows mappings and lists."""
    rule = told.replace("Input should be", "it must be").replace("Value error, ", "")
    such_as = f", such as [{found}]" if isinstance(found, (str, int, float)) else ""
    return rule.replace("be an object", "be a mapping").replace("be a valid array", f"be a list{such_as}")


def _value(body: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        try:
            body = body[key]
        except (KeyError, IndexError, TypeError):
            break
    return body


def _field(kind: type[BaseModel], place: tuple[Any, ...]) -> FieldInfo | None:
    named = (field for name, field in kind.model_fields.items() if place and place[0] in (name, field.alias))
    return next(named, None)


def _meaning(kind: type[BaseModel], place: tuple[Any, ...]) -> str:
    field = _field(kind, place)
    return (field.description or "") if field is not None else ""


def _way_out(kind: type[BaseModel], place: tuple[Any, ...]) -> str:
    field = _field(kind, place)
    if field is None or field.is_required():
        return ""
    return f" Remove the line to use {json.dumps(field.get_default(call_default_factory=True), default=str)}."
