"""`--track NAME[:FOLDER]` and what an experiment came to -> the tracker's files; a failure costs the curves alone.

A missing package is refused before anything runs. Everything later is a warning: the tracker's library runs in a child
process, after the results are stored and the workspace is free.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pipeline
from pipeline.core.errors import MOST_CHARACTERS, RecipeError, nearest_names
from pipeline.core.process.keys import environment
from pipeline.queries.trackers.runs import TrackedRun
from pipeline.store.workspace import Workspace

LEAST_SECONDS, SECONDS_OF_A_RUN = 120.0, 10.0  # after which a tracker is given up


@dataclass(frozen=True, slots=True)
class Kind:
    """A tracker that there is: its package (and extra), our module that writes, and how to look at what it wrote."""

    package: str
    module: str
    look: str


KINDS: Mapping[str, Kind] = {
    "tensorboard": Kind("tensorboard", "tensorboard", "tensorboard --logdir {place}"),
    "trackio": Kind("trackio", "trackio", "TRACKIO_DIR={place} trackio show --project {project}"),
    "wandb": Kind("wandb", "wandb", "wandb sync {place}/wandb/offline-run-*"),
}


@dataclass(frozen=True, slots=True)
class Tracker:
    """One `--track`: which, and the folder that it writes to."""

    name: str
    place: Path


def trackers_of(wanted: Sequence[str], workspace: Workspace) -> list[Tracker]:
    """Return the trackers that `--track` names; RecipeError for one that is unknown or cannot write."""
    found = []
    for said in wanted:
        name, _, folder = said.partition(":")
        if name not in KINDS:
            raise RecipeError(
                f"--track {said}: `{name}` is no tracker; there are {', '.join(KINDS)}. Did you mean "
                f"{nearest_names(name, KINDS)}?"
            )
        if find_spec(KINDS[name].package) is None:
            raise RecipeError(
                f"--track {said}: needs the package {KINDS[name].package}, and it is not installed. Install it: "
                f"pip install 'tamis[{name}]'"
            )
        place = Path(folder) if folder else workspace.root / "tracked" / name
        if place.exists() and not place.is_dir():
            raise RecipeError(f"--track {said}: {place} is a file; it must be a folder. Name another.")
        found.append(Tracker(name, place))
    return list(dict.fromkeys(found))


def send(runs: Sequence[TrackedRun], *, tracker: Tracker, project: str) -> str:
    """Write what the tracker has not yet; return a line on what is there now, or on why it is not."""
    kind = KINDS[tracker.name]
    head = _head(tracker)
    if not runs:
        return f"{head} nothing to show; curves come with the proxies of a recipe that has a gate or a sweep."
    asked = {"place": str(tracker.place), "project": project, "runs": [run.plain() for run in runs]}
    command = [sys.executable, "-m", "pipeline.queries.trackers.child", kind.module]
    limit = LEAST_SECONDS + SECONDS_OF_A_RUN * len(runs)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment(),
        start_new_session=True,
    ) as child:  # fmt: skip
        try:
            answer, said = child.communicate(json.dumps(asked), timeout=limit)
        except subprocess.TimeoutExpired:
            _end(child)
            return warning(tracker, f"gave no answer in {limit:.0f} s")
        except BaseException:
            _end(child)
            raise
    if child.returncode:
        ended = f"ended with {child.returncode}: {said.strip()[-MOST_CHARACTERS:]}"
        return warning(tracker, json.loads(answer)["error"] if answer else ended)
    counts = json.loads(answer)
    look = kind.look.format(place=tracker.place, project=project)
    there = f", {counts['there']} there already" if counts["there"] else ""
    return f"{head} {counts['written']} runs written{there}. Look: {look}"


def _head(tracker: Tracker) -> str:
    return f"--track {tracker.name}:{tracker.place}:"


def warning(tracker: Tracker, why: str) -> str:
    """Return what is said of curves that were not written."""
    return f"warning: {_head(tracker)} {why}. No result is lost by it; the same command writes what is missing."


def _environment() -> dict[str, str]:
    """Return the environment of a child that finds this very package, wherever it is started."""
    root = str(Path(pipeline.__file__).parents[1])
    return environment() | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


def _end(child: subprocess.Popen[str]) -> None:
    """End the child and what it started: wandb has a process of its own."""
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
