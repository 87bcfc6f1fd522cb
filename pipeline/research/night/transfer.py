"""A claim of settings -> judged at the recipe's size, and where it holds there at a larger one; it must hold at both.

Settings that train small proxies best are asked for because larger ones are to be trained by them. What holds at one
size only is refused, with the numbers of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.recipe.load import load_recipe
from pipeline.research.edits.settings import is_of_settings
from pipeline.research.night.claim_recipe import claim_recipe
from pipeline.research.search.search import Search

Judge = Callable[[Mapping[str, Any]], Mapping[str, Any]]  # the claim's recipe -> its verdict as JSON


def judged(search: Search, claim: Mapping[str, Any], judge: Judge) -> dict[str, Any]:
    """Return the verdict on a claim; of settings that of both sizes, whose parts are in `sizes`."""
    own = claim_recipe(search, claim)
    verdict = dict(judge(own))
    if not is_of_settings(search.recipe):
        return verdict
    small = _size(own, verdict)
    if verdict["outcome"] != "promote":
        why = f"{verdict['sentence']} Larger proxies were not trained."
        return verdict | {"sentence": why, "sizes": [small]}
    other = claim_recipe(search, claim, larger=True)
    larger = dict(judge(other))
    large = _size(other, larger)
    told = f"{_told(small)}, {_told(large)}"
    if larger["outcome"] == "promote":
        sentence = f"PROMOTE: the settings hold at both sizes, {told}."
        return verdict | {"sentence": sentence, "sizes": [small, large]}
    sentence = f"{str(larger['outcome']).upper()}: the settings do not hold at both sizes, {told}."
    return larger | {"sentence": sentence, "sizes": [small, large]}


def _size(recipe: Mapping[str, Any], verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a claim at one size."""
    proxy = load_recipe(dict(recipe)).proxy
    assert proxy is not None
    kept = ("outcome", "gain", "low", "high", "report", "certificate")
    told = {"tier": proxy.tier_of(), "tokens": proxy.tokens}
    return told | {key: verdict[key] for key in kept if key in verdict}


def _told(size: Mapping[str, Any]) -> str:
    at = f"at {size['tier']}"
    if "gain" not in size:
        return f"{at} {size['outcome']}"
    return f"{at} {size['gain']:+.4f} bits per byte ({size['low']:+.4f} to {size['high']:+.4f})"
