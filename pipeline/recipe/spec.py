"""A validated recipe as frozen records: sources, datasets and their steps, mixtures, proxies, gate, promotion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.step import Params, Step
from pipeline.recipe.research import ResearchSection
from pipeline.recipe.sections import (
    GateSection,
    MixtureSection,
    PromoteSection,
    ProxySection,
    SweepSection,
    TrialsSection,
)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One `sources:` entry, its reader made and ready."""

    name: str
    reader: Any


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step of a dataset. `label` is unique inside the dataset and names the step's signals: `label.signal`."""

    label: str
    step: Step
    implied: bool = False  # put in by the recipe's shape, not by its writer


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """One `datasets:` entry: where its documents come from and what happens to them, in order."""

    name: str
    inputs: tuple[str, ...]
    make: StepSpec | None
    steps: tuple[StepSpec, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A validated recipe. `datasets` stand in an order in which each comes after what it needs."""

    path: Path | None  # None where it was given in Python
    text: str  # as it was read, whatever becomes of the file; of one given in Python its canonical YAML
    name: str
    seed: int
    sources: Mapping[str, SourceSpec]
    datasets: Mapping[str, DatasetSpec]
    mixtures: Mapping[str, MixtureSection]
    proxy: ProxySection | None
    gate: GateSection | None
    promote: PromoteSection | None
    sweep: SweepSection | None = None
    trials: TrialsSection | None = None
    research: ResearchSection | None = None
    stored: Mapping[str, str] = field(default_factory=dict)  # datasets and `mixture/NAME` that stand as they are stored
    judged_before: frozenset[str] = frozenset()  # identities of held-out sets that these were held against

    @property
    def place(self) -> str:
        """Return what messages call it: its file, or its name."""
        return str(self.path) if self.path is not None else f"recipe `{self.name}`"


def held_out_by(recipe: Recipe) -> tuple[str, ...]:
    """Return the datasets that a gate, a search or trials hold out, each once."""
    sections = (recipe.gate, recipe.sweep, recipe.trials, recipe.research)
    return tuple(dict.fromkeys(name for section in sections if section is not None for name in section.on))


def step_inputs(spec: DatasetSpec) -> list[str]:
    """Return the names that a dataset's steps refer to with `input_names` parameters (datasets or files)."""
    items = (*spec.steps, *((spec.make,) if spec.make else ()))
    return [name for item in items for names in input_names_of(item.step.params).values() for name in names]


def input_names_of(params: Params) -> dict[str, tuple[str, ...]]:
    """Return the `input_names` parameters of a step and what each names, as given."""
    found: dict[str, tuple[str, ...]] = {}
    for key in type(params).model_fields:
        if params.role_of(key) == "input":
            value = getattr(params, key)
            listed = () if value is None else (value,) if isinstance(value, (str, Path)) else value
            found[key] = tuple(str(name) for name in listed)
    return found


def final_datasets(recipe: Recipe) -> list[str]:
    """Return the datasets that a recipe is for: no other uses them and no gate holds them out."""
    used = {name for spec in recipe.datasets.values() for name in (*spec.inputs, *step_inputs(spec))}
    held = held_out_by(recipe)
    aside = {*used, *held, *recipe.stored}
    return [name for name in recipe.datasets if name not in aside]
