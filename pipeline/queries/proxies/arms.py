"""Names of mixtures, versions and recipes -> the mixtures that they mean, with their finished proxies and scores.

`good` is a mixture of the last run that had one, `docs-en@2` a version in the registry, `web.yaml` the candidate of a
recipe's gate, and `web.yaml:raw` another mixture of it. A recipe alone stands for all of its mixtures, the gate's
baseline first. What is found is what is stored: proxies of seeds that a recipe no longer asks for count as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError, RecipeError, nearest_names
from pipeline.core.files.card import Card, read_card
from pipeline.core.identity import folder_name
from pipeline.experiment.chance.earlier import VERSIONS
from pipeline.plan.parts import judged_by
from pipeline.queries.export.target import Target, find_target
from pipeline.queries.proxies.lanes import StoredLane, finished_lanes, finished_scores, folder_of
from pipeline.store.node import Node
from pipeline.store.workspace import Workspace

RECIPE = re.compile(r"(?P<path>.+\.ya?ml)(:(?P<mixture>[^/:]+))?")


@dataclass(frozen=True, slots=True)
class StoredBits:
    """Where the bits of one proxy on one held-out set lie, and the card that says so."""

    folder: Path
    card: Card


@dataclass(frozen=True, slots=True)
class ScoredLane:
    """One finished proxy with its scores, by the identity of the held-out set's tokens."""

    lane: StoredLane
    scores: Mapping[str, StoredBits]

    @property
    def versions(self) -> tuple[Any, ...]:
        """What it was trained and scored by; other versions round otherwise."""
        return tuple(self.lane.card.payload[key] for key in VERSIONS)


@dataclass(frozen=True, slots=True)
class Arm:
    """One mixture: what was asked for, what it is, and all that was trained on it."""

    name: str
    said: str
    way_out: str  # what makes its proxies
    folder: Path
    card: Card
    tokenizer: str  # identity
    documents: Mapping[str, str]  # dataset -> identity of its documents
    lanes: tuple[ScoredLane, ...]
    recipe: Asked | None = None  # if one was named


@dataclass(frozen=True, slots=True)
class Asked:
    """What the gate of a named recipe asks for."""

    path: str
    comparison: str  # identity
    held_out: Mapping[str, Node]  # name -> the tokens that a reader may see
    judged: tuple[Node, ...]  # the tokens that its verdict is about; none where it asks for no verdict


@dataclass(frozen=True, slots=True)
class _Meant:
    """A mixture that a name means. `names` are what it may be called, the shortest first."""

    names: tuple[str, ...]
    said: str
    folder: Path
    card: Card
    recipe: Asked | None = None


def find_arms(workspace: Workspace, wanted: Sequence[str]) -> list[Arm]:
    """Return what names mean, in their order; RecipeError where one means nothing, or two mean the same."""
    meant = [found for name in wanted for found in _meant(workspace, name, alone=len(wanted) == 1)]
    if len(meant) < 2:
        raise RecipeError(
            f"compare: {', '.join(wanted)} is one mixture; a comparison is of two or more. Name another, or a recipe "
            "with several mixtures."
        )
    names = _told_apart(meant)
    first: dict[str, str] = {}
    for found, name in zip(meant, names, strict=True):
        if found.card.identity in first:
            raise RecipeError(
                f"compare: {first[found.card.identity]} and {name} are one mixture ({found.folder.name}), so nothing "
                "can differ. Leave one of them out."
            )
        first[found.card.identity] = name
    lanes = list(_scored_lanes(workspace))
    return [_arm(workspace, found, name, lanes) for found, name in zip(meant, names, strict=True)]


def _meant(workspace: Workspace, wanted: str, *, alone: bool) -> list[_Meant]:
    recipe = RECIPE.fullmatch(wanted)
    if recipe is not None and (Path(recipe["path"]).exists() or "/" in wanted):
        return _of_recipe(workspace, Path(recipe["path"]), recipe["mixture"], alone=alone)
    target = find_target(workspace, wanted, kinds=("mixture", "registry"))
    return [_Meant((wanted,), _said(target), target.folder, target.card)]


def _said(target: Target) -> str:
    if target.version is None:
        return f"mixture {target.folder.name}"
    standing = "the current one" if target.is_current else "not the current one"
    return f"version {target.version.version} of {target.name}, {standing}: mixture {target.folder.name}"


