"""Bytes by step are those of the documents as each step saw and left them, whichever way its edits are stored."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pytest

from pipeline.core.files.parquet.shards import read_table
from pipeline.recipe.load import load_recipe
from pipeline.recipe.spec import final_datasets
from pipeline.store.evidence import evidence_of
from pipeline.store.results import document_paths
from pipeline.store.sizes import kept_bytes, sizes_of
from pipeline.store.workspace import Workspace
from tests.pipeline.report.report_parts import finish, write_lines

STEPS = [
    "length: {min_words: 3}", "c4_quality: {min_sentences: 1}", "line_dedup: {min_documents: 2}", "pii", "exact_dedup",
    "length: {min_words: 8}",
]  # fmt: skip
LINES = [
    "The rain of the morning fell on the old roof.", "Write to someone@example.org before the end of the week.",
    "A line without an end", "Each of the boats came home in the evening with {number} fish.",
]  # fmt: skip
RECIPE = """
sources: {docs: {read: jsonl, path: "DIR/*.jsonl"}}
datasets: {clean: {from: docs, steps: [STEPS]}}
"""


def written(folder: Path, steps: list[str]) -> str:
    own = "Boat {0} has a name of its own, and {1}@harbour.net is for letters to it."
    texts = [
        "\n".join(
            line.format(number=n * 7 % 9)
            for line in [*LINES[: 1 + n % 4][-2:], own.format(n, "abcdefgh"[n % 8] * (n + 1))]
        )
        for n in range(40)
    ]
    write_lines(folder / "docs.jsonl", [{"text": text} for text in [*texts[:25], "too short"]])
    write_lines(folder / "more.jsonl", [{"text": text} for text in texts[25:]])
    return RECIPE.replace("DIR", str(folder)).replace("STEPS", ", ".join(f"{{{step}}}" for step in steps))


def size_of(folder: Path) -> int:
    return sum(
        pc.sum(pc.binary_length(read_table(path).column("text"))).as_py() or 0 for path in document_paths(folder)
    )


def test_each_step_leaves_the_bytes_of_a_recipe_that_ends_there(tmp_path: Path) -> None:
    left = []
    for number in range(len(STEPS) + 1):
        plan = finish(written(tmp_path, STEPS[:number]), folder=tmp_path)
        left.append(size_of(plan.datasets["clean"].node.folder))

    evidence = evidence_of(Workspace(tmp_path / "workspace"), "clean")
    found = sizes_of(evidence).steps

    assert [step.reached for step in found] == left[:-1]
    assert [step.left for step in found] == left[1:]
    assert kept_bytes(evidence) == left[-1] < left[0]
    assert [step.edited != 0 for step in found] == [False, True, True, True, False, False]


@pytest.mark.parametrize("steps", [[], ["length: {min_words: 1000}"], ["pii"]])
def test_no_steps_and_no_documents_left_are_sizes_too(tmp_path: Path, steps: list[str]) -> None:
    plan = finish(written(tmp_path, steps), folder=tmp_path)
    evidence = evidence_of(Workspace(tmp_path / "workspace"), "clean")

    assert len(sizes_of(evidence).steps) == len(steps)
    assert kept_bytes(evidence) == size_of(plan.datasets["clean"].node.folder)


def test_a_recipe_is_for_what_nothing_else_of_it_uses(tmp_path: Path) -> None:
    text = written(tmp_path, ["decontaminate: {against: [held]}"])
    held = "{held: {from: docs}, base: {from: docs}, best: {from: base}, clean:"
    (tmp_path / "recipe.yaml").write_text(text.replace("{clean:", held), encoding="utf-8")

    assert final_datasets(load_recipe(tmp_path / "recipe.yaml")) == ["best", "clean"]
