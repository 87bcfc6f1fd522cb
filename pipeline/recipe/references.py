"""A parsed recipe -> what is wrong with the names by which its sections speak of each other, and of the table of tiers.

Looks at the recipe as it is written and not at its validated sections, so that a mistake in one value hides none in a
name: `seeds: 2` is told together with `tier: t999`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import did_you_mean
from pipeline.recipe.sections import SweepSection
from pipeline.recipe.strict_yaml import Document, Place, dotted

if TYPE_CHECKING:
    from pipeline.recipe.spec import DatasetSpec, SourceSpec


PROPOSED = str(SweepSection.model_fields["as_"].default)


def note_wrong_references(
    document: Document, datasets: Mapping[str, DatasetSpec], sources: Mapping[str, SourceSpec | None]
) -> None:
    """Note names that nothing has, sections that lack another, and held-out sets that are trained on."""
    data = document.data
    declared = set(_mapping(data, "datasets"))
    weights = {name: list(_mapping(body, "weights")) for name, body in _mapping(data, "mixtures").items()}
    for name, listed in weights.items():
        for dataset in listed:
            _known(document, dataset, declared, ("mixtures", name, "weights", dataset), "dataset")
    if weights and data.get("proxy") is None:
        message = "mixtures need a `proxy:` section, which says how large they are and how they are judged."
        document.mistake(("mixtures",), message)
    if "tier" in _mapping(data, "proxy"):
        from eval.proxies.tiers import TIERS

        _known(document, data["proxy"]["tier"], set(TIERS), ("proxy", "tier"), "tier")
    if data.get("sweep") is not None:
        _note_sweep(document, declared, weights, datasets, sources)
    if data.get("gate") is not None:
        _note_gate(document, declared, weights, datasets, sources)
    if data.get("promote") is not None and _mapping(data, "gate").get("verdict") is False:
        message = "`promote:` needs a verdict, and gate.verdict is false; take one of the two out."
        document.mistake(("promote",), message)
    elif data.get("promote") is not None and data.get("gate") is None:
        message = "`promote:` needs a `gate:` section; nothing is promoted without evidence."
        document.mistake(("promote",), message)


def _note_sweep(
    document: Document,
    declared: Set[str],
    weights: Mapping[str, list[str]],
    datasets: Mapping[str, DatasetSpec],
    sources: Mapping[str, SourceSpec | None],
) -> None:
    from pipeline.recipe.leaks import leaks

    sweep = _mapping(document.data, "sweep")
    if "around" in sweep:
        _known(document, sweep["around"], set(weights), ("sweep", "around"), "mixture")
    name = sweep.get("as", PROPOSED)
    if name in weights:
        document.mistake(
            ("sweep", "as"), f"sweep.as: `{name}` is a mixture already; what is found needs a name of its own."
        )
    _note_held_out(document, declared, weights, datasets, sources, on=list(_mapping(sweep, "on")), section="sweep")
    judged = _mapping(document.data, "gate").get("on")
    for dataset in _mapping(sweep, "on"):
        if isinstance(judged, list) and dataset in judged:
            document.mistake(
                ("sweep", "on", dataset),
                f"sweep.on: `{dataset}` also stands in gate.on; what a search looked at cannot judge what it found. "
                "Split it, or hold out another set for one of the two.",
            )
        elif shared := [
            str(other)
            for other in (judged if isinstance(judged, list) else ())
            if leaks(datasets, sources, str(other), dataset) and leaks(datasets, sources, dataset, str(other))
        ]:
            document.mistake(
                ("sweep", "on", dataset),
                f"sweep.on: `{dataset}` and `{shared[0]}` of gate.on have documents of one source or file; what a "
                "search looked at cannot judge what it found. Hold out another source, or "
                f"`decontaminate: {{against: [{dataset}]}}` in `{shared[0]}`.",
            )
    searched = weights.get(str(sweep.get("around")), [])
    if len(searched) == 1:
        document.mistake(
            ("sweep", "around"),
            f"sweep.around: `{sweep['around']}` has one dataset; a search needs two or more. Name another mixture.",
        )
    for key in ("least", "most"):
        for dataset in _mapping(sweep, key) if searched else ():
            _known(document, dataset, set(searched), ("sweep", key, dataset), "dataset of the mixture")


def _note_gate(
    document: Document,
    declared: Set[str],
    weights: Mapping[str, list[str]],
    datasets: Mapping[str, DatasetSpec],
    sources: Mapping[str, SourceSpec | None],
) -> None:
    gate = _mapping(document.data, "gate")
    for role in ("candidate", "baseline"):
        if role in gate:
            _known(document, gate[role], {*weights, *_proposed(document.data)}, ("gate", role), "mixture")
    on = gate["on"] if isinstance(gate.get("on"), list) else []
    _note_held_out(document, declared, weights, datasets, sources, on=on, section="gate")
    for domain in _mapping(gate, "guards"):
        _known(document, domain, {str(name) for name in on}, ("gate", "guards", domain), "held-out set")


def _proposed(data: Mapping[str, Any]) -> set[str]:
    """Return what a search calls the mixture that it finds."""
    return {str(_mapping(data, "sweep").get("as", PROPOSED))} if data.get("sweep") is not None else set()


def _note_held_out(
    document: Document,
    declared: Set[str],
    weights: Mapping[str, list[str]],
    datasets: Mapping[str, DatasetSpec],
    sources: Mapping[str, SourceSpec | None],
    *,
    on: list[Any],
    section: str,
) -> None:
    from pipeline.recipe.leaks import leaks

    for index, dataset in enumerate(on):
        place = (section, "on", index if section == "gate" else str(dataset))
        _known(document, dataset, declared, place, "dataset")
        for name, listed in weights.items():
            if dataset in listed:
                document.mistake(
                    place,
                    f"{section}.on: `{dataset}` is also trained on, by mixture `{name}`; a held-out set must be held "
                    "out.",
                )
            elif shared := [each for each in listed if leaks(datasets, sources, each, str(dataset))]:
                document.mistake(
                    place,
                    f"{section}.on: `{dataset}` and `{shared[0]}` of mixture `{name}` have documents of one "
                    "source or file. Hold out another source, "
                    f"or `decontaminate: {{against: [{dataset}]}}` in `{shared[0]}`.",
                )


def _mapping(body: Any, key: str) -> dict[str, Any]:
    """Return the mapping under a key; an empty one where something else stands, which is told by whoever reads it."""
    found = body.get(key) if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def _known(document: Document, name: Any, names: Set[str], place: Place, kind: str) -> None:
    if isinstance(name, str) and name not in names:
        document.mistake(place, f"{dotted(place)}: unknown {kind} `{name}`.{did_you_mean(name, names)}")
