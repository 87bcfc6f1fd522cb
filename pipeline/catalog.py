"""The one table of parts: short name -> where it lives. Nothing is imported before it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import RecipeError, nearest_names

if TYPE_CHECKING:
    from pipeline.core.step import Step
    from pipeline.recipe.plugins import Plugin

STEPS: dict[str, str] = {
    # measuring
    "language": "filters.language.language:Language",
    "gopher_quality": "filters.heuristics.gopher:GopherQuality",
    "gopher_repetition": "filters.heuristics.gopher:GopherRepetition",
    "c4_quality": "filters.heuristics.c4:C4Quality",
    "fineweb_quality": "filters.heuristics.fineweb:FineWebQuality",
    "refinedweb_lines": "filters.heuristics.refinedweb:RefinedWebLines",
    "length": "filters.heuristics.length:Length",
    "pii": "filters.privacy.pii:Pii",
    "url": "filters.lists.url:Url",
    "patterns": "filters.heuristics.patterns:Patterns",
    "terms": "filters.lists.terms:Terms",
    "toxicity": "filters.lists.terms:Toxicity",
    "decontaminate": "filters.contamination.decontaminate:Decontaminate",
    "datatrove": "filters.conformance.datatrove_step:DatatroveStep",
    # gathering
    "unique_ids": "filters.dedup.unique_ids:UniqueIds",
    "line_dedup": "filters.dedup.line_dedup:LineDedup",
    "paragraph_dedup": "filters.dedup.line_dedup:ParagraphDedup",
    "substring_dedup": "filters.dedup.substring_dedup:SubstringDedup",
    "exact_dedup": "filters.dedup.exact_dedup:ExactDedup",
    "minhash_dedup": "filters.dedup.minhash:MinHashDedup",
    "label": "filters.labels.label:Label",
    "quality": "filters.classifier.quality:Quality",
    # datatrove's definitions, pinned; presets of several steps stand in filters/conformance/chains.py
    "gopher_quality@datatrove-0.10": "filters.conformance.gopher:GopherQuality",
    "gopher_repetition@datatrove-0.10": "filters.conformance.gopher:GopherRepetition",
    "c4_quality@datatrove-0.10": "filters.conformance.c4:C4Quality",
    "c4_paragraph@datatrove-0.10": "filters.conformance.c4:C4Paragraph",
    "c4_badwords@datatrove-0.10": "filters.conformance.badwords:C4BadWords",
    "fineweb_quality@datatrove-0.10": "filters.conformance.fineweb:FineWebQuality",
    "url@datatrove-0.10": "filters.conformance.url:Url",
    "pii@datatrove-0.10": "filters.conformance.pii:Pii",
    "minhash_dedup@datatrove-0.10": "filters.conformance.minhash:MinHashDedup",
    # making
    "verified_tasks": "synth.verified_tasks:VerifiedTasks",
}

READERS: dict[str, str] = {
    "parquet": "pipeline.sources.parquet:ParquetReader",
    "jsonl": "pipeline.sources.jsonl:JsonlReader",
    "text": "pipeline.sources.text:TextReader",
    "hf": "pipeline.sources.hub:HubReader",
    "warc": "pipeline.sources.warc:WarcReader",
    "installed_docs": "pipeline.sources.installed_docs:InstalledDocsReader",
}


def step_class(name: str) -> type[Step]:
    """Return the class of a step, a plugin's if it is none of ours; RecipeError names the three nearest."""
    if name not in STEPS:
        from pipeline.recipe.plugins import plugin_names, plugin_of

        plugin = plugin_of(name)
        if plugin is not None:
            return plugin.kind
        raise RecipeError(f"`{name}` is no step. Did you mean {_near(name, [*STEPS, *plugin_names()])}?")
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
        raise RecipeError(f"`{name}` is no preset. Did you mean {nearest_names(name, [*PRESETS, *STEPS])}?")
    return PRESETS[name]


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
        raise RecipeError(f"`{name}` is no {kind}. Did you mean {nearest_names(name, table)}?")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
