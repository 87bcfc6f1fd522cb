"""Runs -> event files of TensorBoard, a folder each: PROJECT/proxy/candidate/seed0/lr1.

Facts and results of proxies also go to its HPARAMS page, which draws weights against scores in parallel coordinates.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(run: Mapping[str, Any], *, place: Path, project: str) -> Path:
    """Write one run in place of an earlier one of its name; return its folder, which appears when it is whole."""
    from torch.utils.tensorboard import SummaryWriter

    folder = place / project / run["name"]
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
    last = max((row["step"] for row in run["rows"]), default=0)
    with SummaryWriter(str(beside)) as writer:
        for row in run["rows"]:
            for name, value in row["values"].items():
                writer.add_scalar(name, value, row["step"])
        for name, text in run["texts"].items():
            writer.add_text(name, text, last)
        writer.add_text("facts", "\n".join(f"- {name}: {value}" for name, value in run["facts"].items()), last)
        if run["results"]:
            results = {f"result/{name}": value for name, value in run["results"].items()}
            writer.add_hparams(run["facts"], results, run_name=".", global_step=last)
        writer.flush()  # what the writing thread failed at is raised here
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
    return folder