def _of_recipe(workspace: Workspace, path: Path, mixture: str | None, *, alone: bool) -> list[_Meant]:
    from pipeline.plan.make import make_plan
    from pipeline.recipe.load import load_recipe

    plan = make_plan(load_recipe(path), workspace)
    gate, experiment = plan.recipe.gate, plan.experiment
    if experiment is None or (gate is None and mixture is None):
        raise RecipeError(
            f"{path}: has no mixtures with a `gate:`, so no proxies are trained on them. Add `proxy:` and `gate:` and "
            f"run it: tamis run {path}"
        )
    nodes = experiment.named
    names = [mixture] if mixture is not None else [gate.candidate] if gate is not None else []
    if alone and mixture is None and gate is not None:
        names = list(dict.fromkeys([gate.baseline, gate.candidate, *nodes]))
    for name in names:
        if name not in nodes and plan.recipe.sweep is not None and name == plan.recipe.sweep.as_:
            raise DataError(f"{path}: the search has not found `{name}` yet. Run it: tamis run {path}")
        if name not in nodes:
            raise RecipeError(f"{path}: has no mixture `{name}`. Did you mean {nearest_names(name, nodes)}?")
        if not nodes[name].complete:
            raise DataError(f"{path}: mixture `{name}` is not built in {workspace.root}. Run it: tamis run {path}")
    asked = Asked(
        path=str(path),
        comparison=experiment.comparison.identity if experiment.comparison is not None else "",
        held_out={name: experiment.tokens[name] for name in gate.on} if gate is not None else {},
        judged=tuple(experiment.tokens[part] for part in judged_by(gate).values())
        if gate is not None and gate.verdict
        else (),
    )
    return [
        _Meant(
            (name, f"{plan.recipe.name}:{name}", f"{path}:{name}"),
            f"mixture {nodes[name].folder.name} of {path}",
            nodes[name].folder, read_card(nodes[name].folder), recipe=asked,
        )
        for name in names
    ]  # fmt: skip


def _told_apart(meant: Sequence[_Meant]) -> list[str]:
    """Return names by which all can be told apart, as short as that allows."""
    for length in range(3):
        names = [found.names[min(length, len(found.names) - 1)] for found in meant]
        if len(set(names)) == len(names):
            break
    return names


def _scored_lanes(workspace: Workspace) -> Iterator[ScoredLane]:
    """Yield every finished proxy with the scores that were taken of it by the same versions."""
    by_lane: dict[str, list[StoredBits]] = {}
    for folder, card in finished_scores(workspace):
        by_lane.setdefault(card.payload["lane"], []).append(StoredBits(folder, card))
    for lane in finished_lanes(workspace):
        found = ScoredLane(lane, {})
        scores = {
            bits.card.payload["held_out"]: bits
            for bits in by_lane.get(lane.card.identity, ())
            if tuple(bits.card.payload[key] for key in VERSIONS) == found.versions
        }
        yield replace(found, scores=scores)


def _arm(workspace: Workspace, meant: _Meant, name: str, lanes: Sequence[ScoredLane]) -> Arm:
    tokens = {
        dataset: read_card(folder_of(workspace, "tokens", identity, of=name))
        for dataset, (identity, _) in meant.card.payload["weights"].items()
    }
    (tokenizer,) = {card.payload["tokenizer"] for card in tokens.values()}
    mine = [found for found in lanes if found.lane.card.payload["mixture"] == meant.card.identity]
    return Arm(
        name=name,
        said=meant.said,
        way_out=_way_out(workspace, meant, tokenizer),
        folder=meant.folder,
        card=meant.card,
        tokenizer=tokenizer,
        documents={dataset: card.payload["dataset"] for dataset, card in tokens.items()},
        lanes=tuple(sorted(mine, key=lambda found: (-found.lane.facts.learning_rate, found.lane.facts.seed))),
        recipe=meant.recipe,
    )


def _way_out(workspace: Workspace, meant: _Meant, tokenizer: str) -> str:
    """Return the command that trains and scores a mixture's proxies; a tokenizer is called by its recipe."""
    if meant.recipe is not None:
        return f"Run it: tamis run {meant.recipe.path}"
    found = list((workspace.root / "tokenizer").glob(folder_name("*", tokenizer)))
    recipe = f"the recipe `{found[0].name.rpartition('-')[0]}`" if found else "its recipe"
    return f"Run {recipe}, with a `gate:` and this mixture in it: tamis run RECIPE"
