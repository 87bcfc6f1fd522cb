"""Runs -> folders of wandb, offline: `wandb sync` sends them. With WANDB_MODE=online they are sent at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECONDS = 60.0  # that a server may take to answer, and to take what is sent


def write(run: Mapping[str, Any], *, place: Path, project: str) -> Path:
    """Write one run and return its folder; wandb replaces none, so another content is another run."""
    import wandb

    settings = wandb.Settings(
        silent=True, init_timeout=SECONDS, finish_timeout=SECONDS, finish_timeout_raises=True, disable_git=True,
        disable_code=True, x_disable_stats=True, x_disable_meta=True,
        x_save_requirements=False, console="off",
    )  # fmt: skip
    entry = wandb.init(
        project=project, dir=place, id=run["id"], name=run["name"], group=run["name"].partition("/")[0],
        config=dict(run["facts"]), mode=os.environ.get("WANDB_MODE", "offline"), settings=settings,
    )  # fmt: skip
    for row in run["rows"]:
        entry.log(dict(row["values"]), step=row["step"])
    entry.summary.update({f"result/{name}": value for name, value in run["results"].items()} | dict(run["texts"]))
    entry.finish()
    return Path(entry.dir).parent  # of PLACE/wandb/offline-run-.../files
