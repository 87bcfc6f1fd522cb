"""Edits of `proxy.settings` -> proxies of one text that are trained in several ways, each doing the same operations.

Settings change what judges, so nothing is told of text beside them. All arms read one stream, each from its beginning
and as far as its operations reach: seed k of every arm has one order of rows, and one start where shapes are alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.recipe.edits import Edit
from pipeline.recipe.proxy_settings import PLACE, RESHAPING
from pipeline.recipe.research import RangeSection
from pipeline.recipe.sections import ProxySection
from pipeline.recipe.spec import Recipe

ENDLESS = 1 << 50  # tokens: a stream that holds whatever is asked, to see how much is


def is_of_settings(recipe: Recipe) -> bool:
    """Say whether a search is for settings of proxies, and not for text."""
    return recipe.research is not None and recipe.research.space.is_of_settings


def settings_of(edits: Iterable[Edit]) -> dict[str, Any]:
    """Return the settings that edits make, by name."""
    return {edit.place.removeprefix(PLACE): edit.value for edit in edits}


def settings_section(
    recipe: Recipe, arms: Mapping[str, Sequence[Edit]], given: Mapping[str, Any], *, larger: bool = False
) -> dict[str, Any]:
    """Return the section `proxy` of a recipe in which each arm is trained by its edits; `given` is that of the search.

    `larger` is the size at which a claim must hold too. Raises RecipeError for an arm that the stream cannot feed.
    """
    own = {name: settings_of(edits) for name, edits in arms.items() if edits}
    if not larger:
        return {**given, "of": own, "stream": stream_of(recipe)}
    assert recipe.research is not None and recipe.proxy is not None
    transfer, proxy = recipe.research.transfer, recipe.proxy
    settings = {**given.get("settings", {}), "width": _even(proxy.setting("width") * transfer.width)}
    for each in own.values():
        each |= {"width": _even(each["width"] * transfer.width)} if "width" in each else {}
    section = {**given, "settings": settings, "of": own, "stream": ENDLESS}
    wide = _section(section)
    section["tokens"] = int(proxy.tokens * transfer.operations * _work(proxy) / _work(wide))
    return {**section, "stream": _most(section)}


def stream_of(recipe: Recipe) -> int:
    """Return the tokens that the cheapest proxies of a search's space read, which read the most."""
    assert recipe.research is not None and recipe.proxy is not None
    ranges = {name: recipe.research.space.set_.get(f"{PLACE}{name}") for name in RESHAPING}
    least = {name: _least(each) for name, each in ranges.items() if each is not None}
    return _most({**recipe.proxy.model_dump(mode="json"), "of": {"least": least}, "stream": ENDLESS})


def _most(section: Mapping[str, Any]) -> int:
    found = _section(section)
    return max([found.tokens, *(found.tokens_of(name) for name in found.of)])


def _section(told: Mapping[str, Any]) -> ProxySection:
    return ProxySection.model_validate_json(json.dumps(told))  # as strict as a recipe is read


def _least(given: RangeSection) -> int:
    return int(min(given.choices)) if given.choices else int(given.low or 1)


def _work(proxy: ProxySection) -> float:
    from eval.proxies.tiers import tier_called

    return tier_called(proxy.tier_of()).flops_per_token


def _even(width: float) -> int:
    return 2 * max(1, round(width / 2))
