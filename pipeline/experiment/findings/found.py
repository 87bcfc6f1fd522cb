"""A finished search -> what it found in a few numbers, and the same recipe with that mixture in place of the search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.files.reading.strict_yaml import parse
from pipeline.core.files.stores.places import without_secrets
from pipeline.core.files.writing.durable import write_text
from pipeline.plan.graph import Plan
from pipeline.plan.sweep import found_in, is_found
from pipeline.recipe.ablation import named
from pipeline.recipe.python_recipe import yaml_of
from pipeline.store.workspace import Workspace

SHORTENED = "# Passwords and queries of its URLs are left out: put them back before you run it.\n"


@dataclass(frozen=True, slots=True)
class Found:
    """The mixture that a search found. Bits per byte are predicted, by models of the search's proxies."""

    mixture: str
    weights: Mapping[str, float]
    around: str
    predicted: float
    predicted_of_around: float
    proxies: int
    recipe: Path  # that trains it, without the search


def found_by(plan: Plan) -> Found | None:
    """Return what a finished plan's search found, and write its recipe; None if there is no search."""
    sweep, experiment = plan.recipe.sweep, plan.experiment
    if sweep is None or experiment is None or not experiment.rounds or experiment.rounds_to_come:
        return None
    node = experiment.rounds[-1].node
    if not is_found(node):
        return None
    found = found_in(node)
    path = recipe_path(plan.workspace, plan.recipe.name, sweep.as_)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, _recipe_with(plan, found["optimum"]["weights"]))
    return Found(
        mixture=sweep.as_,
        weights=found["optimum"]["weights"],
        around=sweep.around,
        predicted=found["optimum"]["value"],
        predicted_of_around=found["of_around"]["value"],
        proxies=len(found["runs"]),
        recipe=path,
    )


def recipe_path(workspace: Workspace, recipe: str, mixture: str) -> Path:
    """Return where the recipe of a found mixture is written."""
    return workspace.root / "reports" / f"{recipe}-{mixture}.yaml"


def _recipe_with(plan: Plan, weights: Mapping[str, float]) -> str:
    """Return the recipe's YAML with the mixture that was found and without the search; no result loses its identity."""
    sweep = plan.recipe.sweep
    assert sweep is not None
    data: dict[str, Any] = dict(parse(plan.recipe.text, path=plan.recipe.path or Path(plan.recipe.name)).data)
    del data["sweep"]
    like = {key: value for key, value in data["mixtures"][sweep.around].items() if key != "weights"}
    mixture = {"weights": {name: weight for name, weight in weights.items() if weight > 0}, **like}
    data["name"] = named(f"{plan.recipe.name}-{sweep.as_}")
    data["mixtures"] = {**data["mixtures"], sweep.as_: mixture}
    text = yaml_of(data)
    plain = without_secrets(text)
    head = f"# What the search of recipe {plan.recipe.name} found: mixture {sweep.as_}.\n"
    head += SHORTENED if plain != text else ""
    return head + plain
