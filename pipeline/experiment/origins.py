"""Whose words a mixture holds, and whether its recipe lets them into a version that others will train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.core.errors import GateError
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.step import MakingStep
from pipeline.store.results import document_paths

if TYPE_CHECKING:
    from pipeline.plan.graph import Plan
    from pipeline.recipe.sections import PromoteSection
    from pipeline.recipe.spec import Recipe

PROVIDERS = {"claude": "Anthropic"}  # whose terms speak of training on what their models wrote


def origins_of(plan: Plan, datasets: Mapping[str, object]) -> dict[str, Counter[str]]:
    """Return dataset -> documents by origin, read from the finished datasets themselves."""
    found: dict[str, Counter[str]] = {}
    for name in datasets:
        counts: Counter[str] = Counter()
        for path in document_paths(plan.documents_node(name).folder):
            counted = read_table(path, columns=["origin"]).column("origin").value_counts().to_pylist()
            counts.update({row["values"]: row["counts"] for row in counted})
        found[name] = counts
    return found


def admit_origins(section: PromoteSection, found: Mapping[str, Mapping[str, int]]) -> None:
    """Raise GateError where a dataset holds words that the recipe does not let into a version."""
    for dataset, counts in sorted(found.items()):
        for origin, count in sorted(counts.items()):
            refusal = _refusal(section, origin, told=f"{dataset} holds {count:,} documents of origin `{origin}`")
            if refusal:
                raise GateError(f"{refusal} Then run the recipe again; nothing is trained anew.")


def foretold_refusal(recipe: Recipe) -> str:
    """Return why the candidate could not be promoted for the words that it will hold, known before it is built.

    Empty where it could, and where the recipe promotes nothing. What a search has yet to find is taken to hold what the
    mixture holds that it starts from.
    """
    if recipe.gate is None or recipe.promote is None:
        return ""
    candidate = recipe.gate.candidate
    if recipe.sweep is not None and candidate not in recipe.mixtures:
        candidate = recipe.sweep.around
    elif recipe.research is not None and candidate not in recipe.mixtures:
        candidate = recipe.research.incumbent
    for dataset in sorted(recipe.mixtures[candidate].weights if candidate in recipe.mixtures else ()):
        for origin in sorted(_foretold(recipe, dataset)):
            told = f"{dataset} will hold documents of origin `{origin}`"
            if refusal := _refusal(recipe.promote, origin, told=told):
                return refusal
    return ""


def _refusal(section: PromoteSection, origin: str, *, told: str) -> str:
    if section.origins is not None and origin not in section.origins:
        return (
            f"promote: {told}, and `promote.origins` is {list(section.origins)}. Leave the dataset out of the mixture, "
            "or add the origin."
        )
    provider = PROVIDERS.get(origin)
    if provider is not None and provider.casefold() not in {name.casefold() for name in section.terms}:
        return (
            f"promote: {told}. Whether others may train on them is a matter between you and {provider}: read its terms "
            f"(synth/README.md says what is known), and once it is settled, write `terms: [{provider}]` under "
            "`promote:`."
        )
    return ""


def _foretold(recipe: Recipe, name: str) -> set[str]:
    """Return the origins that documents of a source or dataset will have, as far as they are known."""
    if name in recipe.sources:
        return {recipe.sources[name].reader.params.origin}
    spec = recipe.datasets[name]
    if spec.make is not None:
        step = spec.make.step
        known = step.origin() if isinstance(step, MakingStep) else None
        return set() if known is None else {known}
    return set().union(*(_foretold(recipe, wanted) for wanted in spec.inputs))
