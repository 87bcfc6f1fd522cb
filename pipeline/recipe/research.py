"""The `research:` section of a recipe: which mixture is to be bettered, what may move and how far, and at what cost.

What stands here no proposal can change: the space, the budget, who proposes, and what waits for a person.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.recipe.proxy_settings import PLACE
from pipeline.recipe.sections import Section

PROPOSERS = ("gp", "optuna", "random", "claude", "script")
FREE = {"gp": 0.5, "optuna": 0.3, "random": 0.2}
Share = Annotated[float, Field(ge=0, le=1)]


class RangeSection(Section):
    """How far one value may move: between two numbers, or among some choices."""

    low: float | None = Field(default=None, description="Least value.")
    high: float | None = Field(default=None, description="Greatest value.")
    log: bool = Field(default=False, description="Whether doubling counts the same everywhere between the two.")
    choices: tuple[Any, ...] = Field(default=(), description="Values to choose among, instead of `low` and `high`.")

    @model_validator(mode="after")
    def _one_of_two(self) -> RangeSection:
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("it must have `choices`, or `low` and `high`, not both")
            if len(self.choices) < 2 or len({repr(choice) for choice in self.choices}) < len(self.choices):
                raise ValueError("`choices` must be two or more different values")
            return self
        if self.low is None or self.high is None:
            raise ValueError("it must have `low` and `high`, or `choices`")
        if not self.low < self.high or not math.isfinite(self.low) or not math.isfinite(self.high):
            raise ValueError(f"`low` ({self.low:g}) must be below `high` ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"`log: true` needs a `low` above 0, and it is {self.low:g}")
        return self


class WeightsSection(Section):
    """How far the weights of the incumbent may move."""

    least: dict[str, Share] = Field(default={}, description="Least weight of a dataset; 0 unless given.")
    most: dict[str, Share] = Field(
        default={}, description="Most weight of a dataset; 1 unless given, or what its supply allows."
    )


class AddedSection(Section):
    """A step that may be put into a dataset."""

    dataset: str = Field(description="Dataset that it may be put into.")
    step: str | dict[str, Any] = Field(description="The step as in a recipe: its name, or its name with parameters.")
    before: str | None = Field(default=None, description="Step before which it stands; at the end unless given.")


class SpaceSection(Section):
    """What may move. Guards, held-out sets, sources and whatever judges are in no space."""

    weights: WeightsSection | None = Field(default=None, description="Limits of the incumbent's weights, if they move.")
    set_: dict[str, RangeSection] = Field(
        default={},
        alias="set",
        description="Range of a value by its place, such as datasets.clean.gopher_quality.min_words.",
    )
    add_step: tuple[AddedSection, ...] = Field(default=(), description="Steps that may be put in.")
    remove_step: tuple[str, ...] = Field(default=(), description="Steps that may be left out, as DATASET.STEP.")
    move_step: dict[str, tuple[str, ...]] = Field(
        default={}, description="Steps that may stand elsewhere, as DATASET.STEP: the steps before which, or `end`."
    )

    @model_validator(mode="after")
    def _holds_something(self) -> SpaceSection:
        if self.weights is None and not (self.set_ or self.add_step or self.remove_step or self.move_step):
            raise ValueError("it holds nothing that may move; give `weights`, `set`, `add_step` or `remove_step`")
        settings = [place for place in self.set_ if place.startswith("proxy.")]
        others = self.weights or self.add_step or self.remove_step or self.move_step or len(settings) < len(self.set_)
        if settings and others:
            raise ValueError(
                f"`{settings[0]}` changes what judges, and nothing can be told of text beside it; search for settings "
                "of proxies and for text in two recipes"
            )
        return self

    @property
    def is_of_settings(self) -> bool:
        """Whether what moves is how proxies are trained, and no text."""
        return any(place.startswith(PLACE) for place in self.set_)


class TransferSection(Section):
    """The larger proxies by which settings must be better too, before that is claimed."""

    width: float = Field(default=2.0, gt=1, le=16, description="Times the width of both arms.")
    operations: float = Field(default=4.0, ge=1, le=1000, description="Times the operations of a proxy.")


class BudgetSection(Section):
    """What a search may spend, all its nights together; what is on its way counts."""

    experiments: int = Field(default=24, ge=4, le=100_000, description="Cards to try.")
    hours: float = Field(default=8.0, gt=0, le=24 * 365, description="Hours of work.")
    usd: float = Field(default=0.0, ge=0, description="Dollars for proposers and paid steps of cards.")


class ResearchSection(Section):
    """A search for a better mixture by cards: proposals that proxies try, one claim that fresh proxies judge."""

    incumbent: str = Field(description="Mixture to be bettered.")
    on: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="Held-out datasets that the search looks at, with what each counts."
    )
    as_: str = Field(
        default="head",
        alias="as",
        pattern=r"^[A-Za-z0-9_-]{1,24}$",
        description="Name of what is found; the gate has it as its candidate.",
    )
    space: SpaceSection = Field(description="What may move, and how far.")
    budget: BudgetSection = Field(default=BudgetSection(), description="Experiments, hours and dollars.")
    proposers: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        default=FREE,
        description="Who proposes, with the share of cards that each begins with: gp, optuna, random, claude, script.",
    )
    model: str = Field(default="claude-opus-5-5", description="Model of the proposer `claude`.")
    script: str | None = Field(
        default=None, description="Python file of the proposer `script`; it runs confined and sees no sealed result."
    )
    transfer: TransferSection = Field(
        default=TransferSection(), description="Where settings of proxies are searched: the larger size of the claim."
    )
    batch: int = Field(default=8, ge=2, le=64, description="Cards that are tried together.")
    most_edits: int = Field(default=3, ge=1, le=8, description="Most edits of one card beside its parent's.")
    person: tuple[Literal["promotion", "outside", "widening"], ...] = Field(
        default=("promotion", "outside", "widening"),
        description="What waits for a person: promotion of the head, edits outside the space, a wider space.",
    )
    usd_without_person: float = Field(
        default=1.0, ge=0, description="Dollars that one card may cost without a person's word."
    )

    @field_validator("proposers")
    @classmethod
    def _somebody_free(cls, shares: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(shares.keys() - set(PROPOSERS)):
            raise ValueError(f"`{unknown[0]}` is no proposer; they are {', '.join(PROPOSERS)}")
        if not FREE.keys() & shares.keys():
            raise ValueError("one of gp, optuna and random must be among them, which go on when Claude does not")
        return shares

    @model_validator(mode="after")
    def _script_is_named(self) -> ResearchSection:
        if ("script" in self.proposers) != (self.script is not None):
            raise ValueError("`script:` names the file of the proposer `script`; give both or neither")
        return self
