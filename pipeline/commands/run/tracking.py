"""`--track`: trackers are looked for before a run begins, and told of its experiment when it has ended.

The recipe is read before, too: what is told is what ran, whatever became of the file meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import GateError, TamisError
from pipeline.engine.progress import Progress
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.queries.trackers.send import Tracker
    from pipeline.recipe.spec import Recipe


@contextmanager
def tracking(
    recipe: Path | Mapping[str, Any], *, wanted: Sequence[str], workspace: Workspace, progress: Progress
) -> Iterator[None]:
    """Run the body, then tell every wanted tracker what there is, also where the gate refused to judge."""
    if not wanted:
        yield
        return
    from pipeline.queries.trackers.send import trackers_of
    from pipeline.recipe.load import load_recipe

    trackers, run = trackers_of(wanted, workspace), load_recipe(recipe)
    try:
        yield
    except GateError:
        _tell(run, trackers, workspace=workspace, progress=progress)
        raise
    _tell(run, trackers, workspace=workspace, progress=progress)


def _tell(recipe: Recipe, trackers: Sequence[Tracker], *, workspace: Workspace, progress: Progress) -> None:
    """Tell the trackers; what fails here is a warning, since the outcome of the run is what counts."""
    from pipeline.plan.make import make_plan
    from pipeline.queries.trackers.runs import told_of
    from pipeline.queries.trackers.send import send, warning

    try:
        plan = make_plan(recipe, workspace)
        runs = told_of(plan)
    except (TamisError, OSError, ValueError, KeyError) as error:  # an input or a result changed since, or is gone
        for tracker in trackers:
            progress.say(warning(tracker, f"what ran cannot be read ({error})"))
        return
    for tracker in trackers:
        progress.say(send(runs, tracker=tracker, project=plan.recipe.name))
