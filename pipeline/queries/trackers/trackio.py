"""Runs -> trackio's local database; with TRACKIO_SPACE_ID or TRACKIO_SERVER_URL set, to where these say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(run: Mapping[str, Any], *, place: Path, project: str) -> Path | None:
    """Write one run in place of an earlier one of its name; return the database, None where a server has it."""
    os.environ["TRACKIO_DIR"] = str(place)  # read once, when the package is imported
    import trackio

    remote = any(os.environ.get(name) for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"))
    if not remote:
        for earlier in _stored(project, run["name"]):
            earlier.delete()
    entry = trackio.init(
        project=project, name=run["name"], group=run["name"].partition("/")[0], config={**run["facts"], **run["texts"]},
        embed=False, auto_log_gpu=False, auto_log_cpu=False,
    )  # fmt: skip
    last = max((row["step"] for row in run["rows"]), default=0)
    for row in run["rows"]:
        entry.log(row["values"], step=row["step"])
    if run["results"]:
        entry.log({f"result/{name}": value for name, value in run["results"].items()}, step=last)
    entry.finish()
    if not remote and not _stored(project, run["name"]):  # it only warns of what it could not store
        raise OSError(f"trackio stored nothing of {run['name']}")
    return None if remote else next(iter(sorted(place.glob(f"{project}*.db"))), None)


def _stored(project: str, name: str) -> list[Any]:
    import trackio

    try:
        return [found for found in trackio.Api().runs(project) if found.name == name]
    except ValueError:  # no such project yet
        return []
