"""Recipes run inside a test: texts written as JSON lines, one process, no report; and what lies on disk afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.files.card import Card, read_card
from pipeline.core.files.parquet.shards import read_table
from pipeline.engine.executors import Executor, Local
from pipeline.engine.progress import Silent
from pipeline.engine.run import Run
from pipeline.experiment.build import build_experiment
from pipeline.plan.graph import Plan
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.store.results import document_paths
from pipeline.store.workspace import Workspace

WORDS = (
    "the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "are", "with", "as", "his", "they", "at",
    "be", "this", "from", "have", "or", "by", "one", "had", "not", "but",
)  # fmt: skip


def texts(count: int, *, start: int = 0) -> list[str]:
    """Return `count` different texts of 3 to 42 words."""
    return [
        " ".join([f"text{number}", *(WORDS[(number * 7 + k * k) % len(WORDS)] for k in range(2 + number * 13 % 40))])
        for number in range(start, start + count)
    ]


def write_lines(path: Path, rows: Iterable[str | Mapping[str, Any]]) -> Path:
    """Write texts (or whole objects) as JSON lines."""
    lines = [json.dumps({"text": row} if isinstance(row, str) else row) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@dataclass
class House:
    """A folder with a recipe, its inputs and a workspace."""

    folder: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "workspace")

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    def lines(self, name: str, rows: Iterable[str | Mapping[str, Any]]) -> Path:
        return write_lines(self.folder / name, rows)

    def write(self, text: str) -> Path:
        """Write the recipe; DIR in it stands for the folder."""
        self.recipe.write_text(text.replace("DIR", str(self.folder)), encoding="utf-8")
        return self.recipe

    def clean(self, steps: Sequence[str], *, source: str = "{read: jsonl, path: DIR/*.jsonl}") -> Path:
        """Write a recipe with one source and one dataset `clean`."""
        listed = "".join(f"\n      - {step}" for step in steps)
        body = f"    steps:{listed}\n" if steps else ""
        return self.write(f"sources:\n  docs: {source}\ndatasets:\n  clean:\n    from: docs\n{body}")

    def plan(self) -> Plan:
        return make_plan(load_recipe(self.recipe), self.workspace)

    def run(self, *, executor: Executor | None = None, threads: int = 1) -> Plan:
        """Build everything; return the plan as it was before."""
        plan = self.plan()
        run = Run(plan=plan, executor=executor or Local(workers=1), progress=Silent(), threads=threads)
        run.execute()
        if plan.experiment is not None:
            build_experiment(run)
        return plan

    def with_results_of(self, other: House) -> House:
        """Copy all results of another house, which has the same inputs; return this one."""
        shutil.copytree(other.workspace.root, self.workspace.root)
        return self

    def card(self, name: str = "clean") -> Card:
        return self.workspace.dataset(name)[1]

    def documents(self, name: str = "clean") -> list[dict[str, Any]]:
        folder = self.workspace.dataset(name)[0]
        return [row for path in document_paths(folder) for row in read_table(path).to_pylist()]

    def ids(self, name: str = "clean") -> list[str]:
        return [row["id"] for row in self.documents(name)]

    def signals(self, step: str, *, plan: Plan | None = None) -> list[dict[str, Any]]:
        """Return a step's stored rows in dataset `clean`, in base order."""
        planned = (plan or self.plan()).datasets["clean"]
        node = next(found.node for found in planned.steps if found.spec.label == step)
        return [row for path in sorted(node.folder.glob("part-*.parquet")) for row in read_table(path).to_pylist()]


def contents(root: Path) -> dict[str, str]:
    """Return content hash by folder of everything complete under a workspace."""
    found = {}
    for path in sorted(root.glob("*/*/card.json")):
        card = read_card(path.parent)
        found[f"{path.parent.parent.name}/{path.parent.name}"] = card.content
    return found


def files_of(root: Path, *, without: Sequence[str] = ()) -> dict[str, bytes]:
    """Return the bytes of every stored file that belongs to a result: parts, arrays, models; no cards, no times."""
    names = {}
    for path in sorted(root.glob("*/*/card.json")):
        for file in read_card(path.parent).files:
            if file.file not in without:
                names[f"{path.parent.parent.name}/{path.parent.name}/{file.file}"] = (
                    path.parent / file.file
                ).read_bytes()
    return names
