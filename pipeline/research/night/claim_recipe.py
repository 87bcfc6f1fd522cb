"""A claim -> the recipe by which it is judged: fresh proxies of both mixtures, and the gate as it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.recipe.edits import edit_of
from pipeline.research.edits.settings import is_of_settings, settings_section
from pipeline.research.search.search import Search


def claim_recipe(search: Search, claim: Mapping[str, Any], *, larger: bool = False) -> dict[str, Any]:
    """Return the recipe by which a claim is judged: both mixtures by fresh seeds, and the gate as it is written.

    A claim of settings is judged by `larger` proxies too.
    """
    name, incumbent, data = search.research.as_, search.research.incumbent, search.bench.data
    edits = tuple(edit_of(told) for told in claim["head"])
    variant = search.bench.variant(edits, tag=name)
    section = search.bench.proxy_section(
        seeds=int(claim["seeds"]), rates=search.proxy.learning_rates, first_seed=int(claim["first_seed"])
    )
    if is_of_settings(search.recipe):
        section = settings_section(search.recipe, {name: edits}, section, larger=larger)
    return {
        "name": f"{search.recipe.name}-claim{'-larger' if larger else ''}",
        "seed": search.recipe.seed,
        "sources": data.get("sources"),
        "datasets": {**data["datasets"], **variant.datasets},
        "mixtures": {incumbent: data["mixtures"][incumbent], name: variant.mixture},
        "proxy": section,
        "gate": data["gate"],
    }
