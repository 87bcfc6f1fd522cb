"""Finished proxies and tasks of lm-evaluation-harness -> what the harness says of each proxy; nothing is stored.

Every proxy is exported to a folder that is gone afterwards, and read from there: what is scored is what anybody can
take away. Tasks are the user's YAML files, in the folder that `--include` names, or those that come with the harness.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.core.errors import RecipeError, did_you_mean
from pipeline.engine.progress import Progress
from pipeline.queries.export.proxy import export_proxy
from pipeline.queries.proxies.lanes import LaneOnTask, StoredLane, find_lanes
from pipeline.store.workspace import Workspace

PREFIX = "lm_eval:"
DRAWS = 1_000  # of the bootstrap that gives errors of metrics which are no means


@dataclass(frozen=True, slots=True)
class HarnessScore(LaneOnTask):
    """One number of the harness on one proxy."""

    metric: str  # with the harness's filter behind it, if there is one
    value: float
    error: float | None


def score_by_harness(
    workspace: Workspace, wanted: Sequence[str], *, tasks: Sequence[str], include: Path | None, progress: Progress
) -> list[HarnessScore]:
    """Return what lm-evaluation-harness says of every proxy that `wanted` names, task by task."""
    if find_spec("lm_eval") is None:
        raise RecipeError(
            f"--tasks {PREFIX}{tasks[0]}: needs the package lm_eval, and it is not installed. Install it: "
            "pip install 'tamis[tasks]'"
        )
    if include is not None and not include.is_dir():
        raise RecipeError(f"--include {include}: is not a folder; it must hold the tasks' YAML files. Name another.")
    lanes = list({lane.folder: lane for name in wanted for lane in find_lanes(workspace, name)}.values())
    with redirect_stdout(sys.stderr):  # the harness prints as it goes
        from lm_eval.tasks import TaskManager

        manager = TaskManager(
            include_path=str(include) if include is not None else None, include_defaults=include is None
        )
        for task in tasks:
            if task not in manager.all_tasks:
                raise RecipeError(
                    f"--tasks {PREFIX}{task}: there is no such task in {include or 'lm_eval'}."
                    f"{did_you_mean(task, manager.all_tasks)}"
                )
        progress.begin(f"run {', '.join(tasks)} on {len(lanes)} proxies", total=len(lanes), unit="proxies")
        found: list[HarnessScore] = []
        for lane in lanes:
            found += _score(workspace, lane, tasks, manager=manager)
            progress.advance(1)
        progress.end()
    return found


def _score(workspace: Workspace, lane: StoredLane, tasks: Sequence[str], *, manager: object) -> Iterator[HarnessScore]:
    from lm_eval import simple_evaluate

    from eval.scores.harness import HarnessProxy

    with TemporaryDirectory() as place:
        export_proxy(workspace, lane.folder.name, to=Path(place) / "proxy")
        said = simple_evaluate(
            model=HarnessProxy(Path(place) / "proxy"), tasks=list(tasks), task_manager=manager, bootstrap_iters=DRAWS,
            log_samples=False,
        )  # fmt: skip
    for task, numbers in said["results"].items():
        for key, value in numbers.items():
            metric, comma, picked = key.partition(",")
            if comma and not metric.endswith("_stderr") and isinstance(value, (int, float)):
                error = numbers.get(f"{metric}_stderr,{picked}")
                yield HarnessScore(
                    lane=lane.name, folder=lane.folder.name, tier=lane.facts.tier, num_tokens=lane.facts.num_tokens,
                    task=f"{PREFIX}{task}", items=said["n-samples"][task]["effective"],
                    metric=metric if picked == "none" else key, value=float(value),
                    error=float(error) if isinstance(error, (int, float)) else None,
                )  # fmt: skip
