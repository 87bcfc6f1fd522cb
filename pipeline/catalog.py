"""The one table of parts: short name -> where it lives. Nothing is imported before it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import RecipeError, nearest_names

if TYPE_CHECKING:
    from pipeline.core.step import Step

STEPS: dict[str, str] = {
    # measuring
    "language": "filters.language:Language",
    "gopher_quality": "filters.gopher:GopherQuality",
    "gopher_repetition": "filters.gopher:GopherRepetition",
    "c4_quality": "filters.c4:C4Quality",
    "fineweb_quality": "filters.fineweb:FineWebQuality",
    "length": "filters.length:Length",
    "pii": "filters.pii:Pii",
    "decontaminate": "filters.decontaminate:Decontaminate",
    # gathering
    "unique_ids": "filters.unique_ids:UniqueIds",
    "exact_dedup": "filters.exact_dedup:ExactDedup",
    "minhash_dedup": "filters.minhash:MinHashDedup",
    "label": "filters.label:Label",
    "quality": "filters.quality:Quality",
    # making
    "verified_tasks": "synth.verified_tasks:VerifiedTasks",
}

READERS: dict[str, str] = {
    "parquet": "pipeline.sources.parquet:ParquetReader",
    "jsonl": "pipeline.sources.jsonl:JsonlReader",
    "hf": "pipeline.sources.hub:HubReader",
    "installed_docs": "pipeline.sources.installed_docs:InstalledDocsReader",
}


def step_class(name: str) -> type[Step]:
    """Return the class of a step; RecipeError names the three nearest for an unknown one."""
    found: type[Step] = _resolve(name, STEPS, "step")
    return found


def reader_class(name: str) -> Any:
    """Return the class of a source reader; RecipeError names the three nearest for an unknown one."""
    return _resolve(name, READERS, "reader")


def _resolve(name: str, table: dict[str, str], kind: str) -> Any:
    if name not in table:
        raise RecipeError(f"`{name}` is no {kind}. Did you mean {nearest_names(name, table)}?")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
