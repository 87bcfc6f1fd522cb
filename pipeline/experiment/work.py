"""An experiment under way: what it reads of finished nodes, checked first, and how it finishes the next one."""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.core.files.card import Card, read_card, verify_files
from pipeline.core.files.writing.once import settle
from pipeline.plan.graph import Experiment, Plan
from pipeline.recipe.sections import GateSection, ProxySection
from pipeline.store.node import Node
from pipeline.store.results import close, to_store

if TYPE_CHECKING:
    from pipeline.engine.run import Run

Name = TypeVar("Name", bound=Hashable)


@dataclass(slots=True)
class Work:
    """One run and its experiment."""

    run: Run
    _checked: set[Path] = field(default_factory=set)

    @property
    def plan(self) -> Plan:
        return self.run.plan

    @property
    def experiment(self) -> Experiment:
        assert self.plan.experiment is not None
        return self.plan.experiment

    @property
    def proxy(self) -> ProxySection:
        assert self.plan.recipe.proxy is not None
        return self.plan.recipe.proxy

    @property
    def gate(self) -> GateSection:
        assert self.plan.recipe.gate is not None
        return self.plan.recipe.gate

    @property
    def tokenizer(self) -> Path:
        return self.folder(self.experiment.tokenizer) / "tokenizer.model"

    def folder(self, node: Node) -> Path:
        """Return where a finished node lies; what an earlier run left is verified, as arrays carry no sums."""
        if node.complete and node.folder not in self._checked:
            verify_files(node.folder, read_card(node.folder))
            self._checked.add(node.folder)
        return node.folder

    def card(self, node: Node) -> Card:
        return read_card(node.folder)

    def finish(
        self, node: Node, files: Sequence[str], *, details: Mapping[str, Any], seconds: float, rows: int = 0
    ) -> None:
        """Write a node's card, and take away what only an unfinished one needs."""
        finish(node, files, details=details, seconds=seconds, rows=rows)

    def missing(self, nodes: Mapping[Name, Node]) -> dict[Name, Node]:
        """Return the nodes that are not there yet, each by the first of its names."""
        found: dict[Path, tuple[Name, Node]] = {}
        for name, node in nodes.items():
            if not self.run.finished(node):
                found.setdefault(node.folder, (name, node))
        return dict(found.values())


def finish(
    node: Node, files: Sequence[str], *, details: Mapping[str, Any], seconds: float, rows: int = 0,
    own: Path | None = None,
) -> None:  # fmt: skip
    """Write a node's card, wherever it was built, and take away what only an unfinished one needs.

    Files that lie in a folder of their `own` are those of one attempt of several, of which one is kept.
    """
    there = node if own is None else replace(node, folder=own)
    close(there, dict.fromkeys(files, -1), rows_in=rows, rows_out=rows, details=details, seconds=seconds)
    if own is not None:
        settle(node.folder, files, own=own)
        to_store(node.folder)
    shutil.rmtree(node.folder / "scratch", ignore_errors=True)
