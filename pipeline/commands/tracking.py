"""`--track`: trackers are looked for before a run begins, and told of its experiment when it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import DataError, GateError
from pipeline.engine.progress import Progress
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.queries.track import Tracker


@contextmanager
def tracking(
    recipe: Path | Mapping[str, Any], *, wanted: Sequence[str], workspace: Workspace, progress: Progress
) -> Iterator[None]:
    """Run the body, then tell every wanted tracker what there is, also where the gate refused to judge."""
    if not wanted:
        yield
        return
    from pipeline.queries.track import trackers_of

    trackers = trackers_of(wanted, workspace)
    try:
        yield
    except GateError:
        with suppress(DataError, GateError):  # the refusal is what counts
            _tell(recipe, trackers, workspace=workspace, progress=progress)
        raise
    _tell(recipe, trackers, workspace=workspace, progress=progress)


def _tell(
    recipe: Path | Mapping[str, Any], trackers: Sequence[Tracker], *, workspace: Workspace, progress: Progress
) -> None:
    from pipeline.plan.make import make_plan
    from pipeline.queries.track import send
    from pipeline.queries.tracked_runs import told_of
    from pipeline.recipe.load import load_recipe

    plan = make_plan(load_recipe(recipe), workspace)
    runs = told_of(plan)
    for tracker in trackers:
        progress.say(send(runs, tracker=tracker, project=plan.recipe.name))
