"""A short name in a recipe -> the class of a step or reader, the table's or a plugin's, or the steps of a preset."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.catalog import READERS, STEPS
from pipeline.core.errors import RecipeError, nearest_names

if TYPE_CHECKING:
    from pipeline.core.step import Step
    from pipeline.recipe.plugins import Plugin


def step_class(name: str) -> type[Step]:
    """Return the class of a step, a plugin's if it is none of ours; RecipeError names the three nearest."""
    if name not in STEPS:
        from pipeline.recipe.plugins import plugin_names, plugin_of

        plugin = plugin_of(name)
        if plugin is not None:
            return plugin.kind
        raise RecipeError(f"unknown step `{name}`. Did you mean {_near(name, [*STEPS, *plugin_names()])}?")
    found: type[Step] = _resolve(name, STEPS, "step")
    return found


def _near(name: str, steps: list[str]) -> str:
    """Return the names of that very step or preset by other definitions, or else the three nearest names."""
    from filters.conformance.chains import PRESETS

    known = [*steps, *PRESETS]
    return " or ".join(other for other in known if label_of(other) == name) or nearest_names(name, known)


def steps_of(name: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the steps that a preset stands for, with their parameters; any other name stands for itself."""
    if "@" not in name or name in STEPS:
        return ((name, {}),)
    from filters.conformance.chains import PRESETS

    if name not in PRESETS:
        raise RecipeError(f"unknown preset `{name}`. Did you mean {nearest_names(name, [*PRESETS, *STEPS])}?")
    return PRESETS[name]


def preset_names() -> list[str]:
    """Return the names that stand for several steps."""
    from filters.conformance.chains import PRESETS

    return list(PRESETS)


def label_of(name: str) -> str:
    """Return what a step's signals and reasons are called by: its name without the definition that it follows."""
    return name.partition("@")[0]


def outside(name: str) -> Plugin | None:
    """Return the plugin that a step comes from, None for one of ours."""
    if name in STEPS:
        return None
    from pipeline.recipe.plugins import plugin_of

    return plugin_of(name)


def reader_class(name: str) -> Any:
    """Return the class of a source reader; RecipeError names the three nearest for an unknown one."""
    return _resolve(name, READERS, "reader")


def _resolve(name: str, table: dict[str, str], kind: str) -> Any:
    if name not in table:
        raise RecipeError(f"unknown {kind} `{name}`. Did you mean {nearest_names(name, table)}?")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
