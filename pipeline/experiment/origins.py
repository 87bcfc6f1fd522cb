"""Whose words a mixture holds, and whether its recipe lets them into a version that others will train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.core.errors import GateError
from pipeline.core.files.parquet.shards import read_table
from pipeline.store.results import document_paths

if TYPE_CHECKING:
    from pipeline.plan.graph import Plan
    from pipeline.recipe.sections import PromoteSection

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
    settled = {name.casefold() for name in section.terms}
    for dataset, counts in sorted(found.items()):
        for origin, count in sorted(counts.items()):
            told = f"promote: {dataset} holds {count:,} documents of origin `{origin}`"
            if section.origins is not None and origin not in section.origins:
                raise GateError(
                    f"{told}, and `promote.origins` is {list(section.origins)}. Leave the dataset out of the mixture, "
                    "or add the origin."
                )
            provider = PROVIDERS.get(origin)
            if provider is not None and provider.casefold() not in settled:
                raise GateError(
                    f"{told}. Whether others may train on them is a matter between you and {provider}: read its terms "
                    f"(synth/README.md says what is known), and once it is settled, write `terms: [{provider}]` under "
                    "`promote:`. Then run the recipe again; nothing is trained anew."
                )
