"""`export-tasks`: what it takes on the command line, and what it says when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands import completion
from pipeline.commands.flags import AS_JSON, FILE, WORKSPACE, parse_count
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from pipeline.queries.export.environment import Form

LEVEL = click.IntRange(1, 5)


@click.argument(
    "dataset", metavar="[DATASET]", required=False, help="Whose tasks: of verified_tasks, document_tasks, code_tasks.",
    shell_complete=completion.everything,
)  # fmt: skip
@click.option(
    "--family", metavar="NAMES", multiple=True, help="In place of a dataset: families that make tasks, or all."
)
@click.option("--as", "form", type=click.Choice(["jsonl", "verifiers", "gymnasium"]), default="jsonl",
              help="For which library; jsonl: for any.")  # fmt: skip
@click.option("--to", type=FILE, required=True, help="New folder to write; its name is that of the package.")
@click.option("--tasks", metavar="COUNT", help="At most so many; of families 1,000 if left out.")
@click.option("--seed", type=click.IntRange(min=0), metavar="NUMBER", default=0, help="Of the tasks of families.")
@click.option("--min-difficulty", type=LEVEL, metavar="1-5", default=1, help="Of the tasks of families.")
@click.option("--max-difficulty", type=LEVEL, metavar="1-5", default=5, help="Of the tasks of families.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in that folder.")
@WORKSPACE
@AS_JSON
def export_tasks(
    *, dataset: str | None, family: Sequence[str], form: Form, to: Path, tasks: str | None, seed: int,
    min_difficulty: int, max_difficulty: int, overwrite: bool, workspace: Path, as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Write tasks as an environment for reinforcement learning: a package with problems, answers, checkers and reward.

    It needs nothing of Tamis (but for code, which runs in a box), and its README.md says how it is used. `verifiers`
    (0.4 or later) and `gymnasium` get the classes that they ask for; a reward is 1 or 0.
    """
    from pipeline.core.errors import RecipeError
    from pipeline.queries.export.environment import check_families, exported_tasks_text
    from pipeline.queries.export.environment import export_tasks as write
    from pipeline.store.workspace import Workspace

    if (dataset is None) == (not family):
        raise RecipeError("export-tasks: takes a DATASET or --family, one of the two; `tamis status` lists datasets.")
    if min_difficulty > max_difficulty:
        raise RecipeError(f"--min-difficulty {min_difficulty}: is above --max-difficulty {max_difficulty}. Swap them.")
    done = write(
        Workspace(workspace), dataset, families=check_families(family), count=parse_count(tasks, flag="--tasks"),
        seed=seed, min_difficulty=min_difficulty, max_difficulty=max_difficulty, form=form, to=to,
        overwrite=overwrite,
    )  # fmt: skip
    return VerbAnswer(asdict(done), exported_tasks_text(done, to=str(to)))
