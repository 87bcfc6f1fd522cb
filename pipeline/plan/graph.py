"""The plan itself: nodes in the order in which they are built, and what of the recipe each stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.files.card import Kind, is_complete, read_card
from pipeline.core.identity import identity_of
from pipeline.plan.differences import Home, why_build
from pipeline.plan.lanes import LaneName, is_tried
from pipeline.recipe.sections import MixtureSection
from pipeline.recipe.spec import DatasetSpec, Recipe, StepSpec
from pipeline.store.input_hashes import InputHashes
from pipeline.store.node import Node
from pipeline.store.workspace import Workspace

ENGINE_VERSION = 1  # bump when the engine itself writes other bytes for the same payload


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a dataset with its node and its resolved inputs."""

    spec: StepSpec
    node: Node
    inputs: Mapping[str, tuple[str, ...]]  # parameter -> dataset names or file paths


@dataclass(frozen=True, slots=True)
class PlannedDataset:
    """A dataset: what it starts from, its steps, and the node of its published documents."""

    spec: DatasetSpec
    base: tuple[Node, ...]
    made: PlannedStep | None
    steps: tuple[PlannedStep, ...]
    node: Node


@dataclass(frozen=True, slots=True)
class SearchRound:
    """One round of a search, or a stop within one, at which its proxies are looked at half-trained.

    The node of a round tells what all proxies so far show, that of a stop which of them go on.
    """

    number: int  # from 1
    lanes: tuple[LaneName, ...]
    node: Node
    until: float = 1.0  # the share of their tokens that the proxies have read


@dataclass(frozen=True, slots=True)
class Experiment:
    """The nodes of a recipe's experiment: by dataset, mixture or lane; without a gate no lane is trained.

    Two lanes or mixtures that are the same under two names share a node, or at least its identity.
    """

    tokenizer: Node
    tokens: Mapping[str, Node]
    mixtures: Mapping[str, Node]
    lanes: Mapping[LaneName, Node]
    scores: Mapping[tuple[LaneName, str], Node]  # of a lane on a held-out set
    comparison: Node | None
    certificate: Node | None
    sections: Mapping[str, MixtureSection]  # of every mixture, those that a search tries included
    judged: tuple[LaneName, ...] = ()  # the proxies that a gate compares
    rounds: tuple[SearchRound, ...] = ()  # of a search, as far as they are known: the next follow from the last
    rounds_to_come: int = 0
    cuts: tuple[SearchRound, ...] = ()  # the stops within rounds, in order

    @property
    def named(self) -> dict[str, Node]:
        """The mixtures that a recipe or its search names, and not the many that the search tries."""
        return {name: node for name, node in self.mixtures.items() if not is_tried(name)}

    @property
    def stages(self) -> tuple[SearchRound, ...]:
        """The stops and rounds of a search."""
        return *self.cuts, *self.rounds

    @property
    def nodes(self) -> list[Node]:
        """All nodes, in the order in which they are built."""
        last = [found.node for found in self.stages]
        last += [node for node in (self.comparison, self.certificate) if node is not None]
        by_name = (self.tokens, self.mixtures, self.lanes, self.scores)
        return [self.tokenizer, *(node for found in by_name for node in found.values()), *last]


@dataclass(slots=True)
class Plan:
    """Everything that a run will do, in order."""

    recipe: Recipe
    workspace: Workspace
    hashes: InputHashes = field(default_factory=InputHashes)
    nodes: list[Node] = field(default_factory=list)
    sources: dict[str, Node] = field(default_factory=dict)
    datasets: dict[str, PlannedDataset] = field(default_factory=dict)
    experiment: Experiment | None = None

    @property
    def to_build(self) -> list[Node]:
        return [node for node in self.nodes if not node.complete]

    @property
    def mixtures(self) -> dict[str, MixtureSection]:
        """The recipe's mixtures, and the one that its search found, where that is known."""
        if self.experiment is None:
            return dict(self.recipe.mixtures)
        return {name: self.experiment.sections[name] for name in self.experiment.named}

    def parent(self, child: Any, identity: str) -> Node:
        """Return the node with an identity, which some other one comes from."""
        return next(node for node in self.nodes if node.identity == identity)

    def documents_node(self, name: str) -> Node:
        """Return the node whose folder holds the documents of a source or dataset."""
        return self.sources[name] if name in self.sources else self.datasets[name].node

    def stored(self, name: str) -> Node:
        """Return the node of a result that the recipe takes as it is stored, added unless the plan has it."""
        folder = self.workspace.root / self.recipe.stored[name]
        known = next((node for node in self.nodes if node.folder == folder), None)
        if known is not None:
            return known
        card = read_card(folder)
        node = Node(
            kind=card.kind, name=card.name, identity=card.identity, payload=card.payload, parents=card.parents,
            folder=folder, complete=True, reason="as it was promoted",
        )  # fmt: skip
        self.nodes.append(node)
        return node

    def add(
        self, kind: Kind, name: str, payload: Mapping[str, Any], parents: Mapping[str, str], *, cost: float = 0.0,
        home: Home | None = None, takes: Callable[[], str] = str,
    ) -> Node:  # fmt: skip
        """Return the node of a payload, added unless the plan has it: complete, or to be built and why.

        `takes` says what of earlier results it will take over, if it is to be built.
        """
        identity = identity_of(payload)
        folder = self.workspace.folder(kind, name, identity)
        known = next((node for node in self.nodes if node.folder == folder), None)
        if known is not None:
            return known
        complete = is_complete(folder, identity)
        remade = [name for name, parent in parents.items() if any(node.identity == parent for node in self.to_build)]
        reason = "unchanged" if complete else why_build(
            self.workspace, kind, name, payload, remade=remade, home=home, parents=parents
        )  # fmt: skip
        taken = "" if complete else takes()
        node = Node(
            kind=kind,
            name=name,
            identity=identity,
            payload=payload,
            parents=parents,
            folder=folder,
            complete=complete,
            reason=f"{reason}; {taken}" if taken else reason,
            cost_usd=0.0 if complete else cost,
        )
        self.nodes.append(node)
        return node
